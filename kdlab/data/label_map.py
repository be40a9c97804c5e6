"""Maps the labels of one task to another's, by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kdlab.system.spelling import plain

NO_ALIASES: Mapping[str, str] = {}


@dataclass(frozen=True)
class LabelMap:
    """Maps a model's labels to the labels of a data set.

    Attributes:
        labels: The model's labels in the order of its outputs.
        own: The set's labels.
        to: For each of the model's labels the index of the set's; several of the model's labels may share one.
    """

    labels: tuple[str, ...]
    own: tuple[str, ...]
    to: tuple[int, ...]

    @property
    def words(self) -> str:
        """The merged labels, where names differ: ``neutral and contradiction are non-entailment``."""
        parts = []
        for i, target in enumerate(self.own):
            names = [name for name, at in zip(self.labels, self.to, strict=True) if at == i]
            if names != [target]:
                parts.append(f"{' and '.join(names)} {'is' if len(names) == 1 else 'are'} {target}")
        return ", ".join(parts)


def merge_labels(
    own: Sequence[str],
    meaning: Mapping[str, str],
    labels: Sequence[str],
    aliases: Mapping[str, str] = NO_ALIASES,
) -> LabelMap | None:
    """Maps a model's labels to a set's, by name.

    A model answers with the label of its largest logit, and that label is then merged: McCoy et al. 2019 take the
    highest of the three and turn neutral and contradiction into non-entailment. The alternative, comparing sums of
    the merged labels' probabilities, would favour the label that more of them are merged into.

    Args:
        own: The set's labels.
        meaning: Names that a model may use for a label, in plain spelling, each to the set's label.
        labels: The model's labels in the order of its outputs; empty for a model that scores.
        aliases: Other spellings of the model's labels, each to the label; one of them may be in ``meaning``.

    Returns:
        The map; None where a label has no counterpart in the set, or no label maps to one of the set's.
    """
    targets = [_target(meaning, name, aliases) for name in labels]
    if None in targets or set(targets) != set(own):
        return None
    return LabelMap(tuple(labels), tuple(own), tuple(list(own).index(str(name)) for name in targets))


def _target(meaning: Mapping[str, str], label: str, aliases: Mapping[str, str]) -> str | None:
    """The set's label for a model's label, by its name or another spelling of it; None where there is none."""
    spellings = [label, *(other for other, name in aliases.items() if name == label)]
    return next((meaning[name] for name in map(plain, spellings) if name in meaning), None)
