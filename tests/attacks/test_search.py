"""Which word falls first, which candidate wins, and how many questions that takes, on hand-made victims."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from attack_fixtures import Cosines, Listed, Told, Weighed, attacked, attempt_on, made, swaps

from kdlab.attacks.attempt import FAILED, SUCCEEDED, Attack
from kdlab.attacks.constraints import Changed, SentenceSimilarity, StopWords
from kdlab.attacks.engine import Models
from kdlab.attacks.search import Greedy, WordImportance
from kdlab.attacks.transformations import MaskedLMSwap

BOTH = pytest.mark.parametrize("compat", [False, True])
REST = " " + " ".join(f"w{i}" for i in range(14))  # with one word before it a text is as long as the window


@BOTH
def test_the_most_important_word_falls_first(compat: bool):
    victim = Weighed(a=1, b=3, c=2, p=-1)
    attempt, status = attacked("a b c", attack=swaps(a="p", b="q", c="r"), models=victim, compat=compat)
    assert victim.asked == [["a b c"], ["b c", "a c", "a b "], ["a q c"], ["a q r"], ["p q r"]]
    assert (status, made(attempt)) == (SUCCEEDED, "p q r")
    assert (attempt.queries, attempt.passes) == (7, 7)
    assert attempt.before == victim.score("a b c")
    assert attempt.best.score == victim.score("p q r")


@BOTH
def test_it_ends_with_the_first_success(compat: bool):
    victim = Weighed(a=1, b=3, q=-2)
    attempt, status = attacked("a b", attack=swaps(a="p", b="q"), models=victim, compat=compat)
    assert victim.asked == [["a b"], ["b", "a "], ["a q"]]
    assert (status, made(attempt), attempt.queries) == (SUCCEEDED, "a q", 4)


@BOTH
def test_importance_with_a_token_in_the_word_s_place(compat: bool):
    victim = Weighed(a=1, b=2, UNK=-1)
    attack = swaps(WordImportance("[UNK]"), a="p", b="q")
    attempt, status = attacked("a b", attack=attack, models=victim, compat=compat)
    assert victim.asked == [["a b"], ["[UNK] b", "a [UNK]"], ["a q"], ["p q"]]
    assert (status, attempt.queries) == (FAILED, 5)  # nothing is left that weighs, which is a draw


@BOTH
def test_words_that_stay_are_not_even_measured(compat: bool):
    victim = Weighed(a=1, b=2)
    attack = replace(swaps(a="p", b="q"), unchangeable=[StopWords(["b"])])
    attempt, _ = attacked("a b", attack=attack, models=victim, compat=compat)
    assert victim.asked == [["a b"], ["b"], ["p b"]]
    assert attempt.queries == 3


@BOTH
@pytest.mark.parametrize("weight", [2.0, 2.5])
def test_a_change_that_does_not_raise_the_score_is_dropped(compat: bool, weight: float):
    victim = Weighed(a=2, b=1, p=weight, q=0.5)
    attempt, status = attacked("a b", attack=swaps(a="p", b="q"), models=victim, compat=compat)
    assert victim.asked == [["a b"], ["b", "a "], ["p b"], ["a q"]]  # on from the text before, and not from "p b"
    assert (status, made(attempt)) == (FAILED, "a q")
    assert attempt.best.score == victim.score("a q")


@BOTH
def test_a_failed_attack_ends_with_the_best_text_and_all_its_queries(compat: bool):
    victim = Weighed(a=3, b=2, c=1, x=2, y=2.5, z=2)
    attempt, status = attacked("a b c", attack=swaps(a="y z x", c="d e"), models=victim, compat=compat)
    assert status == FAILED
    assert made(attempt) == "x b d"  # x and z weigh the same, and so do d and e: the first in the alphabet
    assert (attempt.queries, attempt.passes) == (1 + 3 + 3 + 0 + 2, 9)


@BOTH
def test_importance_is_measured_once_on_the_example(compat: bool):
    victim = Weighed(a=3, b=2, c=1)
    attempt, _ = attacked("a b c", attack=swaps(a="p", b="q", c="r"), models=victim, compat=compat)
    assert [len(asked) for asked in victim.asked] == [1, 3, 1, 1, 1]
    assert attempt.queries == 7


def test_equally_important_words_fall_from_left_to_right_in_fixed():
    words = [f"w{i}" for i in range(40)]
    victim = Weighed(**dict.fromkeys(words, 0.125))
    attack = swaps(**dict.fromkeys(words, "x"))
    attacked(" ".join(words), attack=attack, models=victim)
    assert victim.asked[2:] == [[" ".join([*["x"] * count, *words[count:]])] for count in range(1, 41)]


def test_equally_important_words_fall_as_numpy_sorts_them_in_compat():
    words = [f"w{i}" for i in range(40)]
    victim = Weighed(**dict.fromkeys(words, 0.125))
    attacked(" ".join(words), attack=swaps(**dict.fromkeys(words, "x")), models=victim, compat=True)
    order = (-np.array([victim.score(text) for text in victim.asked[1]])).argsort().tolist()
    for count, asked in enumerate(victim.asked[2:], 1):
        assert {i for i, word in enumerate(asked[0].split()) if word == "x"} == set(order[:count])


@BOTH
def test_equal_texts_count_as_queries_and_are_answered_once(compat: bool):
    victim = Weighed(a=1)
    attempt, _ = attacked("a b b b", attack=swaps(), models=victim, compat=compat)
    assert victim.asked == [["a b b b"], ["b b b", "a b b", "a b b "]]  # the last word leaves its blank
    assert (attempt.queries, attempt.passes) == (5, 4)


@BOTH
def test_a_masked_lm_s_word_that_comes_twice_counts_twice(compat: bool):
    words = Listed({"[MASK] b": ["p", "q", "p"]})
    models = Models(Weighed(a=2, p=1, q=1), words)
    attack = Attack(MaskedLMSwap("[MASK]"), WordImportance(), unchangeable=[Changed()])
    attempt, status = attacked("a b", attack=attack, models=models, compat=compat)
    assert (status, made(attempt)) == (FAILED, "p b")
    assert (attempt.queries, attempt.passes) == (1 + 2 + 3, 5)
    assert words.asked == [["[MASK] b"], ["p [MASK]"]]  # in the text as it stands


@BOTH
def test_a_text_that_was_asked_for_before_counts_again(compat: bool):
    attempt, _ = attacked("a b", attack=swaps(WordImportance("x"), a="x"), models=Weighed(a=2), compat=compat)
    assert (attempt.queries, attempt.passes) == (1 + 2 + 1, 3)


THREE = {
    "w": (0.5, 0.3, 0.2),
    "p": (0.375, 0.35, 0.275),  # highest score, not fooled
    "q": (0.4, 0.5, 0.1),  # fooled
    "r": (0.42, 0.08, 0.5),  # fooled, less so
}


def test_with_three_labels_a_success_behind_the_highest_score_counts_in_fixed_alone():
    attempt, status = attacked("w", attack=swaps(w="r q p"), models=Told(THREE, (0.5, 0.3, 0.2)), compat=True)
    assert (status, made(attempt)) == (FAILED, "p")
    attempt, status = attacked("w", attack=swaps(w="r q p"), models=Told(THREE, (0.5, 0.3, 0.2)), compat=False)
    assert (status, made(attempt)) == (SUCCEEDED, "q")
    assert attempt.best.predicted == 1
    assert (attempt.queries, attempt.passes) == (5, 5)


def test_a_success_whose_score_does_not_rise_counts_in_fixed_alone():
    rows = {"w": (0.34, 0.33, 0.33), "p": (0.4, 0.6, 0.0)}
    attempt, status = attacked("w", attack=swaps(w="p"), models=Told(rows, (0.9, 0.1, 0.0)), compat=True)
    assert (status, made(attempt)) == (FAILED, "w")
    attempt, status = attacked("w", attack=swaps(w="p"), models=Told(rows, (0.9, 0.1, 0.0)), compat=False)
    assert (status, made(attempt)) == (SUCCEEDED, "p")


FOUR = {
    "a": ((0.1, 0.9, 0.0), 0.5),  # fooled, the highest score
    "b": ((0.2, 0.8, 0.0), 0.75),  # fooled, more similar
    "c": ((0.34, 0.33, 0.33), 0.875),  # not fooled
    "d": ((0.4, 0.6, 0.0), 0.9375),  # fooled, the most similar of all
}


def test_of_successes_the_most_similar_wins_in_compat_among_those_in_front():
    victim = Told({name + REST: row for name, (row, _) in FOUR.items()}, (0.8, 0.1, 0.1))
    attack = replace(swaps(o=" ".join(FOUR)), constraints=[SentenceSimilarity(0.25, angular=False, to_original=True)])
    for compat, best in ((True, "b"), (False, "d")):
        models = Models(victim, None, Cosines(lambda _, after: FOUR[after[0]][1]))
        attempt, status = attacked("o" + REST, attack=attack, models=models, compat=compat)
        assert (status, made(attempt)) == (SUCCEEDED, best + REST)
        assert attempt.best.text.values == {"similarity": FOUR[best][1]}


@BOTH
def test_equally_similar_successes_and_those_of_short_texts_are_taken_by_score(compat: bool):
    victim = Told({name: row for name, (row, _) in FOUR.items()}, (0.8, 0.1, 0.1))
    for constraints in ([], [SentenceSimilarity(0.99, angular=False, to_original=True)]):
        attack = replace(swaps(o="d c b a"), constraints=constraints)
        attempt, status = attacked("o", attack=attack, models=victim, compat=compat)
        assert (status, made(attempt)) == (SUCCEEDED, "a")


@BOTH
def test_a_candidate_that_no_constraint_lets_pass_is_not_asked_for(compat: bool):
    victim = Weighed(o=1, a=-1)
    attack = replace(swaps(o="a b"), constraints=[SentenceSimilarity(0.5, angular=False, to_original=True)])
    models = Models(victim, None, Cosines(lambda _, after: 0.25 if after[0] == "a" else 0.75))
    attempt, status = attacked("o" + REST, attack=attack, models=models, compat=compat)
    assert status == FAILED
    assert victim.asked[2:] == [["b" + REST]]
    assert made(attempt) == "b" + REST
    assert attempt.queries == 1 + 15 + 1


@BOTH
def test_greedy_goes_on_from_the_best_candidate_whether_the_score_rises_or_not(compat: bool):
    victim = Weighed(a=1, b=1, p=2, q=3)
    attack = replace(swaps(Greedy(), a="p", b="q"), unchangeable=[Changed()])
    attempt, status = attacked("a b", attack=attack, models=victim, compat=compat)
    assert victim.asked == [["a b"], ["a q", "p b"], ["p q"]]
    assert (status, made(attempt), attempt.queries) == (FAILED, "p q", 4)
    assert attempt.best.score < attempt.before


@BOTH
def test_greedy_takes_the_highest_score_of_all_words(compat: bool):
    victim = Weighed(a=1, b=2, p=-1, q=-3, r=-2)
    attack = replace(swaps(Greedy(), a="p r", b="q"), unchangeable=[Changed()])
    attempt, status = attacked("a b", attack=attack, models=victim, compat=compat)
    assert victim.asked == [["a b"], ["a q", "p b", "r b"]]  # "a q" and "r b" come to -2 and 0
    assert (status, made(attempt), attempt.queries) == (SUCCEEDED, "a q", 4)


@BOTH
def test_greedy_without_candidates_fails_at_once(compat: bool):
    attempt, status = attacked("a b", attack=swaps(Greedy()), models=Weighed(a=1), compat=compat)
    assert (status, made(attempt), attempt.queries) == (FAILED, "a b", 1)


def test_greedy_with_three_labels_sees_any_success_in_fixed_alone():
    attack = replace(swaps(Greedy(), w="r q p"), unchangeable=[Changed()])
    attempt, status = attacked("w", attack=attack, models=Told(THREE, (0.5, 0.3, 0.2)), compat=True)
    assert (status, made(attempt)) == (FAILED, "p")
    attempt, status = attacked("w", attack=attack, models=Told(THREE, (0.5, 0.3, 0.2)), compat=False)
    assert (status, made(attempt)) == (SUCCEEDED, "q")


def test_greedy_in_compat_goes_on_from_where_numpy_s_sort_begins():
    """TextAttack's beam takes its text from an unstable sort, and its result from the first of the highest scores."""
    victim = Weighed(a=1, b=0.5)
    attack = swaps(Greedy(), a=" ".join(f"p{i:02}" for i in range(40)), b="q")
    attempt, _ = attacked("a b", attack=attack, models=victim, compat=True)
    order = (-np.array([victim.score(text) for text in victim.asked[1]])).argsort()
    beginning = victim.asked[1][order[0]]
    assert beginning.endswith(" b")  # one of 40 whose scores are equal
    assert victim.asked[2] == [beginning.replace("b", "q")]
    assert attempt.queries == 1 + 41 + 1


def test_attacks_know_nothing_of_each_other():
    attack, victim = swaps(a="p", b="q"), Weighed(a=2, b=1)
    first, _ = attacked("a b", attack=attack, models=victim)
    again, _ = attacked("a b", attack=attack, models=victim)
    assert (first.queries, first.passes) == (again.queries, again.passes) == (5, 5)
    assert attempt_on("a b", attack=attack).queries == 0
