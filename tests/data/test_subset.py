"""Subsets by arithmetic: sizes, proportions, nesting, and the same choice in every process."""

import itertools
import subprocess
import sys
from collections import Counter

import pytest

from kdlab.data.examples import Examples
from kdlab.data.subset import carve, limit, limit_and_rest
from kdlab.errors import KdlabError


def make(labels: list[int] | list[float] | None, size: int | None = None) -> Examples:
    size = len(labels) if labels is not None else size or 0
    text = tuple(f"t{i}" for i in range(size))
    return Examples(tuple(range(size)), text, None, None if labels is None else tuple(labels))


SKEWED = make([0] * 900 + [1] * 90 + [2] * 10)
SCORES = make([i / 100 for i in range(500)])


@pytest.mark.parametrize(
    ("amount", "counts"), [("10%", (90, 9, 1)), ("50%", (450, 45, 5)), ("100", (90, 9, 1)), (" 10 % ", (90, 9, 1))]
)
def test_labels_keep_their_proportions(amount, counts):
    got = Counter(limit(SKEWED, amount, 0).labels)
    assert all(abs(got[i] - count) <= 1 for i, count in enumerate(counts))
    assert sum(got.values()) == sum(counts)


def test_every_label_stays_however_small_the_share():
    assert Counter(limit(SKEWED, "0.1%", 0).labels) == {0: 1, 1: 1, 2: 1}
    assert Counter(limit(SKEWED, "3", 0).labels) == {0: 1, 1: 1, 2: 1}
    assert set(limit(SKEWED, "1%", 0).labels) == {0, 1, 2}


@pytest.mark.parametrize("examples", [SKEWED, SCORES, make(None, 300)], ids=["classes", "scores", "unlabelled"])
@pytest.mark.parametrize("seed", [0, 1, 17])
def test_subsets_of_one_seed_are_nested_and_in_order(examples, seed):
    sizes = ["1%", "2%", "25", "10%", "50%", "99%", "100%"]
    subsets = [limit(examples, amount, seed).ids for amount in sizes]
    for small, large in itertools.pairwise(subsets):
        assert set(small) <= set(large)
    assert all(list(ids) == sorted(ids) for ids in subsets)
    assert subsets[-1] == examples.ids


def test_scores_keep_their_spread():
    subset = limit(SCORES, "4%", 0)
    assert Counter(int(score // 0.5) for score in subset.labels) == dict.fromkeys(range(10), 2)


def test_another_seed_is_another_subset():
    assert limit(SKEWED, "10%", 0).ids != limit(SKEWED, "10%", 1).ids
    assert limit(SKEWED, "10%", 0) == limit(SKEWED, "10%", 0)


def test_rounding_is_to_the_nearest():
    assert len(limit(make([0, 1] * 1245), "1%", 0)) == 25  # 24.9, as in RTE
    assert len(limit(make([0, 1] * 1245), "0.5%", 0)) == 12


@pytest.mark.parametrize("amount", ["1000", "1001", "999999999", "100%", "100.0%"])
def test_an_amount_that_reaches_the_size_keeps_all(amount):
    assert limit(SKEWED, amount, 0) == SKEWED


@pytest.mark.parametrize("amount", ["0", "-3", "abc", "150%", "0%", "", "%", "1.5", "1e3", "nan", "100.1%", "٣", "5%%"])
def test_bad_amounts(amount):
    with pytest.raises(KdlabError, match="write for example 500 or 10%"):
        limit(SKEWED, amount, 0)


def test_fewer_examples_than_labels():
    with pytest.raises(KdlabError, match="'2' is less than the 3 labels"):
        limit(SKEWED, "2", 0)


@pytest.mark.parametrize("examples", [SKEWED, SCORES], ids=["classes", "scores"])
@pytest.mark.parametrize(("fraction", "at_most", "size"), [(0.1, None, 0.1), (0.1, 20, None), (0.5, None, 0.5)])
def test_carving_parts_the_examples(examples, fraction, at_most, size):
    train, held_out = carve(examples, fraction, 3, at_most)
    assert sorted(train.ids + held_out.ids) == list(examples.ids)
    assert list(train.ids) == sorted(train.ids)
    assert list(held_out.ids) == sorted(held_out.ids)
    assert len(held_out) == (at_most if size is None else size * len(examples))
    if examples is SKEWED:
        assert set(train.labels) == set(held_out.labels) == {0, 1, 2}


def test_carving_needs_two_of_each_label():
    assert [p.labels for p in carve(make([0, 0, 1, 1]), 0.1, 0)] == [(0, 1), (0, 1)]
    with pytest.raises(KdlabError, match="none of label number 1, which has 1"):
        carve(make([0] * 20 + [1]), 0.1, 0)
    with pytest.raises(KdlabError, match="none of label number"):
        carve(make([0] * 20 + [1] * 2), 0.95, 0)


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1, 7, float("nan")])
def test_bad_fractions(fraction):
    with pytest.raises(KdlabError, match="between 0 and 1"):
        carve(SKEWED, fraction, 0)


def test_carving_bounds():
    with pytest.raises(KdlabError, match="At most 2 examples may be held out, but 3 are needed"):
        carve(SKEWED, 0.1, 0, at_most=2)
    for empty in (make([]), make([0.5]), make([1])):
        with pytest.raises(KdlabError, match=r"too few|none of label"):
            carve(empty, 0.5, 0)


def test_the_choice_is_the_same_in_another_process():
    code = (
        "from kdlab.data.examples import Examples; from kdlab.data.subset import carve, limit\n"
        "e = Examples(tuple(range(60)), ('t',) * 60, None, (0, 1, 1) * 20)\n"
        "print(limit(e, '10%', 5).ids, carve(e, 0.1, 5)[1].ids)"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": seed}
        ).stdout
        for seed in ("1", "2")
    }
    examples = Examples(tuple(range(60)), ("t",) * 60, None, (0, 1, 1) * 20)
    assert outputs == {f"{limit(examples, '10%', 5).ids} {carve(examples, 0.1, 5)[1].ids}\n"}


def test_so_many_of_each_class_are_nested():
    wanted = ["2 a class", "5 a class", "10 a class"]
    small, middle, large = (limit(SKEWED, amount, 7) for amount in wanted)
    assert Counter(large.labels) == {0: 10, 1: 10, 2: 10}
    assert set(small.ids) < set(middle.ids) < set(large.ids)
    assert list(middle.ids) == sorted(middle.ids)
    chosen, rest = limit_and_rest(SKEWED, "5 a class", 7)
    assert chosen == middle
    assert sorted(chosen.ids + rest.ids) == list(SKEWED.ids)
    assert limit(SKEWED, "5 a class", 8).ids != middle.ids


@pytest.mark.parametrize(
    ("examples", "amount", "words"),
    [
        (make([0] * 9 + [1] * 9), "3 a class", ["label 'rare' has 0", "ask for fewer"]),
        (SKEWED, "11 a class", ["11 training examples of each label", "label 'rare' has 10", "ask for fewer"]),
        (SKEWED, "0 a class", ["'0 a class'", "40 a class"]),
        (SKEWED, "a class", ["'a class'"]),
        (SCORES, "5 a class", ["these examples have scores", "--limit-train"]),
    ],
)
def test_what_each_class_can_not_give(examples, amount, words):
    with pytest.raises(KdlabError) as error:
        limit_and_rest(examples, amount, 0, ("common", "some", "rare"))
    assert all(word in str(error.value) for word in words), str(error.value)
