"""How attacks ended, and the figures of a study, by hand."""

from __future__ import annotations

import json
import math

import pytest
from attack_fixtures import Weighed, attacked, swaps

from kdlab.attacks.attempt import FAILED, SKIPPED, SUCCEEDED, Attack
from kdlab.attacks.outcome import SHORT, Figures, Outcome, Share, figures_of, outcome_of, share

LABELS = ("good", "bad")


def ended(*texts: str, attack: Attack, victim: Weighed, label: int = 0) -> Outcome:
    attempt, status = attacked(*texts, attack=attack, models=victim, label=label)
    return outcome_of(7, attempt, status, attempt.before, LABELS)


def row(status: str, words: int = 10, changed: int = 0, queries: int = 1, again: bool | None = None) -> Outcome:
    """An outcome of which only this matters."""
    changes = tuple((i, "old", "new") for i in range(changed))
    figures = {"queries": queries, "passes": queries // 2, "words": words}
    return Outcome(0, ("x",), "good", status, ("y",), "bad", (0.1, 0.9), **figures, changed=changes, fools_again=again)


def test_a_success():
    victim = Weighed(a=2, b=1, p=-2)
    assert ended("The film, a b.", attack=swaps(a="p"), victim=victim) == Outcome(
        id=7,
        texts=("The film, a b.",),
        label="good",
        status=SUCCEEDED,
        attacked=("The film, p b.",),
        predicted="bad",
        score=(victim.score("a b"), victim.score("p b")),
        queries=1 + 4 + 1,
        passes=1 + 4 + 1,
        words=4,
        changed=((2, "a", "p"),),
        marked=("The film, [[p]] b.",),
    )


def test_a_failure_keeps_what_was_changed():
    victim = Weighed(a=2, b=1)
    one = ended("a b", attack=swaps(a="p q"), victim=victim)
    assert (one.status, one.attacked, one.predicted) == (FAILED, ("p b",), "good")
    assert one.score == (victim.score("a b"), victim.score("b"))
    assert (one.changed, one.marked) == (((0, "a", "p"),), ("[[p]] b",))
    one = ended("a b", attack=swaps(), victim=victim)
    assert (one.status, one.attacked, one.changed, one.marked) == (FAILED, ("a b",), (), ("a b",))


def test_an_example_that_was_skipped():
    one = ended("a b", attack=swaps(a="p"), victim=Weighed(a=1), label=1)
    assert (one.status, one.label, one.predicted, one.queries) == (SKIPPED, "bad", "good", 1)
    assert one.attacked == one.marked == one.texts == ("a b",)
    assert one.score[0] == one.score[1]


def test_marks_in_a_pair():
    one = ended("a b, a.", "Is b a?", attack=swaps(a="p", b="long"), victim=Weighed(a=1, b=1))
    assert one.attacked == ("p long, p.", "Is long p?")
    assert one.marked == ("[[p]] [[long]], [[p]].", "Is [[long]] [[p]]?")
    assert [place for place, _, _ in one.changed] == [0, 1, 2, 4, 5]
    one = ended("c", "a", attack=swaps(a="p"), victim=Weighed(a=1))
    assert one.marked == ("c", "[[p]]")
    one = ended("a", "c", attack=swaps(a="p"), victim=Weighed(a=1))
    assert one.marked == ("[[p]]", "c")


def test_several_words_for_one_move_all_behind_them():
    one = ended("a b c", attack=swaps(a="two_words"), victim=Weighed(a=1))
    assert one.changed == ((0, "a", "two_words"),)
    attack = swaps()
    attack.transformation.table = {"a": ("two words",)}  # type: ignore[attr-defined]
    one = ended("a b c", attack=attack, victim=Weighed(a=1))
    assert one.changed == ((0, "a", "two"), (1, "b", "words"), (2, "c", "b"))  # as the library counts
    assert one.marked == ("[[two]] [[words]] [[b]] c",)


def test_a_row_of_the_file_comes_back():
    one = ended("a é", "\ud800", attack=swaps(a="p"), victim=Weighed(a=2, p=-1))
    one.values["similarity"] = 0.1 + 0.2
    for outcome in (one, row(FAILED), row(SUCCEEDED, changed=3, again=True)):
        line = json.dumps(outcome.to_json())
        assert Outcome.from_json(json.loads(line)) == outcome


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"other": 1}, TypeError),
        ({"texts": None}, TypeError),
        ({"changed": [[1, "a"]]}, ValueError),
        ({"changed": [["x", "a", "b"]]}, ValueError),
        ({"changed": 3}, TypeError),
    ],
)
def test_a_row_of_another_form_is_refused(change: dict[str, object], error: type[Exception]):
    with pytest.raises(error):
        Outcome.from_json({**row(FAILED).to_json(), **change})


@pytest.mark.parametrize("field", ["texts", "changed", "score", "status"])
def test_a_row_without_a_field_is_refused(field: str):
    line = row(FAILED).to_json()
    del line[field]
    with pytest.raises((KeyError, TypeError)):
        Outcome.from_json(line)


def test_texts_below_a_window_are_short():
    assert SHORT == 15
    assert [row(FAILED, words=words).short for words in (0, 14, 15, 16)] == [True, True, False, False]


def by_wilson(count: int, of: int) -> tuple[float, float]:
    z = 1.959964
    p = count / of
    half = z * math.sqrt(p * (1 - p) / of + z * z / (4 * of * of))
    return (p + z * z / (2 * of) - half) / (1 + z * z / of), (p + z * z / (2 * of) + half) / (1 + z * z / of)


def test_shares_have_wilson_s_interval():
    one = share(3, 8)
    assert (one.count, one.of, one.value) == (3, 8, 0.375)
    assert (one.low, one.high) == pytest.approx(by_wilson(3, 8), abs=1e-6)
    assert (one.low, one.high) == pytest.approx((0.13684, 0.69426), abs=1e-4)
    none, every = share(0, 8), share(8, 8)
    assert (none.low, every.high) == (0.0, 1.0)
    assert none.high == pytest.approx(1 - every.low) == pytest.approx(by_wilson(0, 8)[1], abs=1e-6)
    nothing = share(0, 0)
    assert (nothing.count, nothing.of) == (0, 0)
    assert all(math.isnan(value) for value in (nothing.value, nothing.low, nothing.high))


def test_figures():
    rows = [
        row(SKIPPED, queries=1),
        row(FAILED, queries=30, changed=4),
        row(SUCCEEDED, words=10, changed=1, queries=11, again=True),
        row(SUCCEEDED, words=4, changed=2, queries=20, again=False),
        row(SUCCEEDED, words=20, changed=0, queries=9, again=None),
    ]
    found = figures_of(rows)
    assert found == Figures(
        accuracy=share(4, 5),
        under_attack=share(1, 5),  # of all examples, as the library has it
        success=share(3, 4),  # of those that were attacked
        words_changed=(10 + 50 + 0) / 3,  # of successes alone
        queries=(30 + 11 + 20 + 9) / 4,  # of those that were attacked
        passes=(15 + 5 + 10 + 4) / 4,
        fools_again=1,
    )


def test_figures_of_nothing():
    found = figures_of([row(SKIPPED)])
    assert found.accuracy == share(0, 1)
    assert found.under_attack == share(0, 1)
    assert math.isnan(found.success.value)
    assert math.isnan(found.words_changed)
    assert math.isnan(found.queries)
    assert math.isnan(found.passes)
    assert found.fools_again == 0
    assert isinstance(figures_of([]).accuracy, Share)
    assert figures_of([row(SUCCEEDED, words=0)]).words_changed == 0
