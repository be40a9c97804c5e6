"""Layer maps: what a word means for two depths, and what is refused."""

from __future__ import annotations

import pytest

from kdlab.errors import KdlabError
from kdlab.models.layer_maps import parse_layer_map


def teachers(spec, n, m):
    return [t for t, _ in parse_layer_map(spec, n, m, "x.layer_map")]


@pytest.mark.parametrize(
    ("spec", "n", "m", "expected"),
    [
        ("uniform", 12, 6, [2, 4, 6, 8, 10, 12]),
        ("uniform", 12, 4, [3, 6, 9, 12]),
        ("uniform", 6, 3, [2, 4, 6]),
        ("uniform", 4, 3, [1, 2, 4]),
        ("uniform", 3, 3, [1, 2, 3]),
        ("uniform", 2, 3, [1, 1, 2]),
        ("uniform", 5, 1, [5]),
        ("skip", 12, 6, [2, 4, 6, 8, 10, 12]),
        ("last", 12, 6, [7, 8, 9, 10, 11, 12]),
        ("bottom", 12, 6, [1, 2, 3, 4, 5, 6]),
        ("bottom", 2, 3, [1, 2]),
    ],
)
def test_words(spec, n, m, expected):
    assert teachers(spec, n, m) == expected


def test_students_deeper_than_their_teacher():
    assert parse_layer_map("last", 2, 3, "x") == ((1, 2), (2, 3))
    assert parse_layer_map("uniform", 2, 4, "x") == ((1, 1), (1, 2), (1, 3), (2, 4))


@pytest.mark.parametrize("spec", ["2:1,4:2", " 4 : 2 , 2:1 ", [[2, 1], [4, 2]], ((4, 2), (2, 1))])
def test_pairs(spec):
    assert parse_layer_map(spec, 4, 2, "x") == ((2, 1), (4, 2))


def test_embeddings_and_single_pairs():
    assert parse_layer_map("0:0,4:2", 4, 2, "x") == ((0, 0), (4, 2))
    assert parse_layer_map("4:2", 4, 2, "x") == ((4, 2),)


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ([[5, 2]], r"^x\.layer_map names layer 5 of the teacher, which has 4: they are counted from 1 to 4, and 0 is "),
        ("4:3", r"^x\.layer_map names layer 3 of the student, which has 2: "),
        ([[-1, 1]], "names layer -1 of the teacher"),
        ("2:1,4:1", "names a layer of the student twice"),
        ("unifrom", r"^x\.layer_map='unifrom' is no layer map: give uniform, skip, last, bottom, or pairs"),
        (121, r"^x\.layer_map reads as the number 121: write a single pair as \[\[2,1\]\]"),  # what YAML makes of 2:1
        ([], "is no layer map"),
        ("", "is no layer map"),
        ([[2, 1, 1]], "is no layer map"),
        ([2, 1], "is no layer map"),
        ([["2", 1]], "is no layer map"),
        ([[True, 1]], "is no layer map"),
        ([[2.0, 1]], "is no layer map"),
        (None, "is no layer map"),
        ({"2": 1}, "is no layer map"),
    ],
)
def test_what_is_no_map(spec, said):
    with pytest.raises(KdlabError, match=said):
        parse_layer_map(spec, 4, 2, "x.layer_map")
