"""Changes of one character: all of them and one by chance, with the draws in the order of TextAttack's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdlab.system.draw import Draw
from kdlab.transformations.characters import (
    LETTERS,
    adjacent_keys,
    deletions,
    insertions,
    neighbour_swaps,
    one_deletion,
    one_insertion,
    one_neighbour_swap,
    one_qwerty,
    one_substitution,
    qwerty,
    substitutions,
)


class Script(Draw):
    """Chance that was written down: numbers in the order in which they are drawn."""

    def __init__(self, *numbers: int) -> None:
        super().__init__("")
        self.numbers = list(numbers)
        self.limits: list[int] = []

    def below(self, limit: int) -> int:
        self.limits.append(limit)
        number = self.numbers.pop(0)
        assert number < limit
        return number


A, B, Z, CAPITAL_A = (LETTERS.index(letter) for letter in "abzA")


def test_the_letters_are_those_of_the_library():
    assert LETTERS == "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


@pytest.mark.parametrize(
    ("word", "swaps", "inner"),
    [
        ("film", ["iflm", "flim", "fiml"], ["flim"]),
        ("ab", ["ba"], []),
        ("abc", ["bac", "acb"], []),
        ("good", ["ogod", "godo"], []),  # the two letters o are the same word again
        ("a", [], []),
        ("", [], []),
    ],
)
def test_neighbours_swap(word: str, swaps: list[str], inner: list[str]):
    assert neighbour_swaps(word) == swaps
    assert neighbour_swaps(word, skip_ends=True) == inner


@pytest.mark.parametrize(
    ("word", "without", "inner"),
    [
        ("film", ["ilm", "flm", "fim", "fil"], ["flm", "fim"]),
        ("good", ["ood", "god", "god", "goo"], ["god", "god"]),
        ("ab", ["b", "a"], []),
        ("a", [], []),
    ],
)
def test_deletions(word: str, without: list[str], inner: list[str]):
    assert deletions(word) == without
    assert deletions(word, skip_ends=True) == inner


def test_insertions_draw_a_letter_a_place():
    assert insertions("film", Script(A, B, Z, CAPITAL_A)) == ["afilm", "fbilm", "fizlm", "filAm"]
    assert insertions("film", Script(A, B), skip_ends=True) == ["failm", "fiblm"]
    assert insertions("f", Script()) == []
    assert insertions("fi", Script(), skip_ends=True) == []


def test_substitutions_draw_a_letter_a_place():
    draw = Script(A, B, A, A)
    assert substitutions("abca", draw) == ["abaa"]  # where the letter is the old one the word is, and is left out
    assert draw.limits == [52] * 4
    assert substitutions("a", Script()) == []


def test_keys():
    assert qwerty("pm") == ["om", "lm", "pn", "pj", "pk"]
    assert qwerty("PM")[:2] == ["OM", "LM"]
    assert qwerty("apmx", skip_ends=True) == ["aomx", "almx", "apnx", "apjx", "apkx"]
    assert qwerty("apm", skip_ends=True) == []  # a word of three stays, as in the library
    assert qwerty("p") == []
    assert qwerty("4é") == []
    assert adjacent_keys("q") == ("w", "a", "s")
    assert len({adjacent_keys(letter) for letter in LETTERS}) == 52
    assert sum(len(adjacent_keys(letter)) for letter in LETTERS[:26]) == 127


@pytest.mark.parametrize(
    ("one", "numbers", "limits", "new"),
    [
        (lambda draw: one_neighbour_swap("film", draw), (1,), [3], ["flim"]),
        (lambda draw: one_neighbour_swap("good", draw), (1,), [3], []),  # drawn, and the same word
        (lambda draw: one_neighbour_swap("films", draw, True), (1,), [2], ["fimls"]),
        (lambda draw: one_deletion("film", draw), (3,), [4], ["fil"]),
        (lambda draw: one_deletion("film", draw, True), (0,), [2], ["flm"]),
        (lambda draw: one_insertion("film", draw), (0, Z), [4, 52], ["zfilm"]),
        (lambda draw: one_insertion("film", draw, True), (1, Z), [2, 52], ["fizlm"]),
        (lambda draw: one_substitution("film", draw), (3, Z), [4, 52], ["filz"]),
        (lambda draw: one_substitution("film", draw), (0, LETTERS.index("f")), [4, 52], []),
        (lambda draw: one_qwerty("film", draw), (3, 2), [4, 3], ["filk"]),
        (lambda draw: one_qwerty("f1lm", draw), (1,), [4], []),  # no key, no second draw
        (lambda draw: one_qwerty("film", draw, True), (1, 0), [2, 4], ["fiim"]),
        (lambda draw: one_qwerty("flm", draw, True), (), [], []),
        (lambda draw: one_deletion("f", draw), (), [], []),
        (lambda draw: one_neighbour_swap("abc", draw, True), (), [], []),
    ],
)
def test_one_by_chance(one, numbers, limits, new):
    draw = Script(*numbers)
    assert one(draw) == new
    assert draw.limits == limits


@given(st.text(max_size=12), st.booleans(), st.integers(0, 99))
def test_one_is_one_of_all(word: str, skip_ends: bool, seed: int):
    for one, every in ((one_neighbour_swap, neighbour_swaps), (one_deletion, deletions), (one_qwerty, qwerty)):
        assert set(one(word, Draw(str(seed)), skip_ends)) <= set(every(word, skip_ends))
