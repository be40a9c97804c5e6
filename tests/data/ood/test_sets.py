"""Out-of-domain sets: labels by name, files with their quirks, the grammar's own, and an error for each wrong thing."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from kdlab.data import embedded
from kdlab.data.ood.sets import OODSet, find_set, read_set, read_sets
from kdlab.data.ood.specs import OOD, TOGETHER, choose_sets, fitting, match_set
from kdlab.data.sources import Hub, Source
from kdlab.data.tasks import DEV, TASKS
from kdlab.errors import KdlabError

REAL = Path(__file__).resolve().parents[4] / "shared" / "data"
NLI = TASKS["mnli"].labels
HANS = ["gold_label\tsentence1\tsentence2\tpairID\theuristic", "entailment\tA b .\tB .\tex0\tsubsequence"]
PAWS = [",sentence1,sentence2,label", '0,"a, b",b a,1', "1,c,d,0"]
QQP = ["id\tsentence1\tsentence2\tlabel", "1\tb'What \\xe2\\x82\\xac ?'\tb\"It 's 'so' .\"\t0", "2\tplain\tb'other'\t1"]
SCITAIL = [
    '{"premise": "a", "hypothesis": "b", "label": "neutral"}',
    '{"premise": "a", "hypothesis": "c", "label": "entails"}',
]
IMDB = ['{"text": "good", "label": 1}', '{"text": "bad", "label": 0}']
FILES = {"hans": HANS, "paws_wiki": PAWS, "paws_qqp": QQP, "scitail": SCITAIL, "imdb": IMDB}
MODELS = {"hans": "mnli", "scitail": "mnli", "paws_wiki": "qqp", "paws_qqp": "mrpc", "imdb": "sst2"}


def merged(name: str):
    return match_set(OOD[name], MODELS[name], TASKS[MODELS[name]].labels)


def write(root: Path, name: str, lines: list[str]) -> Path:
    path = root / OOD[name].file_names[0]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def read(root: Path, name: str) -> OODSet:
    (ood_set,) = read_sets([merged(name)], str(root), False, Hub())
    return ood_set


def fails(root: Path, name: str) -> str:
    with pytest.raises(KdlabError) as caught:
        read(root, name)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_importing_the_table_loads_nothing_heavy():
    heavy = ("torch", "datasets", "yaml", "numpy")
    code = f"import sys, kdlab.data.ood.specs; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("out", OOD.values(), ids=list(OOD))
def test_every_set_is_consistent(out):
    assert list(out.task.splits) == [DEV]
    assert set(out.meaning.values()) == set(out.task.labels)
    assert set(out.task.aliases.values()) <= set(out.task.labels)
    assert set(out.trained_on) <= set(TASKS)
    for task in out.trained_on:
        assert set(match_set(out, task, TASKS[task].labels).label_map.to) == {0, 1}
    if "f1" in out.task.metrics:
        assert out.task.labels[1] == "paraphrase"  # F1 is of class 1


@pytest.mark.parametrize(
    ("name", "labels", "to"),
    [
        ("hans", NLI, (0, 1, 1)),
        ("hans", ("contradiction", "entailment", "neutral"), (1, 0, 1)),
        ("hans", ("CONTRADICTION", "NEUTRAL", "ENTAILMENT"), (1, 1, 0)),
        ("hans", ("entailment", "not_entailment"), (0, 1)),
        ("hans", ("not entailment", "entailment"), (1, 0)),
        ("hans", ("non-entailment", "entailment"), (1, 0)),
        ("scitail", NLI, (0, 1, 1)),
        ("paws_wiki", ("not_duplicate", "duplicate"), (0, 1)),
        ("paws_qqp", ("equivalent", "not_equivalent"), (1, 0)),
        ("imdb", ("POSITIVE", "NEGATIVE"), (1, 0)),
    ],
)
def test_labels_are_merged_by_name(name, labels, to):
    assert match_set(OOD[name], "mine", labels).label_map.to == to


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("hans", ("negative", "positive")),
        ("hans", ("LABEL_0", "LABEL_1")),
        ("hans", ("neutral", "contradiction")),  # nothing becomes entailment
        ("imdb", ("negative", "positive", "neutral")),
        ("imdb", ()),
    ],
)
def test_labels_without_a_counterpart_are_refused_with_both_sets(name, labels):
    with pytest.raises(KdlabError) as caught:
        match_set(OOD[name], "mine", labels)
    message = str(caught.value)
    assert all(word in message for word in (name, "mine", *labels, *OOD[name].task.labels))
    assert labels or "gives a score" in message


def test_another_spelling_of_a_label_may_be_the_sets():
    aliases = {"entailment": "e", "neutral": "n", "contradiction": "c", "ja": "e"}
    assert match_set(OOD["hans"], "mine", ("e", "n", "c"), aliases).label_map.to == (0, 1, 1)
    assert "hans" in fitting(("e", "n", "c"), aliases)
    assert fitting(("e", "n", "c")) == []
    answerable, _ = choose_sets(["all"], "mine", ("e", "n", "c"), aliases)
    assert [one.spec.name for one in answerable] == ["hans", "scitail"]


@pytest.mark.parametrize(
    ("name", "labels", "to"),
    [
        ("imdb", ("pos", "neg"), (1, 0)),
        ("hans", ("neutral", "entails"), (1, 0)),
        ("scitail", ("entails", "neutral"), (0, 1)),
    ],
)
def test_a_set_knows_its_own_spellings_in_a_models_labels(name, labels, to):
    assert match_set(OOD[name], "mine", labels).label_map.to == to


def test_a_task_of_ones_own_is_told_of_aliases():
    with pytest.raises(KdlabError, match=r"can stand in its task file, as aliases\.$"):
        match_set(OOD["imdb"], "mine", ("0", "1"))
    with pytest.raises(KdlabError, match=r"take paws_wiki or paws_qqp\.$"):
        match_set(OOD["imdb"], "mrpc", TASKS["mrpc"].labels)


def test_what_was_merged_is_said():
    assert merged("hans").label_map.words == "neutral and contradiction are non-entailment"
    assert merged("imdb").label_map.words == ""


def test_groups_of_sets_and_what_is_left_out():
    assert fitting(TASKS["qqp"].labels) == list(TOGETHER["paws"])
    answerable, sentences = choose_sets(["paws", "paws_wiki"], "mrpc", TASKS["mrpc"].labels)
    assert ([one.spec.name for one in answerable], sentences) == (["paws_wiki", "paws_qqp"], [])
    answerable, sentences = choose_sets(["all"], "sst2", TASKS["sst2"].labels)
    assert ([one.spec.name for one in answerable], sentences) == (["imdb"], [])
    answerable, sentences = choose_sets(["imdb", "hans"], "sst2", TASKS["sst2"].labels)
    assert [one.spec.name for one in answerable] == ["imdb"]
    assert len(sentences) == 1
    assert sentences[0].startswith("hans can't be answered by a model of sst2")
    assert "meant for models of" in choose_sets(["hans"], "qnli", TASKS["qnli"].labels)[1][0]
    assert choose_sets([], "stsb", ()) == ([], [])
    with pytest.raises(KdlabError, match="no out-of-domain set 'hnas': did you mean hans"):
        choose_sets(["imdb", "hnas"], "sst2", TASKS["sst2"].labels)


def test_files_with_their_quirks(tmp_path):
    for name, lines in FILES.items():
        write(tmp_path, name, lines)
    sets = {name: read(tmp_path, name) for name in FILES}
    assert sets["hans"].examples.labels == (0,)
    assert sets["hans"].groups == ("subsequence",)
    assert (sets["hans"].examples.text, sets["hans"].examples.text_pair) == (("A b .",), ("B .",))
    assert sets["paws_wiki"].examples.text == ("a, b", "c")
    assert sets["paws_wiki"].examples.labels == (1, 0)
    assert sets["paws_qqp"].examples.text == ("What € ?", "plain")
    assert sets["paws_qqp"].examples.text_pair == ("It 's 'so' .", "other")
    assert sets["scitail"].examples.labels == (1, 0)
    assert sets["imdb"].examples.labels == (1, 0)
    assert sets["imdb"].examples.text_pair is None


def test_the_folder_of_the_sets_themselves_will_do(tmp_path):
    write(tmp_path, "hans", HANS)
    assert len(read(tmp_path / "ood", "hans").examples) == 1


BROKEN = {
    "hans": [
        ([HANS[0], HANS[1], "maybe\ta\tb\tex1\tsubsequence"], ":3: label 'maybe' in column 'gold_label' is none of"),
        ([HANS[0], HANS[1], "entailment\ta\tb\tex1\tguess"], ":3: 'guess' in column 'heuristic' is none of"),
        (["label\tsentence1\tsentence2\theuristic", "entailment\ta\tb\tsubsequence"], ":1: no column 'gold_label'"),
        (["gold_label\tsentence1\tsentence2", "entailment\ta\tb"], ":1: no column 'heuristic'"),
        ([HANS[0], "entailment\ta"], ":2: 2 columns where 5 are expected"),
        ([HANS[0], "entailment\t \tb\tex0\tsubsequence"], ":2: column 'sentence1' is blank"),
        ([HANS[0]], "holds no examples"),
    ],
    "paws_qqp": [
        ([QQP[0], "1\tb'broken\tb'x'\t0"], ":2: column 'sentence1' holds \"b'broken\", which starts like"),
        ([QQP[0], "1\tb'ok'\tb'\\xff'\t0"], ":2: column 'sentence2' holds"),
        ([QQP[0], "1\tb'ok' + 1\tb'x'\t0"], ":2: column 'sentence1' holds"),
        ([QQP[0], "1\tb'ok'\tb'x'\tyes"], ":2: label 'yes' in column 'label' is none of not_paraphrase, paraphrase"),
    ],
    "paws_wiki": [([PAWS[0], '0,"a,b,1'], ":2: not valid CSV")],
    "imdb": [
        (['{"text": "good", "label": 2}'], ":1: label '2' in column 'label' is none of negative, positive"),
        (['{"review": "good", "label": 1}'], ":1: no field 'text'; the fields there are review, label"),
        (["good"], ":1: not valid JSON"),
    ],
    "scitail": [
        ([SCITAIL[0], '{"premise": 1, "hypothesis": "b", "label": "neutral"}'], ":2: field 'premise' is a number")
    ],
}


@pytest.mark.parametrize(("name", "lines", "what"), [(n, *case) for n, cases in BROKEN.items() for case in cases])
def test_a_broken_file_is_named_with_its_line(tmp_path, name, lines, what):
    path = write(tmp_path, name, lines)
    assert f"{path}{what}" in fails(tmp_path, name) or what in fails(tmp_path, name)
    assert str(path) in fails(tmp_path, name)


def test_a_missing_folder_or_file_is_named(tmp_path):
    assert f"There is no folder {tmp_path / 'x'}: --ood-dir" in fails(tmp_path / "x", "hans")
    assert "holds no ood/imdb/test_2000.jsonl or imdb/test_2000.jsonl" in fails(tmp_path, "imdb")


def test_without_a_folder_the_hub_is_asked_and_its_absence_said():
    hub = Hub()
    hub.__dict__["online"] = False
    with pytest.raises(KdlabError, match=r"hans needs jhu-cogsci/hans plain_text from the hub.*give --ood-dir DIR"):
        find_set(OOD["hans"], None, False, hub)
    with pytest.raises(KdlabError, match=r"paws_qqp is not on the hub: give --ood-dir DIR"):
        find_set(OOD["paws_qqp"], None, False, hub)
    hub.__dict__["online"] = True
    assert find_set(OOD["imdb"], None, False, hub) == Source("hub", "stanfordnlp/imdb plain_text")


def test_a_set_of_the_hub_is_read_by_name(monkeypatch):
    import datasets

    features = datasets.Features(
        premise=datasets.Value("string"),
        hypothesis=datasets.Value("string"),
        label=datasets.ClassLabel(names=["non-entailment", "entailment"]),  # the other way round
        heuristic=datasets.Value("string"),
    )
    rows = {
        "premise": ["a b", "c"],
        "hypothesis": ["b", "d"],
        "label": [1, 0],
        "heuristic": ["subsequence", "constituent"],
    }
    dataset = datasets.DatasetDict(validation=datasets.Dataset.from_dict(rows, features=features))
    monkeypatch.setattr(datasets, "load_dataset", lambda *_: dataset)
    hub = Hub()
    hub.__dict__["online"] = True
    ood_set = read_set(merged("hans"), Source("hub", "here"), hub)
    assert ood_set.examples.labels == (0, 1)
    assert ood_set.groups == ("subsequence", "constituent")
    assert ood_set.examples.text_pair == ("b", "d")


def test_what_the_hub_will_not_give_is_asked_for_as_a_file(monkeypatch):
    import datasets

    def refuse(*_: object) -> None:
        raise RuntimeError("Dataset scripts are no longer supported")

    monkeypatch.setattr(datasets, "load_dataset", refuse)
    hub = Hub()
    hub.__dict__["online"] = True
    with pytest.raises(
        KdlabError, match=r"hans can't be had.*--ood-dir DIR, a folder with ood/hans.*scripts are no longer"
    ):
        read_set(merged("hans"), Source("hub", "there"), hub)


@pytest.mark.parametrize("name", OOD)
def test_the_grammar_writes_a_balanced_set_of_its_own(name):
    examples, groups = embedded.challenge(name)
    out = OOD[name]
    assert len(examples) == 600
    assert Counter(examples.labels) == {0: 300, 1: 300}
    pairs = list(zip(examples.text, examples.text_pair or examples.text, strict=True))
    assert len(set(pairs)) == 600
    assert (examples.text_pair is None) == (out.task.text_pair is None)
    assert embedded.challenge(name)[0].fingerprint() == examples.fingerprint()
    assert embedded.challenge(name, 1)[0].fingerprint() != examples.fingerprint()
    for task in out.trained_on:
        train = embedded.generate(task)["train"]
        train_texts = set(zip(train.text, train.text_pair or train.text, strict=True))
        assert not train_texts & set(pairs), task
    if groups:
        assert Counter(zip(groups, examples.labels, strict=True)) == {(g, i): 100 for g in out.groups for i in (0, 1)}


def test_the_grammars_hans_is_what_its_heuristics_say():
    examples, groups = embedded.challenge("hans")
    for text, pair, group in zip(examples.text, examples.text_pair, groups, strict=True):
        premise, hypothesis = (t.rstrip(".").lower() for t in (text, pair))
        if group == "lexical_overlap":
            assert set(hypothesis.split()) <= set(premise.split())
        else:
            assert f" {hypothesis} " in f" {premise} ".replace(",", " ")


def test_the_grammars_paraphrases_differ_in_order_alone():
    for name in ("paws_wiki", "paws_qqp"):
        examples, _ = embedded.challenge(name)
        for pair in zip(examples.text, examples.text_pair, strict=True):
            one, two = (sorted(text.lower().replace(",", "").strip("?.").split()) for text in pair)
            assert one == two


@pytest.mark.skipif(not REAL.is_dir(), reason="the real files are not here")
@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("hans", (7452, 7484)),
        ("scitail", (842, 1284)),
        ("paws_wiki", (4464, 3536)),
        ("paws_qqp", (486, 191)),
        ("imdb", (1000, 1000)),
    ],
)
def test_the_real_files_load_whole(name, sizes):
    ood_set = read(REAL, name)
    counted = Counter(ood_set.examples.labels)
    assert (counted[0], counted[1]) == sizes
    assert not any(text.startswith(("b'", 'b"')) for text in ood_set.examples.text)
    if ood_set.groups:
        assert set(ood_set.groups) == set(OOD[name].groups)
