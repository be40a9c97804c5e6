"""Parts of speech: by arithmetic on small weights, and as NLTK's own steps give them, word by word."""

from __future__ import annotations

import json
import random
import re
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from kdlab.errors import KdlabError
from kdlab.transformations import tagger as module
from kdlab.transformations.perceptron import NAME, Perceptron, read_perceptron
from kdlab.transformations.tables import TAGGER, Origin
from kdlab.transformations.tagger import UNIVERSAL, PerceptronTagger, normalised

LABELS = ["DT", "IN", "JJ", "NN", "PRP", "RB", "VB"]
ORIGIN = Origin(TAGGER, "weights.json", "0")
Weights = Mapping[str, Mapping[str, float]]


def tagger(weights: Weights, known: Mapping[str, str] | None = None) -> PerceptronTagger:
    return PerceptronTagger(ORIGIN, Perceptron(weights, known or {}, LABELS))


def by_the_letter(weights: Weights, known: Mapping[str, str], tokens: Sequence[str]) -> list[str]:
    """Penn tags as ``nltk/tag/perceptron.py`` gives them, a word and a float after the other."""

    def normal(word: str) -> str:
        if "-" in word and word[0] != "-":
            return "!HYPHEN"
        if word.isdigit() and len(word) == 4:
            return "!YEAR"
        return "!DIGITS" if word and word[0].isdigit() else word.lower()

    prev, prev2 = "-START-", "-START2-"
    context = ["-START-", "-START2-", *(normal(word) for word in tokens), "-END-", "-END2-"]
    output = []
    for i, word in enumerate(tokens, 2):
        tag = known.get(word)
        if not tag:
            features = [
                ("bias",),
                ("i suffix", word[-3:]),
                ("i pref1", word[0] if word else ""),
                ("i-1 tag", prev),
                ("i-2 tag", prev2),
                ("i tag+i-2 tag", prev, prev2),
                ("i word", context[i]),
                ("i-1 tag+i word", prev, context[i]),
                ("i-1 word", context[i - 1]),
                ("i-1 suffix", context[i - 1][-3:]),
                ("i-2 word", context[i - 2]),
                ("i+1 word", context[i + 1]),
                ("i+1 suffix", context[i + 1][-3:]),
                ("i+2 word", context[i + 2]),
            ]
            scores = dict.fromkeys(LABELS, 0.0)
            for feature in features:
                for label, weight in weights.get(" ".join(feature), {}).items():
                    scores[label] += weight
            tag = max(LABELS, key=lambda label: (scores[label], label))
        output.append(tag)
        prev2, prev = prev, tag
    return output


def first(weights: Weights, known: Mapping[str, str], before: list[str], word: str, after: list[str]) -> str:
    tokens = [*before, word, *after]
    return UNIVERSAL[by_the_letter(weights, known, tokens)[tokens.index(word)]]


def test_features_of_the_word_decide():
    tags = tagger(
        {"bias": {"NN": 0.5}, "i word run": {"VB": 1.0}, "i suffix ick": {"JJ": 1}, "i pref1 q": {"JJ": -0.6}}
    )
    assert tags.tags([], ["film", "Run", "trick", "quick"], []) == ["NOUN", "VERB", "ADJ", "NOUN"]  # .5 against .4


def test_what_stands_around_decides():
    tags = tagger(
        {
            "i-1 tag DT": {"NN": 1},
            "i-1 word to": {"VB": 2},
            "i-2 word as": {"JJ": 3},
            "i+1 word than": {"RB": 4},
            "i+1 suffix nds": {"PRP": 5},
            "i+2 word end": {"IN": 6},
        },
        {"the": "DT"},
    )
    assert tags.tags(["the"], ["x"], []) == ["NOUN"]
    assert tags.tags(["the", "to"], ["x"], []) == ["VERB"]
    assert tags.tags(["as", "to"], ["x"], []) == ["ADJ"]
    assert tags.tags(["as", "to"], ["x"], ["than"]) == ["ADV"]
    assert tags.tags(["as", "to"], ["x"], ["Friends"]) == ["PRON"]
    assert tags.tags(["as", "to"], ["x"], ["friends", "end"]) == ["ADP"]
    assert tags.tags(["as", "to"], ["x"], ["friends", "end", "than"]) == ["ADP"]  # the third word is not seen


