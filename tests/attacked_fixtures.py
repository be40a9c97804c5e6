"""Records of attacks that are made up, for tests of what studies say of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from kdlab.attacks.outcome import Outcome
from kdlab.results.attacks import AttackTable, write_attacks

STATUS = {"s": "skipped", "f": "failed", "+": "succeeded"}


def outcome(number: int, sign: str, queries: int = 10) -> Outcome:
    """An example of ten words; a success changes two of them."""
    changed = ((0, "a", "b"), (1, "c", "d")) if sign == "+" else ()
    return Outcome(
        id=number,
        texts=(f"text {number}",),
        label="entailment",
        status=STATUS[sign],
        attacked=(f"text {number}",),
        predicted="entailment" if sign == "f" else "not_entailment",
        score=(0.1, 0.6),
        queries=queries * (number + 1),
        passes=1,
        words=10,
        changed=changed,
        marked=(f"text {number}",),
    )


def write_attacked(run: Path, recipes: Mapping[str, str], who: str = "student", first: int = 0) -> Path:
    """Attacks on a run's student; returns the run's folder.

    Args:
        run: The folder.
        recipes: Recipe to what became of each example: ``s`` wrong from the start, ``f`` failed, ``+`` succeeded.
        who: ``student`` or ``teacher``.
        first: Number of the first example.
    """
    for recipe, signs in recipes.items():
        outcomes = tuple(outcome(first + i, sign) for i, sign in enumerate(signs))
        about = {"task": "rte", "split": "dev", "seed": 0, "examples": len(signs), "data": "0" * 64, "mode": "fixed"}
        table = AttackTable(who, recipe, "key", about, outcomes, (), {}, ("neighbours: kdlab's own",), None)
        write_attacks(run / "attacks" / who, [table])
    return run
