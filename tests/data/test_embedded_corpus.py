"""The embedded corpus: schema, balance, disjoint splits, determinism, readable text, and no label in the words alone."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter

import pytest

from kdlab.data.embedded import VERSION, generate, pretraining_text
from kdlab.data.examples import Examples
from kdlab.data.tasks import TASKS
from kdlab.errors import KdlabError

FINGERPRINTS = {}
PAIRS = ("rte", "mrpc", "qqp", "qnli", "mnli", "wnli")


@pytest.fixture(scope="module")
def corpus() -> dict[str, dict[str, Examples]]:
    return {task: generate(task) for task in TASKS}


def sentences(examples: Examples) -> set[str]:
    return {*examples.text, *(examples.text_pair or ())}


def test_fingerprints_are_those_of_this_version(corpus):
    found = {
        task: splits["train"].fingerprint()[:16] + splits["dev"].fingerprint()[:16] for task, splits in corpus.items()
    }
    assert (VERSION, found) == ("1", FINGERPRINTS)


def test_another_process_writes_the_same_corpus(corpus):
    code = "from kdlab.data.embedded import generate; print(generate('rte', 3)['dev'].fingerprint())"
    made = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert made.stdout.strip() == generate("rte", 3)["dev"].fingerprint()
    assert generate("rte", 3)["dev"] != corpus["rte"]["dev"]


def test_importing_it_needs_the_standard_library_only():
    code = "import sys, kdlab.data.embedded; print([m for m in ('torch', 'numpy', 'transformers') if m in sys.modules])"
    made = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert made.stdout.strip() == "[]"


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
        assert (examples.labels is None) == split.startswith("test")
        if examples.labels is not None:
            assert len(examples.labels) == len(examples)
            assert len(examples) >= (2500 if split == "train" else 600)
            if spec.regression:
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