def test_a_word_changes_the_tags_before_it_and_they_its_own():
    weights = {
        "i+1 word x": {"DT": 1},
        "i+2 word y": {"IN": 1},
        "i tag+i-2 tag DT IN": {"JJ": 1},
        "i-2 tag IN": {"NN": 2},
    }
    before = ["a", "b"]  # before x, b is DT; before y, a is IN
    tags = tagger(weights).tags(before, ["x", "y", "z"], [])
    assert tags == [first(weights, {}, before, word, []) for word in ("x", "y", "z")]
    assert tags == ["VERB", "NOUN", "VERB"]


def test_the_first_occurrence_is_meant():
    tags = tagger({"i-1 word a": {"JJ": 1}}, {"film": "NN"})
    assert tags.tags(["b", "a"], ["b", "c"], []) == ["VERB", "ADJ"]  # b stands first, where no a is before it
    assert tags.tags(["b", "a"], ["film"], ["b"]) == ["NOUN"]


def test_of_equal_sums_the_last_label_wins():
    assert tagger({}).tags([], ["x"], []) == ["VERB"]
    assert tagger({"bias": {"JJ": 1, "NN": 1}}).tags([], ["x"], []) == ["NOUN"]


def test_a_tie_falls_as_floats_add_up():
    assert 0.1 + 0.2 > 0.3
    weights = {"bias": {"JJ": 0.1, "RB": 0.3}, "i word x": {"JJ": 0.2}}
    assert tagger(weights).tags(["a"], ["x", "y"], []) == ["ADJ", "ADV"]
    assert first(weights, {}, ["a"], "x", []) == "ADJ"


def test_a_known_word_has_its_tag_whatever_weighs():
    tags = tagger({"bias": {"NN": 9}, "i-1 tag RB": {"JJ": 20}}, {"Not": "RB"})
    assert tags.tags([], ["Not", "not"], []) == ["ADV", "NOUN"]
    assert tags.tags(["Not"], ["x"], []) == ["ADJ"]


@pytest.mark.parametrize(
    ("word", "normal"),
    [
        *(("Film", "film"), ("well-known", "!HYPHEN"), ("-ing", "-ing"), ("1999", "!YEAR"), ("199", "!DIGITS")),
        *(("19th", "!DIGITS"), ("3-d", "!HYPHEN"), ("", ""), ("²", "!DIGITS"), ("ΟΔΟΣ", "οδος")),
    ],
)
def test_words_are_normalised(word: str, normal: str):
    assert normalised(word) == normal


SOME = ["a", "A", "the", "film", "Film", "x-y", "1999", "7", "", "-", "a b", "naïve", "-START-"]
FEATURES = [
    "bias",
    *(f"i word {normalised(word)}" for word in SOME),
    *(f"i {place} {what}" for place in ("suffix", "pref1") for what in ("film", "ilm", "a", "F", "")),
    *(f"i-{n} tag {tag}" for n in (1, 2) for tag in (*LABELS, "-START-")),
    *(f"i tag+i-2 tag {one} {two}" for one in LABELS for two in LABELS),
    *(f"i-1 tag+i word {tag} {normalised(word)}" for tag in (*LABELS, "-START-") for word in SOME),
    *(f"i{n} word {what}" for n in ("-1", "-2", "+1", "+2") for what in ("a", "film", "-START2-", "-END-", "!YEAR")),
    *(f"i{n} suffix {what}" for n in ("-1", "+1") for what in ("a", "ilm", "ND-", "T2-", "EAR")),
]


@pytest.mark.parametrize("seed", range(20))
def test_all_at_once_is_each_by_the_letter(seed: int):
    draw = random.Random(seed)
    tenths = [n / 10 for n in range(-3, 4)]  # which tie often, and add up to more or less than they should
    for _ in range(25):
        near = draw.random() < 0.7
        weights = {
            feature: {
                label: draw.choice(tenths) if near else draw.randint(-9000, 9000) / 1000
                for label in draw.sample(LABELS, draw.randint(0, 4))
            }
            for feature in draw.sample(FEATURES, draw.randint(0, len(FEATURES)))
        }
        known = {word: draw.choice(LABELS) for word in draw.sample(SOME, draw.randint(0, 2))}
        before, words, after = (draw.choices(SOME, k=draw.randint(0, most)) for most in (4, 9, 4))
        own = tagger(weights, known)
        for _ in range(2):  # found out, and known from before
            assert own.tags(before, words, after) == [first(weights, known, before, word, after) for word in words]


def test_no_words_have_no_tags():
    assert tagger({}).tags(["a"], [], ["b"]) == []


def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "_RESULTS", 5)
    own = tagger({"bias": {"NN": 1}})
    for place in "abca":
        assert own.tags([place], ["x", "y"], []) == ["NOUN", "NOUN"]
    assert own.tags(["b"], list("uvwxyz"), []) == ["NOUN"] * 6  # more than are kept
    assert sum(map(len, own._kept.values())) == own._size <= 5


