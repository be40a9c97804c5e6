"""What attacks make of words, and in which order."""

from __future__ import annotations

import pytest
from attack_fixtures import attempt_on, driven

from kdlab.attacks.asks import AskWords
from kdlab.attacks.text import AttackText
from kdlab.attacks.transformations import CharacterSwap, MaskedLMSwap, TableSwap, Transformation, written_like
from kdlab.system.draw import Draw
from kdlab.transformations.characters import deletions, neighbour_swaps, one_insertion


def made(transformation: Transformation, text: str, places: list[int]) -> list[str]:
    """Texts that are made without asking anybody."""
    asked, found = driven(transformation.candidates(AttackText.of([text]), places, attempt_on(text)))
    assert asked == []
    return [one.text for one in found]


def test_words_of_a_table_in_its_order():
    table = TableSwap({"dull": ("flat", "bland"), "film": ("movie",)})
    assert made(table, "a dull film", [2, 1]) == ["a dull movie", "a flat film", "a bland film"]
    assert made(table, "a dull film", [0]) == []
    assert made(table, "a dull film", []) == []


def test_words_of_a_table_in_the_case_of_the_old():
    table = TableSwap({"dull": ("flat",), "film": ("FILM", "movie")})
    assert made(table, "Dull DULL dUll film", [0, 1, 2]) == ["Flat DULL dUll film", "Dull FLAT dUll film",
                                                            "Dull DULL flat film"]  # fmt: skip
    assert made(table, "film", [0]) == ["movie"]  # the other is the word itself


@pytest.mark.parametrize(
    ("word", "old", "written"),
    [
        ("Paris", "dull", "paris"),
        ("flat", "DULL", "FLAT"),
        ("flat", "Dull", "Flat"),
        ("flat", "A", "flat"),  # one capital is no shouting, and no letter behind it is small
        ("fLat", "dULL", "fLat"),
        ("fLat", "3d", "flat"),
        ("fLat", "33", "fLat"),
        ("flat", "Don't", "Flat"),
        ("flat", "X-Men", "flat"),
    ],
)
def test_case(word: str, old: str, written: str):
    assert written_like(word, old) == written


def test_a_masked_lm_sees_the_text_as_it_stands():
    text = AttackText.of(["A dull film.", "Why?"]).replaced(0, "One")
    swap = MaskedLMSwap("[MASK]")
    answers = [["bright", "dull", "a-b", "33", "two words", "[UNK]", "x2", "bright"], []]
    asked, found = driven(swap.candidates(text, [1, 3], attempt_on("")), lambda _: answers)
    assert asked == [AskWords(["One [MASK] film.\nWhy?", "One dull film.\n[MASK]?"])]
    words = ["bright", "a-b", "[UNK]", "x2", "bright"]  # not the word itself, nor what has no letter or is not one word
    assert [one.texts for one in found] == [(f"One {word} film.", "Why?") for word in words]
    assert all(one.new == (1,) and one.changed == {0, 1} for one in found)


def test_a_masked_lm_is_not_asked_for_nothing():
    assert made(MaskedLMSwap("[MASK]"), "a b", []) == []


def test_kinds_of_typing_errors_come_one_after_the_other_and_equal_texts_once():
    swap = CharacterSwap([lambda word, _: deletions(word), lambda word, _: [word[0], word[:-1] + "x"]])
    assert made(swap, "ab cd", [1, 0]) == ["ab d", "ab c", "b cd", "a cd", "ab cx", "ax cd"]


def test_chance_is_drawn_kind_by_kind_and_place_by_place():
    drawn: list[str] = []

    def noted(kind: str):
        def change(word: str, draw: Draw) -> list[str]:
            drawn.append(f"{kind} {word}")
            return [f"{word}{draw.below(1000)}"]

        return change

    texts = made(CharacterSwap([noted("first"), noted("second")]), "a b", [1, 0])
    assert drawn == ["first b", "first a", "second b", "second a"]
    numbers = Draw("test")
    written = [numbers.below(1000) for _ in range(4)]
    assert texts == [f"a b{written[0]}", f"a{written[1]} b", f"a b{written[2]}", f"a{written[3]} b"]


def test_typing_errors_of_one_example_are_its_own():
    swap = CharacterSwap([one_insertion, lambda word, _: neighbour_swaps(word)])
    text = AttackText.of(["wonderful film"])

    def from_key(key: str) -> list[str]:
        attempt = attempt_on("wonderful film")
        attempt.draw = Draw(key)
        return [one.text for one in driven(swap.candidates(text, [0, 1], attempt))[1]]

    assert from_key("1") == from_key("1") != from_key("2")
