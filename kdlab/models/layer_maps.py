"""Which layer of the teacher each layer of the student learns from, given as a word or as pairs.

Layers are numbered like hidden states: 0 is the embeddings and i the i-th layer, so the last of 12 layers is 12.
"""

from __future__ import annotations

import re
from typing import Any

from kdlab.errors import KdlabError

LayerMap = tuple[tuple[int, int], ...]
"""Pairs (layer of the teacher, layer of the student)."""
WORDS = ("uniform", "skip", "last", "bottom")


def parse_layer_map(spec: Any, teacher: int, student: int, key: str) -> LayerMap:
    """The pairs of a layer map, for any two depths N (teacher) and M (student).

    ``uniform`` spreads the teacher's layers, the last to the last: 12 to 6 gives 2, 4, …, 12 (Jiao et al. 2020);
    ``skip`` is Sun et al.'s name for it. ``last`` takes the teacher's last M layers and ``bottom`` its first M, or as
    many as both networks have.

    Args:
        spec: A word, pairs ``[[teacher, student], …]``, or two or more pairs as text, ``2:1,4:2``.
        teacher: N.
        student: M.
        key: The setting that holds it, for messages.

    Raises:
        KdlabError: It is not a layer map, or names a layer that does not exist.
    """
    both = min(teacher, student)
    if spec in ("uniform", "skip"):
        return tuple((max(1, m * teacher // student), m) for m in range(1, student + 1))
    if spec == "last":
        return tuple((teacher - i, student - i) for i in range(both - 1, -1, -1))
    if spec == "bottom":
        return tuple((m, m) for m in range(1, both + 1))
    pairs = _pairs(spec)
    if type(spec) is int:  # YAML reads 12:6 as a number in base 60
        raise KdlabError(f"{key} reads as the number {spec}: write a single pair as [[{spec // 60},{spec % 60}]].")
    if not pairs:
        raise KdlabError(
            f"{key}={spec!r} is no layer map: give {', '.join(WORDS)}, or pairs of a teacher's and a student's layer, "
            "[[2,1],[4,2]]."
        )
    for place, (who, depth) in enumerate((("teacher", teacher), ("student", student))):
        for pair in pairs:
            if not 0 <= pair[place] <= depth:
                raise KdlabError(
                    f"{key} names layer {pair[place]} of the {who}, which has {depth}: they are counted from 1 to "
                    f"{depth}, and 0 is the embeddings."
                )
    if len({m for _, m in pairs}) < len(pairs):
        raise KdlabError(f"{key}={spec!r} names a layer of the student twice: each learns from one of the teacher.")
    return tuple(sorted(pairs, key=lambda pair: pair[1]))


def _pairs(spec: Any) -> list[tuple[int, int]]:
    """Pairs from a list or text; empty where it is neither."""
    if isinstance(spec, str) and re.fullmatch(r"\s*\d+\s*:\s*\d+\s*(,\s*\d+\s*:\s*\d+\s*)*", spec):
        return [(int(n), int(m)) for n, m in re.findall(r"(\d+)\s*:\s*(\d+)", spec)]
    if not isinstance(spec, (list, tuple)):
        return []
    all_pairs = all(isinstance(pair, (list, tuple)) and len(pair) == 2 for pair in spec)
    if not all_pairs or not all(type(n) is int for pair in spec for n in pair):
        return []
    return [(pair[0], pair[1]) for pair in spec]
