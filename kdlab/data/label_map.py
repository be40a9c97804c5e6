"""How the labels of one task become another's, by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kdlab.system.spelling import plain

NO_ALIASES: Mapping[str, str] = {}


@dataclass(frozen=True)
class LabelMap:
    """How a model's answers become another set's.

    Attributes:
        labels: The model's labels in the order of its outputs.
        own: The set's labels.
        to: For each of the model's labels the set's, as its index; a model of three labels may give two of them one.
    """

    labels: tuple[str, ...]
    own: tuple[str, ...]
    to: tuple[int, ...]

    @property
    def words(self) -> str:
        """What became what, where the names differ: ``neutral and contradiction are non-entailment``."""
        parts = []
        for i, own in enumerate(self.own):
            names = [name for name, at in zip(self.labels, self.to, strict=True) if at == i]
            if names != [own]:
                parts.append(f"{' and '.join(names)} {'is' if len(names) == 1 else 'are'} {own}")
        return ", ".join(parts)


def merge_labels(
    own: Sequence[str],
    meaning: Mapping[str, str],
    labels: Sequence[str],
    aliases: Mapping[str, str] = NO_ALIASES,
) -> LabelMap | None:
    """Brings a model's labels to a set's, by name.

    A model answers with the label of its largest logit, and that label is then merged: McCoy et al. 2019 take the
    highest of HANS's three and turn neutral and contradiction into non-entailment. The other way, the sum of the merged
    labels' probabilities against the rest, would favour the label that more of them are merged into.

    Args:
        own: The set's labels.
        meaning: What a model may call a label, in plain spelling, to the set's own label.
        labels: The model's labels in the order of its outputs; empty for a model that scores.
        aliases: Other spellings of labels, each to the label: one of them may be the set's.

    Returns:
        The map; None where a label has no counterpart in the set, or the set has one that no answer becomes.
    """
    to = [_meaning(meaning, name, aliases) for name in labels]
    if None in to or set(to) != set(own):
        return None
    return LabelMap(tuple(labels), tuple(own), tuple(list(own).index(str(name)) for name in to))


def _meaning(meaning: Mapping[str, str], label: str, aliases: Mapping[str, str]) -> str | None:
    """The set's label that a model's becomes, by its name or another spelling of it; None where there is none."""
    spellings = [label, *(other for other, name in aliases.items() if name == label)]
    return next((meaning[name] for name in map(plain, spellings) if name in meaning), None)
