"""Texts that stand in several places: in two splits of a task, or in the data of two tasks."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

from kdlab.data.examples import Examples
from kdlab.data.tasks import TRAIN

_BRACKETS = re.compile(r"-(?:lrb|rrb|lsb|rsb|lcb|rcb)-")


def repeated(splits: Mapping[str, Examples]) -> list[str]:
    """A note for each split that repeats texts of train, because scores on such texts are too high."""
    train, notes = splits[TRAIN], []
    train_texts = set(zip(train.text, train.text_pair or train.text, strict=True))
    for name, examples in splits.items():
        if name != TRAIN:
            texts = zip(examples.text, examples.text_pair or examples.text, strict=True)
            again = sum(text in train_texts for text in texts)
            notes += [f"{name}: {again} of {len(examples)} texts are in train too"] if again else []
    return notes


def without_shared(source: Examples, target: Mapping[str, Examples]) -> tuple[Examples, int]:
    """A source's examples without those whose text is a target's too, in any of its splits.

    Texts are compared whole, as their letters and digits alone: case, accents, spaces and punctuation don't count, so
    that SST-2's ``it 's n't -lrb- all -rrb-`` is RT's ``it'sn't (all)``. What is left are parts of a target's text: the
    phrases that SST-2 is made of besides sentences, the sentences of a snippet of several, and sentences that were
    corrected or spelled the American way.

    Args:
        source: Examples to train on.
        target: The target's splits by name.

    Returns:
        The other examples in their order, and how many were taken out.
    """
    known = {key for examples in target.values() for key in _keys(examples)}
    kept = [i for i, key in enumerate(_keys(source)) if key not in known or not any(key)]
    return (source, 0) if len(kept) == len(source) else (source.take(kept), len(source) - len(kept))


def letters(text: str) -> str:
    """The letters and digits of a text in lower case and without accents; brackets of the Penn Treebank are none."""
    parts = unicodedata.normalize("NFKD", _BRACKETS.sub("", text.lower()))
    return "".join(character for character in parts if character.isalnum())


def _keys(examples: Examples) -> list[tuple[str, str]]:
    pairs = examples.text_pair or ("",) * len(examples)
    return [(letters(text), letters(pair)) for text, pair in zip(examples.text, pairs, strict=True)]
