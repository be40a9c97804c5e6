"""Verdicts: the arithmetic of each test by hand, and how often they err in simulated studies."""

from __future__ import annotations

import dataclasses
import itertools
import math

import numpy as np
import pytest
import torch

from kdlab.evaluation.metrics import evaluate
from kdlab.studies.pairs import Pairs, score
from kdlab.studies.verdicts import CONTRADICTED, REPRODUCED, UNDECIDED, judge, judge_all, least_seeds, p_value


def figures(gains, size: int = 4) -> Pairs:
    """Seeds whose differences are given, the same for every example."""
    better = np.repeat(np.asarray(gains, dtype=float)[:, None], size, axis=1)
    return Pairs(better, np.zeros_like(better), np.zeros(size), "mean")


def answers(right: str, wrong: str) -> Pairs:
    """One seed: which of the examples each of two students has right."""
    better, than = (np.array([[int(c) for c in text]]) for text in (right, wrong))
    return Pairs(better, than, np.ones(len(right), dtype=int), "accuracy")


def test_all_signs_are_flipped():
    gains = [0.03, 0.01, 0.02, -0.005]
    means = [
        np.mean([s * g for s, g in zip(signs, gains, strict=True)]) for signs in itertools.product([1, -1], repeat=4)
    ]
    expected = sum(mean >= np.mean(gains) - 1e-12 for mean in means) / 16
    assert expected == 2 / 16
    assert p_value(figures(gains)) == pytest.approx(expected)
    assert p_value(figures(gains), -1) == pytest.approx(sum(mean <= np.mean(gains) + 1e-12 for mean in means) / 16)
    assert p_value(figures([0.01, 0.02, 0.03])) == 1 / 8
    assert p_value(figures([0.0, 0.0, 0.0])) == 1
    assert 0 < p_value(figures([0.01] * 30)) < 1e-3  # too many flips to count them all


def test_less_can_be_better():
    pairs = figures([0.1, 0.2, 0.3])
    lower = Pairs(pairs.better, pairs.than, pairs.gold, "mean", lower=True)
    assert lower.differences.tolist() == pytest.approx([-0.1, -0.2, -0.3])
    assert p_value(lower, -1) == 1 / 8


def test_one_seed_is_decided_by_the_examples():
    pairs = answers("11111100000", "00000011000")  # six that only the one has right, two that only the other one has
    assert p_value(pairs) == pytest.approx(sum(math.comb(8, k) for k in (6, 7, 8)) / 2**8)
    assert p_value(pairs, -1) == pytest.approx(sum(math.comb(8, k) for k in range(2, 9)) / 2**8)
    assert p_value(answers("1100", "1100")) == 1
    assert p_value(Pairs(np.array([[0.5, 1.0]]), np.array([[0.4, 2.0]]), np.array([1.0, 0.0]), "pearson")) == 1
    decided = judge([answers("1" * 20 + "0" * 5, "0" * 20 + "10000")])[0]
    assert (decided.answer, decided.test, decided.seeds) == (REPRODUCED, "McNemar", 1)
    assert decided.needed is None  # one seed tells nothing of how seeds differ
    assert decided.effect == pytest.approx(19 / 25)
    assert 0.4 < decided.low < decided.effect < decided.high < 1


def test_one_seed_decides_about_accuracy_in_the_claims_direction():
    pairs = answers("1" * 20 + "0" * 5, "0" * 20 + "10000")
    less = Pairs(pairs.better, pairs.than, pairs.gold, "accuracy", lower=True)
    assert judge([less])[0].answer == CONTRADICTED
    f1 = Pairs(pairs.better, pairs.than, pairs.gold, "f1")
    decided = judge([f1])[0]
    assert (decided.answer, decided.p) == (UNDECIDED, 1.0)  # more right answers may be a lower F1
    assert decided.note == "one seed can't decide: McNemar's test is for accuracy alone"


def test_many_claims_are_corrected_by_holm():
    strong, weak = figures([0.02, 0.03, 0.02, 0.04, 0.03]), figures([0.02, -0.03, 0.01, 0.02, -0.01])
    alone = judge([strong])[0]
    assert (alone.answer, alone.p) == (REPRODUCED, 1 / 32)
    first, second = judge([strong, weak])
    assert (first.answer, first.p) == (UNDECIDED, 2 / 32)
    assert first.note == "5 seeds can't decide among 2 claims, whatever they say: 6 are the fewest"
    assert second.p == pytest.approx(max(2 / 32, p_value(weak)))
    assert judge([figures([-0.02, -0.03, -0.02, -0.04, -0.03])])[0].answer == CONTRADICTED
    assert judge([]) == []


