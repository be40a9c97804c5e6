"""Words of a text under attack, and what becomes of it when one is changed: by the letter of TextAttack."""

from __future__ import annotations

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from kdlab.attacks.text import AttackText
from kdlab.transformations.attack_words import words_from_text

SPLIT = "<SPLIT>"


def by_the_letter(text: AttackText, position: int, new: str) -> tuple[tuple[str, ...], set[int], set[int]]:
    """``AttackedText.generate_new_attacked_text``: texts, changed and newly changed positions."""
    rest, done = SPLIT.join(text.texts), ""
    changed, newly = set(text.changed), set()
    new_words = [new if i == position else word for i, word in enumerate(text.words)]
    new_i = 0
    for i, (old, sequence) in enumerate(zip(text.words, new_words, strict=True)):
        start = rest.index(old)
        done += rest[:start]
        rest = rest[start + len(old) :]
        count = len(words_from_text(sequence))
        more = count - len(words_from_text(old))
        if more:
            changed = {j if j < i else j + more for j in changed if j != i}
        for _ in range(count):
            if old != sequence:
                changed.add(new_i)
                newly.add(new_i)
            new_i += 1
        if count == 0 and rest:
            if i == 0:
                rest = rest[1:] if rest[0] == " " else rest
            elif done[-1] == " ":
                done = done[:-1]
        done += sequence
    return tuple((done + rest).split(SPLIT)), changed, newly


def window_by_the_letter(text: AttackText, index: int, size: int) -> str:
    """``AttackedText.text_window_around_index``."""
    length, half = len(text.words), (size - 1) / 2
    if index - half < 0:
        start, end = 0, min(size - 1, length - 1)
    elif index + half >= length:
        start, end = max(0, length - size), length - 1
    else:
        start, end = index - math.ceil(half), index + math.floor(half)
    after, places = 0, []
    for word in text.words:
        at = text.text.index(word, after)
        after = at + len(word)
        places.append((at, after))
    return text.text[places[start][0] : places[end][1]]


def replaced(text: str, position: int, new: str) -> str:
    return AttackText.of([text]).replaced(position, new).text


def test_words_and_where_they_are():
    text = AttackText.of(["It's a 'well-known' film, a film!"])
    assert text.words == ("It's", "a", "well-known", "film", "a", "film")
    assert [text.text[start:end] for start, end in text.spans] == list(text.words)
    assert text.spans[1] == (5, 6)
    assert text.spans[4] == (26, 27)  # the second a, and not the one in an earlier word
    assert text.sides == (0,) * 6
    assert text.changed == frozenset()
    assert text.new == ()


def test_words_of_a_pair_are_numbered_through():
    text = AttackText.of(["The film.", "a good film"])
    assert text.text == "The film.\na good film"
    assert text.words == ("The", "film", "a", "good", "film")
    assert text.sides == (0, 0, 1, 1, 1)
    assert text.text[slice(*text.spans[4])] == "film"
    assert text.spans[4][0] > len("The film.")
    assert AttackText.of(["", "a b"]).sides == (1, 1)
    assert AttackText.of(["a b", ""]).sides == (0, 0)


def test_texts_without_words():
    for texts in [("",), ("... !",), ("", ""), ("?", "🙂")]:
        text = AttackText.of(texts)
        assert text.words == text.spans == text.sides == ()


def test_a_word_gives_way_to_another_and_punctuation_stays():
    text = AttackText.of(["A dull, dull film."])
    new = text.replaced(2, "bright")
    assert new.texts == ("A dull, bright film.",)
    assert new.words == ("A", "dull", "bright", "film")
    assert new.changed == {2}
    assert new.new == (2,)
    assert text.texts == ("A dull, dull film.",)  # the text itself is as it was
    assert text.changed == frozenset()
    again = new.replaced(0, "One")
    assert again.changed == {0, 2}
    assert again.new == (0,)


def test_a_word_of_the_second_text_is_replaced_there():
    text = AttackText.of(["a film", "a film"])
    assert text.replaced(3, "movie").texts == ("a film", "a movie")
    assert text.replaced(1, "movie").texts == ("a movie", "a film")


