"""One recipe against one victim on a set of examples."""

from __future__ import annotations

import pytest
from attack_fixtures import Told, Weighed, swaps

from kdlab.attacks.api import attack
from kdlab.attacks.attempt import FAILED, SKIPPED, SUCCEEDED
from kdlab.attacks.engine import Models
from kdlab.attacks.study import Target, replayed, run_study
from kdlab.errors import KdlabError

TARGETS = [Target(3, ("a b",), 0), Target(5, ("b",), 0), Target(8, ("a", "c"), 0), Target(9, ("...",), 1)]
VICTIM = Weighed(a=1, b=1, p=-2)


def test_every_example_has_its_outcome():
    found = {one.id: one for one in run_study(TARGETS, swaps(a="p"), Models(VICTIM))}
    assert sorted(found) == [3, 5, 8, 9]
    assert [found[i].status for i in (3, 5, 8, 9)] == [SUCCEEDED, FAILED, SUCCEEDED, SKIPPED]
    assert [found[i].attacked for i in (3, 5, 8, 9)] == [("p b",), ("b",), ("p", "c"), ("...",)]
    assert [found[i].label for i in (3, 9)] == ["good", "bad"]
    assert found[3].score == (VICTIM.score("a b"), VICTIM.score("p b"))
    assert all(one.fools_again is None for one in found.values())


def test_what_is_done_is_left_out():
    victim = Weighed(a=1)
    found = list(run_study(TARGETS, swaps(a="p"), Models(victim), done={3, 5, 9}))
    assert [one.id for one in found] == [8]
    assert {text for asked in victim.asked for text in asked} == {"a\nc", "\nc", "a\n", "p\nc"}


def test_modes():
    rows = {"w": (0.5, 0.3, 0.2), "p": (0.375, 0.35, 0.275), "q": (0.4, 0.5, 0.1)}  # only "q" fools it
    for mode, status, text in (("compat", FAILED, "p"), ("fixed", SUCCEEDED, "q")):
        models = Models(Told(rows, (0.5, 0.3, 0.2)))
        (one,) = run_study([Target(0, ("w",), 0)], swaps(w="p q"), models, mode=mode)
        assert (one.status, one.attacked) == (status, (text,))


def test_an_unknown_mode_is_named():
    with pytest.raises(KdlabError, match="did you mean compat"):
        list(run_study(TARGETS, swaps(), Models(VICTIM), mode="compact"))


def test_successes_are_looked_at_once_more():
    outcomes = list(run_study(TARGETS, swaps(a="p"), Models(VICTIM)))
    by_id = {one.id: one for one in replayed(outcomes, Models(VICTIM))}
    assert {i: one.fools_again for i, one in by_id.items()} == {3: True, 5: None, 8: True, 9: None}
    other = Told({"p b": (0.25, 0.75)}, (0.75, 0.25))
    other.labels = ("good", "bad")
    again = replayed(outcomes, Models(other))
    assert [one.id for one in again] == [one.id for one in outcomes]
    assert {one.id: one.fools_again for one in again} == {3: True, 5: None, 8: False, 9: None}
    assert other.asked == [[one.attacked[0] if len(one.attacked) == 1 else "p\nc" for one in outcomes
                            if one.status == SUCCEEDED]]  # fmt: skip


def test_nobody_is_asked_where_nothing_succeeded():
    victim = Weighed()
    assert replayed([], Models(victim)) == []
    assert victim.asked == []


def call(texts: list[str]) -> list[list[int]]:
    return [[text.count("o"), 2] for text in texts]


def test_a_function_of_texts_is_attacked():
    texts = ["good mood, old room", "no", ""]
    first, second, third = attack(call, texts, [0, 1, 1], ["low", "high"], "deepwordbug")
    assert [one.id for one in (first, second, third)] == [0, 1, 2]
    assert first.texts == (texts[0],)
    assert first.status in (FAILED, SUCCEEDED)
    assert (second.label, second.predicted) == ("high", second.predicted)
    assert third.status == FAILED
    assert attack(call, texts, [0, 1, 1], ["low", "high"], "deepwordbug") == [first, second, third]


@pytest.mark.parametrize(
    ("texts", "labels", "more", "message"),
    [
        (["a"], [0, 1], {}, "There are 1 texts and 2 labels"),
        (["a"], [2], {}, "Label 2: it is a position among low, high, from 0 to 1"),
        (["a"], [-1], {}, "Label -1"),
        (["a"], ["low"], {}, "Label low: it is a position"),
        (["a"], [0], {"mode": "fix"}, "did you mean fixed"),
        (["a"], [0], {"recipe": "bug"}, "There is no recipe 'bug'"),
        (["a"], [0], {"recipe": "bae"}, "needs a masked LM: name one by masked_lm"),
        ([("a", "b", "c")], [0], {}, r"\('a', 'b', 'c'\) is neither a text nor a pair of texts"),
        ([()], [0], {}, r"\(\) is neither"),
        ([("a", 3)], [0], {}, r"\('a', 3\) is neither"),
        ([None], [0], {}, "None is neither"),
    ],
)
def test_what_can_t_be_attacked_is_named(texts, labels, more, message: str):
    with pytest.raises(KdlabError, match=message):
        attack(call, texts, labels, ["low", "high"], **{"recipe": "pruthi", **more})


def test_a_function_that_answers_other_rows_is_named():
    with pytest.raises(KdlabError, match="is no number"):
        attack(lambda texts: [[float("nan"), 1.0]] * len(texts), ["a"], [0], ["low", "high"], "pruthi")
    with pytest.raises(KdlabError, match=r"shape \(2, 2\)"):
        attack(lambda _: [[0.0, 1.0]] * 2, ["a"], [0], ["low", "high"], "pruthi")
