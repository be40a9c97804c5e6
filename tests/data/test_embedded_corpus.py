"""The embedded corpus: schema, balance, disjoint splits, determinism, readable text; words alone tell no label."""

from __future__ import annotations

import hashlib
import itertools
import re
import statistics
import subprocess
import sys
from collections import Counter

import pytest

from kdlab.data.embedded import VERSION, generate, pretraining_text
from kdlab.data.embedded.helpfulness import HELPFUL
from kdlab.data.examples import Examples
from kdlab.data.tasks import TASKS
from kdlab.errors import KdlabError

FINGERPRINTS = {  # task: SHA-256 of the fingerprints of its splits, in order, for seed 0
    "cola": "e399ee2adb93646fe8631eadd26e06faf710cce26dfe0031b5f3c0b9e11adbc5",
    "sst2": "32dbab8a5d8260356ed3669adb10fa522c2d51cea822857a5302485f42d87b5b",
    "mrpc": "4132217be02e38f1ee2494d6d0e5b0245942962661c8685f953bde81a6d1b5bd",
    "stsb": "6a50f96a824f835afa1a9ffef7153b8334942327196698aa6307568c3db8cdab",
    "qqp": "572b29df023f8eb44468d5d79cb2b2bdbe1ae4eeba5a9297ff73c5023445d12c",
    "mnli": "968a390321270e2682fa65055e30157f0ff6a5d6aebd7a7e5f39b3cfb057c9a7",
    "qnli": "af56b818114558f42cc7ece5f5aeeb757a1ded840c512308afcefe0948e62ba4",
    "rte": "56185b03cb4c5b07f39b7ddac47c1f220f3fe2984e0d924e87eb1fe187047175",
    "wnli": "3b68e07da10fd7163ccf101c9e876c5fa7c4251a0feeb4f15840c97aee31e160",
    "ax": "ad12f18aaa30d7dd623c06977532082e10c22322d953b29a93fdcbcd813145e3",
    "scitail": "ef651fb6e3ee22b88afe3e4e7d744776fccec0bd60d1862595f46f2facf11e0e",
    "cikm": "1685bdd6936746ea0b5208668cd2c73081909c9c39cff5a1d6eacfa965e322ed",
    "rt": "9e67de35e7b396a5561511a1a72ae2db32badf9243307d0fa96b34277171c598",
    "watches": "54f29a0a8600a6183ba6aa1b43805a71a377b3dc3255f6c5af8d5baa772fb4da",
    "electronics": "828eb32628797dbc83c679b533d3f364cd4d75d5f2a6e942f3872b17afe470ec",
    "home": "14a75a80be18a7154aa6262b38a66fd50f509e771bacce16edd998c07634a7fe",
}
PAIRS = ("rte", "mrpc", "qqp", "qnli", "mnli", "wnli", "scitail", "cikm")


@pytest.fixture(scope="module")
def corpus() -> dict[str, dict[str, Examples]]:
    return {task: generate(task) for task in TASKS}


def sentences(examples: Examples) -> set[str]:
    return {*examples.text, *(examples.text_pair or ())}


def test_fingerprints_are_those_of_this_version(corpus):
    fingerprints = {
        task: hashlib.sha256("".join(split.fingerprint() for split in splits.values()).encode()).hexdigest()
        for task, splits in corpus.items()
    }
    assert (VERSION, fingerprints) == ("1", FINGERPRINTS)


def test_another_process_writes_the_same_corpus(corpus):
    code = "from kdlab.data.embedded import generate; print(generate('rte', 3)['dev'].fingerprint())"
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert process.stdout.strip() == generate("rte", 3)["dev"].fingerprint()
    assert generate("rte", 3)["dev"] != corpus["rte"]["dev"]


def test_importing_it_needs_the_standard_library_only():
    code = "import sys, kdlab.data.embedded; print([m for m in ('torch', 'numpy', 'transformers') if m in sys.modules])"
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert process.stdout.strip() == "[]"


def test_an_unknown_task_is_named():
    with pytest.raises(KdlabError, match="rtte"):
        generate("rtte")


@pytest.mark.parametrize("task", TASKS)
def test_schema(corpus, task):
    spec, splits = TASKS[task], corpus[task]
    assert list(splits) == list(spec.splits)
    for split, examples in splits.items():
        assert examples.ids == tuple(range(len(examples)))
        assert (examples.text_pair is None) == (spec.text_pair is None)
        assert (examples.labels is None) == (split in spec.unlabelled_splits)
        if examples.labels is not None:
            assert len(examples.labels) == len(examples)
            assert len(examples) >= (2500 if split == "train" else 500)
            if task in HELPFUL:
                assert all(0 <= label <= 1 for label in examples.labels)
                assert 0.15 < statistics.stdev(examples.labels) < 0.35
            elif spec.regression:
                assert all(0 <= label <= 5 and label * 4 == int(label * 4) for label in examples.labels)
            else:
                assert set(examples.labels) == set(range(len(spec.labels)))
                counts = Counter(examples.labels).values()
                assert max(counts) - min(counts) <= 1