def test_too_few_seeds_are_told_how_many_would_do():
    assert [least_seeds(claims) for claims in (1, 2, 3, 10)] == [5, 6, 6, 8]
    few = judge([figures([0.02, 0.021, 0.019])])[0]
    assert (few.answer, few.p) == (UNDECIDED, 1 / 8)
    assert few.note == "3 seeds can't decide, whatever they say: 5 are the fewest"
    assert few.needed == 5
    assert judge([figures([0.0, 0.02] * 5)])[0].needed == pytest.approx(9, abs=1)  # d = .95; Cohen's table for .8: 9
    almost = judge([figures([0.02, 0.03, 0.02, 0.04, -0.001])])[0]
    assert almost.answer == UNDECIDED
    assert almost.needed is not None
    assert almost.needed > 5  # five have not
    assert judge([figures([-0.01, 0.01, -0.02, 0.005, 0.0])])[0].needed is None


def test_the_interval_draws_seeds_and_examples():
    random = np.random.default_rng(1)
    gold = random.integers(2, size=400)
    shared = random.random((2, 1, 400)) < np.array([0.80, 0.78])[:, None, None]  # the same answers for every seed
    alike = Pairs(*(np.where(np.repeat(right, 5, axis=0), gold, 1 - gold) for right in shared), gold, "accuracy")
    low, high = alike.interval()
    assert alike.differences.std() == 0
    assert high - low == pytest.approx(2 * 1.96 * math.sqrt((0.8 * 0.2 + 0.78 * 0.22) / 400), rel=0.25)
    apart = figures([-0.1, 0.0, 0.1, 0.2])
    low, high = apart.interval()
    assert -0.1 <= low < 0 < 0.1 < high <= 0.2
    assert apart.interval() == apart.interval()


@pytest.mark.parametrize("metric", ["accuracy", "f1", "matthews", "pearson", "spearman"])
def test_metrics_are_those_of_the_records(metric: str):
    random = np.random.default_rng(0)
    if metric in ("pearson", "spearman"):
        gold, said = random.normal(size=50).round(1), random.normal(size=(3, 50)).round(1)
        logits = [torch.from_numpy(row)[:, None].float() for row in said]
        labels = torch.from_numpy(gold)
    else:
        gold, said = random.integers(2, size=50), random.integers(2, size=(3, 50))
        logits = [torch.nn.functional.one_hot(torch.from_numpy(row), 2).float() for row in said]
        labels = torch.from_numpy(gold)
    expected = [evaluate(row, labels, [metric], metric in ("pearson", "spearman"))[metric] for row in logits]
    assert score(metric, said, gold).tolist() == pytest.approx(expected, abs=1e-6)
    assert score(metric, np.zeros((2, 50)), gold)[0] in (0, (gold == 0).mean())
    drawn = random.integers(50, size=(4, 1, 50))
    many = score(metric, said[np.arange(3)[None, :, None], drawn], gold[drawn])
    assert many.shape == (4, 3)
    assert many[2, 1] == pytest.approx(float(score(metric, said[1, drawn[2, 0]], gold[drawn[2, 0]])))


def test_matthews_of_three_classes():
    random = np.random.default_rng(3)
    gold, said = random.integers(3, size=60), random.integers(3, size=60)
    logits = torch.nn.functional.one_hot(torch.from_numpy(said), 3).float()
    expected = evaluate(logits, torch.from_numpy(gold), ["matthews"], False)["matthews"]
    assert float(score("matthews", said, gold)) == pytest.approx(expected, abs=1e-6)


def simulated(effect: float, seeds: int, random: np.random.Generator) -> Pairs:
    """A study whose seeds have a standard deviation of 1 and whose students differ by an effect."""
    return figures(random.normal(effect, 1.0, size=seeds), size=1)


def share_reproduced(effect: float, seeds: int, studies: int) -> float:
    random = np.random.default_rng(seeds)
    return sum(p_value(simulated(effect, seeds, random)) <= 0.05 for _ in range(studies)) / studies


@pytest.mark.parametrize("seeds", [3, 5, 10])
def test_no_effect_is_hardly_ever_reproduced(seeds: int):
    share = share_reproduced(0.0, seeds, 400)
    assert share <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / 400)
    if seeds == 3:
        assert share == 0  # the smallest p is 1/8


def test_an_effect_of_twice_the_deviation_of_seeds_is_reproduced_with_ten():
    assert share_reproduced(2.0, 10, 100) >= 0.8


def seeds_of(*texts: str, than: str, over: str = "examples") -> Pairs:
    """Seeds of one student against the same answers of another: which of the examples each has right."""
    better = np.array([[int(c) for c in text] for text in texts])
    other = np.array([[int(c) for c in than]] * len(texts))
    return Pairs(better, other, np.ones(len(than), dtype=int), "accuracy", over=over)


def test_examples_decide_where_all_seeds_agree():
    base = "0" * 30
    one, two = "1" * 12 + "0" * 18, "1" * 6 + "0" * 24
    agreed = judge([seeds_of(one, two, one, than=base)])[0]
    assert (agreed.answer, agreed.test, agreed.agree, agreed.over) == (
        REPRODUCED,
        "sign-flip over examples",
        3,
        "examples",
    )
    assert agreed.p == pytest.approx(2**-12)  # twelve examples with a gain, and no other way gives as much
    assert agreed.effect == pytest.approx((12 + 6 + 12) / 90)
    few = judge([seeds_of(one, two, than=base)])[0]
    assert (few.answer, few.note) == (UNDECIDED, "2 seeds can't decide: 3 are the fewest, or one alone")
    lost = "0" * 29 + "1"
    torn = judge([seeds_of(one, one, lost, than="0" * 28 + "11")])[0]
    assert (torn.answer, torn.note) == (UNDECIDED, "2 of 3 seeds agree")
    against = judge([seeds_of(base, base, base, than=one)])[0]
    assert (against.answer, against.agree) == (CONTRADICTED, 0)
    single = judge([seeds_of(one, than=base)])[0]
    assert (single.answer, single.test) == (REPRODUCED, "McNemar")


