"""What an attack on one example asks for and counts, and the order of its words and candidates."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from attack_fixtures import Weighed, attacked, attempt_on, driven, swaps

from kdlab.attacks.asks import AskVictim, at_once
from kdlab.attacks.attempt import FAILED, SKIPPED, Attack, Attempt
from kdlab.attacks.constraints import Changed, Constraint, Short, StopWords, WordsChanged
from kdlab.attacks.search import Greedy, WordImportance
from kdlab.attacks.text import AttackText
from kdlab.attacks.transformations import CharacterSwap


def scored(attempt: Attempt, texts: list[str], *rows: list[float], dtype: torch.dtype = torch.float64) -> list[float]:
    """Scores of texts where the victim gives these rows to those that it is asked for."""
    asked, found = driven(attempt.score([AttackText.of([t]) for t in texts]), lambda _: torch.tensor(rows, dtype=dtype))
    assert sum(len(one.items) for one in asked) == len(rows)
    return [one.score for one in found]


def test_equal_texts_and_known_ones_count_but_are_not_asked_for_again():
    attempt = attempt_on("a", compat=True)
    assert scored(attempt, ["x", "y", "x"], [0.5, 0.5], [0.75, 0.25]) == [0.5, 0.25, 0.5]
    assert (attempt.queries, attempt.passes) == (3, 2)
    assert scored(attempt, ["y", "z", "y"], [0.125, 0.875]) == [0.25, 0.875, 0.25]
    assert (attempt.queries, attempt.passes) == (6, 3)
    assert scored(attempt, ["z", "x"]) == [0.875, 0.5]
    assert scored(attempt, []) == []
    assert (attempt.queries, attempt.passes) == (8, 3)


def test_texts_of_a_pair_are_other_than_one_text():
    attempt = attempt_on("a\nb")
    steps = attempt.score([AttackText.of(["a\nb"]), AttackText.of(["a", "b"])])
    asked, _ = driven(steps, lambda _: torch.zeros(2, 2))
    assert asked == [AskVictim([("a\nb",), ("a", "b")])]


@pytest.mark.parametrize("compat", [False, True])
def test_an_example_that_the_victim_gets_wrong_is_skipped(compat: bool):
    victim = Weighed(a=-1)
    attempt, status = attacked("a b", attack=swaps(a="x"), models=victim, compat=compat)
    assert status == SKIPPED
    assert (attempt.queries, attempt.passes) == (1, 1)
    assert victim.asked == [["a b"]]
    assert attempt.best is not None
    assert attempt.before == attempt.best.score == victim.score("a b")


@pytest.mark.parametrize("compat", [False, True])
@pytest.mark.parametrize(
    "search", [WordImportance(), WordImportance("[UNK]"), Greedy()], ids=["deletion", "unknown", "greedy"]
)
@pytest.mark.parametrize("texts", [("",), ("...",), ("🙂", ""), ("", "")])
def test_an_example_without_words_fails_or_is_skipped(texts: tuple[str, ...], search, compat: bool):
    attempt, status = attacked(*texts, attack=swaps(search, a="x"), models=Weighed(), compat=compat)
    assert status == FAILED
    assert (attempt.queries, attempt.passes) == (1, 1)
    assert attempt.best is not None
    assert attempt.best.text.texts == texts
    _, status = attacked(*texts, attack=swaps(search, a="x"), models=Weighed(), label=1, compat=compat)
    assert status == SKIPPED


def test_places_come_in_the_order_of_words_in_fixed():
    attack = replace(swaps(), unchangeable=[Short(2), StopWords(["the"]), Changed()])
    text = AttackText.of(["The a film the dull b"]).replaced(4, "flat")
    assert attempt_on("", attack=attack, compat=False).places(text) == [2]
    assert attempt_on("", attack=attack, compat=True).places(text) == [0, 2]
    assert attempt_on("", attack=attack).places(text, [4, 2, 9]) == [2]
    assert attempt_on("", attack=attack).places(text, []) == []


def test_places_come_in_the_order_of_python_s_sets_in_compat():
    long = [3, 14, 18, 20, 21, 25, 26, 29, 30, 34, 35]
    text = AttackText.of([" ".join("long" if i in long else "s" for i in range(36))])
    attack = replace(swaps(), unchangeable=[Short(4)])
    library = list(set(range(36)) & set(long))
    assert library != sorted(library)
    assert attempt_on("", attack=attack, compat=True).places(text) == library
    assert attempt_on("", attack=attack, compat=False).places(text) == long


def test_candidates_are_sorted_by_their_text_and_never_the_text_itself():
    attempt = attempt_on("b a", attack=swaps(b="z c", a="d b"))
    _, found = driven(attempt.candidates(attempt.original))
    assert [one.text for one in found] == ["b b", "b d", "c a", "z a"]
    _, found = driven(attempt.candidates(attempt.original, [0]))
    assert [one.text for one in found] == ["c a", "z a"]
    attempt = attempt_on("b a", attack=Attack(CharacterSwap([lambda word, _: ["c", word]]), Greedy()))
    _, found = driven(attempt.candidates(attempt.original))
    assert [one.text for one in found] == ["b c", "c a"]


def test_constraints_are_asked_in_turn_while_something_is_left():
    seen: list[tuple[str, list[str]]] = []

    class Noted(Constraint):
        def __init__(self, name: str, letters: str) -> None:
            self.name, self.letters = name, letters

        def kept(self, candidates, text, attempt):
            seen.append((self.name, [one.text for one in candidates]))
            return at_once([one for one in candidates if one.text[0] in self.letters])

    parts = [Noted("first", "xy"), Noted("second", "y"), Noted("third", ""), Noted("fourth", "y"), WordsChanged(1)]
    attempt = attempt_on("a", attack=replace(swaps(a="x z y"), constraints=parts))
    assert driven(attempt.candidates(attempt.original)) == ([], [])
    assert seen == [("first", ["x", "z", "y"]), ("second", ["x", "y"]), ("third", ["y"])]


@pytest.mark.parametrize("compat", [False, True])
def test_the_highest_score_comes_first(compat: bool):
    attempt = attempt_on("a", compat=compat)
    assert attempt.ranked([0.25, 0.75, 0.5]).tolist() == [1, 2, 0]
    assert attempt.ranked([]).tolist() == []


def test_equal_scores_fall_by_position_in_fixed_and_as_numpy_lets_them_in_compat():
    scores = [0.5, 0.25] * 40
    assert attempt_on("a", compat=False).ranked(scores).tolist() == [*range(0, 80, 2), *range(1, 80, 2)]
    library = (-np.array(scores, dtype=np.float32)).argsort().tolist()
    assert attempt_on("a", compat=True).ranked(scores).tolist() == library


@pytest.mark.parametrize("compat", [False, True])
def test_scores_are_compared_in_the_victim_s_precision(compat: bool):
    for dtype, first in ((torch.float32, 0), (torch.float64, 1)):
        attempt = attempt_on("a", compat=compat)
        scored(attempt, ["x"], [0.5, 0.5], dtype=dtype)
        assert attempt.ranked([0.5, 0.5 + 1e-12])[0] == first
