"""The embedded corpus: every named task written by a seeded grammar, for work without a network.

The texts are made, not collected: a few hundred words, and sentence families for negation and its scope, contrast,
kinds of things, active and passive, quantity, comparison, converse verbs, pronouns and agreement. They are for trying
methods and for tests; a number measured on them says nothing about English.
"""

from __future__ import annotations

from kdlab.data.embedded.challenge import make_challenge
from kdlab.data.embedded.corpus import make_task
from kdlab.data.embedded.pretraining import make_pairs, make_text
from kdlab.data.examples import Examples

VERSION = "1"
"""Changes whenever the grammar's output does; part of every fingerprint of data made here."""

CHALLENGES = "1"
"""The same for the challenge sets."""


def generate(task: str, seed: int = 0) -> dict[str, Examples]:
    """Every split of a task in this corpus.

    Args:
        task: A name in ``TASKS``.
        seed: Seed of the corpus; the shipped backbone's pretraining text avoids the dev and test splits of seed 0.

    Returns:
        Split name to examples, with the split names of ``TaskSpec.splits``. No sentence of a dev or test split is in a
        split before it; labels are balanced; test splits have none, but for tasks whose test is labelled. AX has
        MNLI's train and dev splits.

    Raises:
        KdlabError: No such task.
    """
    return make_task(task, seed)


def challenge(name: str, seed: int = 0) -> tuple[Examples, tuple[str, ...] | None]:
    """An out-of-domain set in this corpus's words, for models that were trained on it.

    Args:
        name: A name in ``kdlab.data.ood.specs.OOD``.
        seed: Seed of the corpus.

    Returns:
        Examples with labels as indices into the set's own, and what each is about where the set says so.
    """
    return make_challenge(name, seed)


def pretraining_text(seed: int = 0) -> list[str]:
    """Text for masked-language-model pretraining, free of every dev and test sentence of the same seed.

    Args:
        seed: Seed of the corpus.

    Returns:
        Lines of one sentence, or of two related sentences with a tab between them.
    """
    return make_text(seed)


def pretraining_pairs(seed: int = 0) -> list[tuple[str, bool]]:
    """Pairs for a sentence-pair objective beside the masked one, free of held-out sentences like the text.

    Args:
        seed: Seed of the corpus.

    Returns:
        Two sentences with a tab between them, and whether the second follows from, says the same as, or answers the
        first (or the first the second, for questions); half do.
    """
    return make_pairs(seed)
