"""One recipe against one victim on a set of examples."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator, Sequence

from kdlab.attacks.attempt import MODES, SUCCEEDED, Attack, Attempt
from kdlab.attacks.engine import BESIDE, Models, attack_all
from kdlab.attacks.outcome import Outcome, outcome_of
from kdlab.attacks.text import AttackText
from kdlab.errors import nearest
from kdlab.system.draw import Draw


@dataclasses.dataclass(frozen=True)
class Target:
    """An example that is attacked.

    Attributes:
        id: Its position in the set, which its random choices depend on.
        texts: One text, or two.
        label: Position of its label among the victim's outputs.
    """

    id: int
    texts: tuple[str, ...]
    label: int


def run_study(
    targets: Sequence[Target],
    attack: Attack,
    models: Models,
    seed: int = 0,
    mode: str = "fixed",
    done: Collection[int] = (),
    beside: int = BESIDE,
) -> Iterator[Outcome]:
    """Attacks examples side by side.

    Args:
        targets: The examples.
        attack: From ``Recipe.build``.
        models: Who answers.
        seed: Of random choices, together with an example's position.
        mode: ``fixed`` or ``compat``.
        done: Positions of examples that are left out.
        beside: Attacks at a time; nothing in a result depends on it.

    Yields:
        An outcome as soon as it is there, in any order.

    Raises:
        KdlabError: No such mode.
    """
    if mode not in MODES:
        raise nearest(mode, MODES, "mode")
    left = [one for one in targets if one.id not in set(done)]
    attempts = {}

    def made() -> Iterator[Attempt]:
        for target in left:
            draw = Draw(f"attack {seed} {target.id}")
            attempt = Attempt(attack, AttackText.of(target.texts), target.label, draw, mode == "compat")
            attempts[id(attempt)] = target.id
            yield attempt

    with models.victim.many_questions():
        for attempt, status in attack_all(made(), models, beside):
            yield outcome_of(attempts.pop(id(attempt)), attempt, status, attempt.before, models.victim.labels)


def replayed(outcomes: Sequence[Outcome], models: Models) -> list[Outcome]:
    """Asks the victim once more whether each success fools it.

    Args:
        outcomes: Of a study.
        models: Who answers.

    Returns:
        The outcomes, successes with the answer in ``fools_again``.
    """
    labels = models.victim.labels
    successes = [one for one in outcomes if one.status == SUCCEEDED]
    if not successes:
        return list(outcomes)
    answers = models.victim.logits([one.attacked for one in successes]).argmax(1).tolist()
    again = {one.id: labels[i] != one.label for one, i in zip(successes, answers, strict=True)}
    return [dataclasses.replace(one, fools_again=again[one.id]) if one.id in again else one for one in outcomes]