def test_of_many_seeds_one_may_differ():
    up, down = "1" * 15 + "0" * 15, "0" * 30
    nine = seeds_of(*[up] * 9, down, than="0" * 29 + "1")
    assert nine.agreeing() == 9
    assert judge([nine])[0].answer == REPRODUCED  # the test over ten seeds rejects by itself
    assert judge([seeds_of(*[up] * 3, down, than="0" * 29 + "1")])[0].answer == UNDECIDED  # that over four can't


def test_figures_of_examples_are_tested_over_them_only_when_asked():
    gains = np.full((1, 40), 0.5)
    figures_of = [Pairs(gains, np.zeros((1, 40)), np.zeros(40), "mean", over=over) for over in ("seeds", "examples")]
    first, second = (judge([one])[0] for one in figures_of)
    assert (first.answer, first.p) == (UNDECIDED, 1.0)
    assert (second.answer, second.test, second.p) == (REPRODUCED, "sign-flip over examples", pytest.approx(2**-40))
    together = judge([Pairs(gains > 0, gains < 0, np.ones(40), "f1", over="examples")])[0]
    assert (together.answer, together.note) == (UNDECIDED, "examples can't decide: f1 is of all of them together")


def test_undecided_examples_are_told_how_many_would_do():
    gains = np.array([[1.0] * 6 + [-1.0] * 3 + [0.0] * 91])
    one = judge([Pairs(gains, np.zeros_like(gains), np.zeros(100), "mean", over="examples")])[0]
    assert one.answer == UNDECIDED
    mean, sd = gains.mean(), gains.std(ddof=1)
    assert one.needed == pytest.approx(((1.6449 + 0.8416) * sd / mean) ** 2, rel=0.01)


def test_a_claim_of_several_pairs_is_true_where_each_is():
    base, strong, weak = "0" * 40, "1" * 20 + "0" * 20, "1" * 3 + "0" * 37
    pairs = [answers(text, base) for text in (strong, weak)]
    both = judge_all([pairs])[0]
    assert (both.answer, both.p, both.effect) == (UNDECIDED, 1 / 8, pytest.approx(3 / 40))  # the weaker one's
    assert judge_all([[answers(strong, base), answers("1" * 10 + "0" * 30, base)]])[0].answer == REPRODUCED
    worse = judge_all([[answers(strong, base), answers(base, strong)]])[0]
    assert (worse.answer, worse.effect) == (CONTRADICTED, pytest.approx(-0.5))
    assert judge_all([]) == []


def test_the_rows_of_the_weakest_pair_are_named():
    named = [
        dataclasses.replace(answers(text, "0" * 20), rows=("A", name))
        for text, name in (("1" * 20, "B"), ("1" * 9 + "0" * 11, "C"))
    ]
    assert judge_all([named])[0].rows == ("A", "C")


def attacked(effect: float, seeds: int, spread: float, random: np.random.Generator) -> Pairs:
    """Two students of each seed on 300 sentences; what a seed adds to the chance to survive is drawn anew for each."""
    base = random.random(300) * 0.6 + 0.2
    shifts = random.normal(0.0, spread, size=(2, seeds, 1))
    better = random.random((seeds, 300)) < base + effect + shifts[0]
    than = random.random((seeds, 300)) < base + shifts[1]
    return Pairs(better.astype(int), than.astype(int), np.ones(300, dtype=int), "accuracy", over="examples")


def share_over_examples(effect: float, seeds: int, spread: float, studies: int = 300) -> float:
    random = np.random.default_rng(seeds)
    drawn = [attacked(effect, seeds, spread, random) for _ in range(studies)]
    return sum(p_value(one) <= 0.05 and (seeds == 1 or one.agreeing() == seeds) for one in drawn) / studies


@pytest.mark.parametrize("seeds", [1, 3, 5])
def test_examples_hardly_ever_reproduce_what_is_not_so_of_these_students(seeds: int):
    assert share_over_examples(0.0, seeds, 0.0) <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / 300)


def test_seeds_that_differ_much_agree_by_chance_as_often_as_is_said():
    three, five = (share_over_examples(0.0, seeds, 0.1) for seeds in (3, 5))
    assert three <= 1 / 8 + 2 * math.sqrt(1 / 8 * 7 / 8 / 300)
    assert five <= 1 / 32 + 2 * math.sqrt(1 / 32 * 31 / 32 / 300)


def test_an_effect_is_found_over_examples():
    assert share_over_examples(0.12, 3, 0.02, 100) >= 0.8
