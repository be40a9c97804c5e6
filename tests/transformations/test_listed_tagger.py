"""The tagger that stands in for NLTK's, against what NLTK says of the embedded corpus."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from kdlab.system.cache import Cache
from kdlab.transformations.listed_tagger import ListedTagger
from kdlab.transformations.resources import FOLDER, Resources
from kdlab.transformations.tagger import Tagger

WINDOWS = Path(__file__).with_name("nltk_windows.json")
"""Words before a place, what may stand there, words behind it, and tags by ``nltk.pos_tag`` of NLTK 3.10.4: 200 windows
of kdlab's own corpus (seed 0), four words before and three behind."""


def agreement(tagger: Tagger) -> tuple[int, int]:
    """How many of NLTK's tags a tagger gives, and of how many."""
    same = total = 0
    for row in json.loads(WINDOWS.read_text()):
        before, words, after, right = (text.split() for text in row)
        tags = tagger.tags(before, words, after)
        same += sum(tag == other for tag, other in zip(tags, right, strict=True))
        total += len(right)
    return same, total


def test_it_says_what_nltk_says_nearly_always():
    same, total = agreement(ListedTagger("x"))
    assert total == 279
    assert same / total > 0.93


@pytest.mark.slow
def test_nltk_s_own_weights_say_what_nltk_says(tmp_path: Path):
    if FOLDER not in os.environ:
        pytest.skip(f"set {FOLDER} to a folder with NLTK's tagger")
    tagger = Resources(None, Cache(tmp_path)).tagger()
    assert not tagger.origin.missing
    assert agreement(tagger) == (279, 279)


@pytest.mark.parametrize(
    ("word", "tag"),
    [
        *(("goat", "NOUN"), ("Goats", "NOUN"), ("Vera", "NOUN"), ("repaired", "VERB"), ("lends", "VERB")),
        *(("wooden", "ADJ"), ("taller", "ADJ"), ("seven", "NUM"), ("1999", "NUM"), ("the", "DET"), ("THEY", "PRON")),
        *(("of", "ADP"), ("and", "CONJ"), ("to", "PRT"), ("truly", "ADV"), ("silly", "ADJ"), ("isn't", "VERB")),
        *(("can’t", "VERB"), ("it's", "PRON"), ("zorbling", "VERB"), ("zorbness", "NOUN"), ("zorbly", "ADV")),
        *(("zorbous", "ADJ"), ("zorb", "NOUN"), ("red", "ADJ"), ("king", "NOUN"), ("--", "."), ("", "."), ("🙂", ".")),
    ],
)
def test_words(word: str, tag: str):
    assert ListedTagger("x").tags(["a"], [word], ["b"]) == [tag]


def test_it_says_what_it_stands_in_for():
    origin = ListedTagger("NLTK's tagger (no --resources folder)").origin
    assert origin.sentence == (
        "part-of-speech tagger: kdlab's own lists and endings, for NLTK's tagger (no --resources folder)"
    )
    assert len(origin.sha256) == 64