@pytest.mark.parametrize(
    ("text", "position", "left"),
    [
        ("a b c", 0, "b c"),  # the blank behind goes with the first word
        ("a b c", 1, "a c"),  # and the one before with any other
        ("a b c", 2, "a b "),  # but not where nothing follows
        ("a b c.", 2, "a b."),
        ("a  b", 0, " b"),  # one blank
        ("a  b c", 1, "a  c"),
        ("a, b", 0, ", b"),
        ("(a b", 1, "(a "),
        ("a (b) c", 1, "a () c"),
        ("  a b", 0, "  b"),
        ("a", 0, ""),
        ("a ", 0, ""),
        ("a\tb c", 1, "a\t c"),  # no other blank than that
    ],
)
def test_blanks_of_a_deleted_word(text: str, position: int, left: str):
    assert replaced(text, position, "") == left


def test_blanks_of_a_deleted_word_in_a_pair():
    pair = AttackText.of(["a b", "c d"])
    assert pair.replaced(1, "").texts == ("a", "c d")  # the second text follows
    assert pair.replaced(0, "").texts == ("b", "c d")
    assert pair.replaced(2, "").texts == ("a b", " d")  # not the first word of all
    assert pair.replaced(3, "").texts == ("a b", "c ")
    assert AttackText.of(["...", "a b"]).replaced(0, "").texts == ("...", "b")


def test_deleting_moves_the_positions_that_were_changed():
    text = AttackText.of(["a b c d"]).replaced(0, "x").replaced(3, "y").replaced(1, "z")
    assert text.changed == {0, 1, 3}
    shorter = text.replaced(1, "")
    assert shorter.words == ("x", "c", "y")
    assert shorter.changed == {0, 2}
    assert shorter.new == ()


def test_several_words_for_one_move_the_positions_that_were_changed():
    text = AttackText.of(["a b c d"]).replaced(0, "x").replaced(2, "y")
    longer = text.replaced(1, "two words")
    assert longer.texts == ("x two words y d",)
    assert longer.words == ("x", "two", "words", "y", "d")
    assert longer.changed == {0, 1, 2, 3}
    assert longer.new == (1, 2)
    assert longer.replaced(3, "z").new == (3,)


def test_a_token_with_signs_counts_as_its_word():
    text = AttackText.of(["a b c"]).replaced(1, "[UNK]")
    assert text.texts == ("a [UNK] c",)
    assert text.words == ("a", "UNK", "c")
    assert text.changed == {1}
    assert AttackText.of(["a b.", "c"]).with_token(1, "[MASK]") == "a [MASK].\nc"


PIECES = st.text("ab'-_*@. ,\n×é", max_size=14)
NEW = st.sampled_from(["", "x", "ab", "two words", "[UNK]", "...", "a b c", "don't"])


@given(st.lists(PIECES, min_size=1, max_size=2), st.lists(st.tuples(st.integers(0, 9), NEW), min_size=1, max_size=4))
def test_changes_are_those_of_the_library(texts: list[str], changes: list[tuple[int, str]]):
    text = AttackText.of(texts)
    for number, new in changes:
        assume(text.words)
        position = number % len(text.words)
        assume(text.words[position] != new)
        expected, changed, newly = by_the_letter(text, position, new)
        text = text.replaced(position, new)
        assert text.texts == expected
        assert text.words == tuple(words_from_text(text.text))
        assert text.changed == changed
        assert set(text.new) == newly


@pytest.mark.parametrize(
    ("position", "window"),
    [
        (0, "w0 w1, w2 w3 w4"),
        (1, "w0 w1, w2 w3 w4"),
        (2, "w0 w1, w2 w3 w4"),
        (3, "w1, w2 w3 w4 w5"),
        (4, "w2 w3 w4 w5 w6"),
        (5, "w2 w3 w4 w5 w6"),
        (6, "w2 w3 w4 w5 w6"),
    ],
)
def test_windows(position: int, window: str):
    assert AttackText.of(["(w0 w1, w2 w3 w4 w5 w6.)"]).window(position, 5) == window


def test_a_window_is_the_text_where_that_is_shorter():
    text = AttackText.of(["«a b»", "c."])
    assert [text.window(i, 15) for i in range(3)] == ["a b»\nc"] * 3


@given(st.lists(PIECES, min_size=1, max_size=2), st.sampled_from([1, 3, 5]))
def test_windows_are_those_of_the_library(texts: list[str], size: int):
    text = AttackText.of(texts)
    for i in range(len(text.words)):
        assert text.window(i, size) == window_by_the_letter(text, i, size)


def test_differences_reach_as_far_as_both_texts():
    text = AttackText.of(["a b c"])
    assert text.differences(text) == []
    assert text.replaced(1, "x").differences(text) == [1]
    assert text.replaced(1, "x y").differences(text) == [1, 2]
    assert text.replaced(0, "").differences(text) == [0, 1]
