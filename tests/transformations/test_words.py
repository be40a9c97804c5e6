"""Words of a text and edits of them: nothing but what is edited changes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdlab.errors import KdlabError
from kdlab.transformations.words import WHOLE, Edit, Words, apply_edits, edited_share, like

ODD = [
    "",
    " ",
    "word",
    "word " * 40,
    "🙂",
    "good 🙂 film",
    "שלום עולם",
    "हिन्दी में",
    "don't, well-known!",
    "a\n\tb  c ",
    "\ud800x",
]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("It's a well-known film, isn't it?", ["It's", "a", "well-known", "film", "isn't", "it"]),
        ("good 🙂 film", ["good", "film"]),
        ("שלום עולם", ["שלום", "עולם"]),
        ("हिन्दी में", ["हिन्दी", "में"]),
        ("3.5 stars -- 'great'", ["3", "5", "stars", "great"]),
        ("", []),
        ("🙂🙂", []),
    ],
)
def test_words_of_any_script(text: str, words: list[str]):
    assert list(Words(text).words) == words


@pytest.mark.parametrize("text", ODD)
def test_a_text_without_edits_stays_as_it_is(text: str):
    assert Words(text).edited([]) == text


@pytest.mark.parametrize(
    ("text", "edits", "new"),
    [
        ("The  film, it's GOOD.", [(1, "film", "movie")], "The  movie, it's GOOD."),
        ("The film is good.", [(3, "good", "")], "The film is."),
        ("The film is good.", [(0, "The", "")], "film is good."),
        ("a good film", [(0, "a", ""), (1, "good", "")], "film"),
        ("a good, film", [(1, "good", "")], "a, film"),
        ("a film", [(0, "", "new")], "new a film"),
        ("a film.", [(2, "", "today")], "a film today."),
        ("a film", [(1, "", "good"), (1, "", "old")], "a good old film"),
        ("a film", [(1, "", "good"), (1, "film", "movie")], "a good movie"),
        ("a film", [(0, "a", "film"), (1, "film", "a")], "film a"),
    ],
)
def test_edits(text: str, edits: list[tuple[int, str, str]], new: str):
    assert Words(text).edited([Edit(0, *edit) for edit in edits]) == new


@given(st.text(max_size=60), st.data())
def test_what_is_not_replaced_keeps_its_place(text: str, data: st.DataObject):
    words = Words(text)
    chosen = data.draw(st.sets(st.integers(0, len(words) - 1), max_size=5)) if len(words) else set()
    edits = [Edit(0, i, words.words[i], "X") for i in chosen]
    new = words.edited(edits)
    parts, end = [], 0
    for i, (start, stop) in enumerate(words.spans):
        parts += [text[end:start], "X" if i in chosen else text[start:stop]]
        end = stop
    assert new == "".join(parts) + text[end:]


@pytest.mark.parametrize(
    "edits",
    [
        [Edit(0, 0, "film", "x")],
        [Edit(0, 9, "a", "x")],
        [Edit(0, -2, "a", "x")],
        [Edit(0, 0, "a", "x"), Edit(0, 0, "a", "y")],
        [Edit(0, WHOLE, "another text", "x")],
        [Edit(0, 0, "", "")],
        [Edit(1, 0, "a", "x")],
    ],
)
def test_an_edit_that_does_not_fit_is_refused(edits: list[Edit]):
    with pytest.raises(KdlabError):
        apply_edits(("a film",), edits)


def test_both_texts_of_a_pair():
    edits = [Edit(0, 0, "A", "The"), Edit(1, WHOLE, "b c", "d")]
    assert apply_edits(("A a", "b c"), edits) == ("The a", "d")


def test_case_follows_the_old_word():
    assert [like(old, "movie") for old in ("film", "Film", "FILM", "I", "iPhone")] == [
        "movie",
        "Movie",
        "MOVIE",
        "Movie",
        "movie",
    ]


def test_shares_of_edited_words():
    assert edited_share(("a b c d",), [Edit(0, 0, "a", "x"), Edit(0, 2, "", "y")]) == 0.5
    assert edited_share(("a b c d",), [Edit(0, WHOLE, "a b c d", "a x c d e")]) == 0.5  # x for b, and e behind d
    assert edited_share(("🙂",), []) == 0.0