def test_many_threads():
    own = tagger({"bias": {"NN": 0.5}, "i-1 word b": {"JJ": 1}})
    said: list[list[str]] = []
    work = [
        threading.Thread(target=lambda: said.extend(own.tags([place], ["x", "b"], []) for place in "abcb" * 50))
        for _ in range(4)
    ]
    for thread in work:
        thread.start()
    for thread in work:
        thread.join()
    right = [["NOUN", "NOUN"], ["ADJ", "ADJ"], ["NOUN", "NOUN"], ["ADJ", "ADJ"]]
    assert said != []
    assert sorted(said) == sorted([own.tags([place], ["x", "b"], []) for place in "abcb" * 50] * 4)
    assert [own.tags([place], ["x"], []) * 2 for place in "abcb"] == right


def write_tagger(folder: Path, weights: object, known: object, labels: object) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for part, content in (("weights", weights), ("tagdict", known), ("classes", labels)):
        (folder / f"{NAME}.{part}.json").write_text(json.dumps(content))
    return folder


def test_files(tmp_path: Path):
    write_tagger(tmp_path, {"bias": {"NN": 1, "JJ": 1.001}, "empty": {}}, {"the": "DT"}, LABELS)
    assert PerceptronTagger(ORIGIN, read_perceptron(tmp_path)).tags(["the"], ["x"], []) == ["ADJ"]


@pytest.mark.parametrize(
    ("weights", "known", "labels", "said"),
    [
        ([], {}, LABELS, "weights.json holds a list"),
        ({"bias": 1}, {}, LABELS, "weights.json: 'bias' has no weights of tags"),
        ({"bias": {"XX": 1}}, {}, LABELS, "weights.json: 'XX' is none of the tags"),
        ({"bias": {"NN": "1"}}, {}, LABELS, "weights.json: 1 is no weight"),
        ({"bias": {"NN": True}}, {}, LABELS, "weights.json: True is no weight"),
        ({"bias": {"NN": None}}, {}, LABELS, "weights.json: None is no weight"),
        ({"bias": {"NN": 0.0001}}, {}, LABELS, "0.0001 is no weight of three decimals"),
        ({"bias": {"NN": float("nan")}}, {}, LABELS, "nan is no weight"),
        ({"bias": {"NN": 1e300}}, {}, LABELS, "is no weight"),
        ({"bias": {"NN": 10**400}}, {}, LABELS, "weights.json can't be read"),
        ({}, {"the": "XX"}, LABELS, "tagdict.json: 'XX' is none of the tags"),
        ({}, {"the": ["DT"]}, LABELS, "tagdict.json can't be read"),
        ({}, [], LABELS, "tagdict.json holds a list"),
        ({}, {}, {}, "classes.json is no list of tags"),
        ({}, {}, [], "classes.json is no list of tags"),
        ({}, {}, ["NN", 1], "classes.json is no list of tags"),
        ({}, {}, [str(n) for n in range(5000)], "classes.json has 5,000 tags"),
    ],
)
def test_damaged_files_are_said(tmp_path: Path, weights: object, known: object, labels: object, said: str):
    write_tagger(tmp_path, weights, known, labels)
    with pytest.raises(KdlabError, match=re.escape(said)) as error:
        read_perceptron(tmp_path)
    assert "averaged_perceptron_tagger_eng" in str(error.value)


def test_a_missing_file_is_said(tmp_path: Path):
    write_tagger(tmp_path, {}, {}, LABELS)
    (tmp_path / f"{NAME}.tagdict.json").write_text('{"a": "DT", "a": "NN"}')
    with pytest.raises(KdlabError, match="'a' stands there twice"):
        read_perceptron(tmp_path)
    (tmp_path / f"{NAME}.tagdict.json").unlink()
    with pytest.raises(KdlabError, match=r"There is no .*tagdict\.json: give the files of NLTK's"):
        read_perceptron(tmp_path)


TAGS = ("VERB", "NOUN", "PRON", "ADJ", "ADV", "ADP", "CONJ", "DET", "NUM", "PRT", "X", ".")


def test_universal_tags():
    assert len(UNIVERSAL) == 49
    assert set(UNIVERSAL.values()) == set(TAGS)
    assert [UNIVERSAL[tag] for tag in ("NNPS", "MD", "EX", "TO", "WRB", "WP$", "WDT", "``", "$", "SYM")] == (
        ["NOUN", "VERB", "DET", "PRT", "ADV", "PRON", "DET", ".", ".", "X"]
    )