@pytest.mark.parametrize("task", TASKS)
def test_no_sentence_of_a_later_split_is_in_an_earlier_one(corpus, task):
    splits = list(corpus[task].values())
    for i, later in enumerate(splits):
        pairs = list(zip(later.text, later.text_pair or later.text, strict=True))
        assert len(set(pairs)) == len(pairs)
        assert later.text_pair is None or all(one != two for one, two in pairs)
        for earlier in splits[:i]:
            assert not sentences(earlier) & sentences(later)


@pytest.mark.parametrize("task", TASKS)
def test_text_reads_as_english(corpus, task):
    for examples in corpus[task].values():
        for text in sentences(examples):
            assert text[0].isupper(), text
            assert text[-1] in ".?", text
            assert not re.search(r"  |\.\.| [.,?]|[{}]|,\.", text), text
            assert not re.search(r"\ba [aeiou]|\ban [^aeiou]", text), text
            assert all(part[0].isupper() for part in text.split(". ")), text


@pytest.mark.full
def test_pretraining_text_holds_no_held_out_sentence(corpus):
    lines = pretraining_text()
    hidden = set().union(*(sentences(e) for splits in corpus.values() for s, e in splits.items() if s != "train"))
    seen = {text for line in lines for text in line.split("\t")}
    assert len(lines) >= 50_000
    assert not hidden & seen
    assert all(len(line.split("\t")) in (1, 2) for line in lines)


@pytest.mark.parametrize("task", PAIRS)
def test_the_second_text_alone_does_not_tell_the_label(corpus, task):
    assert linear_accuracy(corpus[task], first=False) <= 1 / len(TASKS[task].labels) + 0.05


@pytest.mark.parametrize("task", ["rte", "mrpc", "qnli", "mnli"])
def test_words_alone_do_not_tell_the_label(corpus, task):
    assert linear_accuracy(corpus[task], first=True) <= 1 / len(TASKS[task].labels) + 0.08


def linear_accuracy(splits: dict[str, Examples], first: bool) -> float:
    """Dev accuracy of logistic regression on the words of the second text, or of both as separate features."""
    text = pytest.importorskip("sklearn.feature_extraction.text")
    linear = pytest.importorskip("sklearn.linear_model")

    def words(examples: Examples) -> list[list[str]]:
        rows = []
        for one, two in zip(examples.text, examples.text_pair or (), strict=True):
            second = [f"2 {word}" for word in two.lower().split()]
            rows.append(second + ([f"1 {word}" for word in one.lower().split()] if first else []))
        return rows

    counter = text.CountVectorizer(analyzer=lambda row: row)
    model = linear.LogisticRegression(C=0.3, max_iter=500)
    model.fit(counter.fit_transform(words(splits["train"])), splits["train"].labels)
    return float(model.score(counter.transform(words(splits["dev"])), splits["dev"].labels))


@pytest.mark.parametrize(("source", "target"), [("mnli", "scitail"), ("qqp", "cikm"), ("sst2", "rt")])
def test_a_target_has_words_and_sentences_of_its_own(corpus, source, target):
    def bigrams(task: str) -> set[tuple[str, str]]:
        texts = [text.lower().rstrip(".?").split() for text in sentences(corpus[task]["train"])]
        return {pair for words in texts for pair in itertools.pairwise(words)}

    ours = bigrams(target)
    assert len(ours - bigrams(source)) > 0.5 * len(ours)
    assert not sentences(corpus[source]["train"]) & sentences(corpus[target]["test"])


def test_words_are_worth_something_else_to_readers_of_another_domain(corpus):
    def worth(task: str, word: str) -> float:
        scores: dict[bool, list[float]] = {True: [], False: []}
        for text, score in zip(corpus[task]["train"].text, corpus[task]["train"].labels, strict=True):
            scores[f" {word}" in text].append(score)
        return statistics.mean(scores[True]) - statistics.mean(scores[False])

    assert worth("electronics", "than the") > worth("watches", "than the") + 0.05
    assert worth("watches", "still") > worth("electronics", "still") + 0.05
    assert min(worth("electronics", "because"), worth("watches", "because")) > 0.1
