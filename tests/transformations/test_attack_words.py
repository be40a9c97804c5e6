"""Words as TextAttack's attacks see them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdlab.transformations.attack_words import LOOK_ALIKES, words_from_text
from kdlab.transformations.stop_words import TEXTFOOLER_STOP_WORDS


def by_the_letter(text: str) -> list[str]:
    """As the library goes about it: blanks first, then runs, stripped twice."""
    exceptions = "'-_*@"
    pattern = f"[\\w{LOOK_ALIKES}'\\-_\\*@]+"
    words = []
    for word in text.split():
        words += [run.strip(exceptions) for run in re.findall(pattern, word.strip(exceptions))]
    return [word for word in words if word != ""]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("It's a well-known film, isn't it?", ["It's", "a", "well-known", "film", "isn't", "it"]),
        ("'quoted' --dash-- a_b _c_ d*e* me@you", ["quoted", "dash", "a_b", "c", "d*e", "me@you"]),
        ("3.5 stars", ["3", "5", "stars"]),
        ("don’t", ["don", "t"]),  # this apostrophe is none of the library's
        ("a\n\tb\u00a0c\x1cd", ["a", "b", "c", "d"]),
        ("f×m `a`", ["f×m", "`a`"]),  # look-alikes count as letters
        ("हिन्दी", ["ह", "न", "द"]),  # marks are no letters to `re`
        ("电影 很好", ["电影", "很好"]),
        ("... -- '' 🙂", []),
        ("", []),
    ],
)
def test_words(text: str, words: list[str]):
    assert words_from_text(text) == words == by_the_letter(text)


PIECES = st.one_of(st.text(max_size=9), st.text("ab'-_*@. `×\u2028\x1f\u00a0", max_size=60))


@given(st.lists(PIECES, max_size=9).map(" ".join))
def test_they_are_the_library_s(text: str):
    assert words_from_text(text) == by_the_letter(text)


def test_a_list_is_the_caller_s_own():
    words_from_text("a film").append("x")
    assert words_from_text("a film") == ["a", "film"]


def test_look_alikes():
    assert len(LOOK_ALIKES) == len("-9876543210'abcdefghijklmnopqrstuvwxyz")
    assert len(set(LOOK_ALIKES)) == len(LOOK_ALIKES)


def test_textfooler_s_stop_words():
    assert len(TEXTFOOLER_STOP_WORDS) == 266
    assert {"not", "no", "aren't", "should've", "yourselves"} <= TEXTFOOLER_STOP_WORDS
    assert not {"be", "have", "had", "does", "very"} & TEXTFOOLER_STOP_WORDS
