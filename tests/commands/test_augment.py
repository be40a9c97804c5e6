"""``kdlab augment``: a file of new examples, the same whoever makes it, and runs that take it."""

from __future__ import annotations

import json
import shlex
import shutil
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from cli_fixtures import Lab, metrics, open_lab

from kdlab.data.augmented import read_table, write_tables
from kdlab.errors import KdlabError
from kdlab.transformations.words import Edit, apply_edits

TABLES = {"man": ["woman", "child"], "woman": ["man"], "dog": ["cat"], "cat": ["dog"], "sleeps": ["waits"]}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory):
    return open_lab(tmp_path_factory)


@pytest.fixture(scope="module")
def resources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("resources")
    (folder / "counterfitted_neighbors.json").write_text(json.dumps(TABLES))
    (folder / "stop_words.txt").write_text("the\na\nnot\n")
    return folder


def words(lab: Lab, out: Path, *more: object) -> list[object]:
    """A small augmentation; later words go over earlier ones."""
    return [
        *("augment", "--task", "rte", "--data-dir", lab.data, "--teacher", lab.teacher, "--out", out, "--workers", "1"),
        *("--accelerator", "cpu", "teacher.epochs=1", "teacher.batch_size=16", "teacher.learning_rate=1e-3"),
        *("masked_lm.head_steps=2", "masked_lm.label_steps=2", *more),
    ]


def test_a_file_and_what_it_says_of_itself(lab: Lab, tmp_path: Path, resources: Path):
    out = tmp_path / "new.parquet"
    made = lab.run(*words(lab, out, "--with", "embedding", "eda", "-n", "2", "--resources", resources))
    assert made.code == 0, made.err
    assert "SUBSTITUTED: synonyms: kdlab's own synonyms, for WordNet's data.noun, which the --resources" in made.err
    table, manifest = read_table(out)
    rows = table.to_pylist()
    train = {
        int(line.split("\t")[0]): line.rstrip("\n").split("\t")[1:]
        for line in (lab.data / "RTE" / "train.tsv").read_text().splitlines()[1:]
    }
    assert len(rows) == sum(about["made"] for about in manifest["augmenters"].values()) > 10
    for row in rows:
        premise, hypothesis, label = train[row["source"]]
        edits = [Edit(**edit) for edit in row["edits"]]
        assert apply_edits((premise, hypothesis), edits) == (row["text"], row["text_pair"])
        assert row["label"] == label
        assert 0 <= row["label_prob"] <= 1
        assert row["log_prob"] is None
    assert [row["augmenter"] for row in rows] == sorted((row["augmenter"] for row in rows), reverse=True)
    about = manifest["augmenters"]["embedding"]
    assert about["wanted"] == 2 * manifest["sources"]
    assert about["made"] + sum(int(k) * n for k, n in about["short"].items()) == about["wanted"]
    assert 0 < about["edited_share"] < 1
    assert 0 <= about["label_preserved"] <= 1
    assert sorted(one["kind"] for one in manifest["resources"]) == ["neighbours", "stop words", "synonyms"]
    assert manifest["models"].keys() == {"teacher"}
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.parametrize("name", ["embedding", "contextual", "cbert", "tinybert", "p_s"])
def test_equal_bytes_whoever_makes_it(
    lab: Lab, tmp_path: Path, resources: Path, name: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("kdlab.augmentation.blocks.LARGEST", 8)
    asked = ("--with", name, "-n", "2", "--resources", resources, "--no-teacher")
    files = []
    for number, more in enumerate(
        ((), ("--batch-size", "3"), ("--workers", "2") if name == "embedding" else ("--fresh",))
    ):
        files.append(tmp_path / f"{number}.parquet")
        made = lab.run(*words(lab, files[-1], *asked, *more))
        assert made.code == 0, made.err
    first, *others = (file.read_bytes() for file in files)
    assert all(other == first for other in others)
    lab.run(*words(lab, files[0], *asked, "--seed", "1"))
    assert files[0].read_bytes() != first


def test_it_goes_on_where_it_was_stopped(lab: Lab, tmp_path: Path, resources: Path, monkeypatch: pytest.MonkeyPatch):
    from kdlab.augmentation.embedding import EmbeddingSwap

    monkeypatch.setattr("kdlab.augmentation.blocks.LARGEST", 8)
    asked = ("--with", "embedding", "-n", "2", "--resources", resources)
    whole, out = tmp_path / "whole.parquet", tmp_path / "new.parquet"
    assert lab.run(*words(lab, whole, *asked)).code == 0
    augment, calls = EmbeddingSwap.augment, []

    def stopped(self, sources, copies, seed):
        calls.append(len(sources))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return augment(self, sources, copies, seed)

    monkeypatch.setattr(EmbeddingSwap, "augment", stopped)
    done = lab.run(*words(lab, out, *asked))
    assert done.code == 130
    assert "the same command goes on from the last finished block" in done.err
    assert not out.exists()
    done = lab.run(*words(lab, out, *asked))
    assert "embedding: 2 of " in done.out
    assert out.read_bytes() == whole.read_bytes()
    assert not (tmp_path / ".new.parquet.parts").exists()


def test_a_filter_by_the_teacher(lab: Lab, tmp_path: Path, resources: Path):
    asked = ("--with", "embedding", "-n", "2", "--resources", resources)
    every, sure = tmp_path / "every.parquet", tmp_path / "sure.parquet"
    assert lab.run(*words(lab, every, *asked)).code == 0
    probabilities = pq.read_table(every)["label_prob"].to_pylist()
    least = sorted(probabilities)[len(probabilities) // 2]
    assert lab.run(*words(lab, sure, *asked, "--keep-label-above", least)).code == 0
    kept = pq.read_table(sure)["label_prob"].to_pylist()
    assert kept == [p for p in probabilities if p >= least]
    assert read_table(sure)[1]["augmenters"]["embedding"]["kept"] == len(kept)


def test_a_run_takes_the_file(lab: Lab, tmp_path: Path, resources: Path):
    out = tmp_path / "new.parquet"
    assert lab.run(*words(lab, out, "--with", "embedding", "-n", "2", "--resources", resources)).code == 0
    rows = pq.read_table(out).num_rows
    (plain,), (more,), (finetuned,) = (
        lab.train(tmp_path / name, *extra, method=method)
        for name, method, extra in (
            ("plain", "kd", ()),
            ("more", "kd", (f"augment={out}",)),
            ("finetuned", "finetune", (f"augment={out}",)),
        )
    )
    record = metrics(more)
    assert record["augmented"]["rows"] == rows
    assert record["augmented"]["augmenters"] == ["embedding"]
    assert metrics(plain)["augmented"] == {}
    assert record["training"]["steps"] > metrics(plain)["training"]["steps"]
    assert record["training"]["steps"] == metrics(finetuned)["training"]["steps"]
    assert record["fingerprints"]["teacher"] == metrics(plain)["fingerprints"]["teacher"]  # it has its own rows alone
    assert record["fingerprints"]["splits"]["dev"] == metrics(plain)["fingerprints"]["splits"]["dev"]
    assert record["fingerprints"]["splits"]["train"] != metrics(plain)["fingerprints"]["splits"]["train"]
    moved = shutil.copy(out, tmp_path / "moved.parquet")
    again = lab.run(*lab.words(tmp_path / "more", f"augment={moved}"))
    assert "is finished already" in again.out  # what counts is what is in it
    plan = lab.run(*lab.words(tmp_path / "more", f"augment={out}", "--dry-run")).out
    assert f"train with {rows:,} examples of {out} besides (made by embedding); the teacher's has none" in plan
    other = lab.run(*lab.words(tmp_path / "other", f"augment={out}", "--limit-train", "20"))
    assert "was made of other training rows" in other.sentence


def test_a_part_of_the_rows(lab: Lab, tmp_path: Path, resources: Path):
    asked = ("--with", "embedding", "-n", "2", "--resources", resources)
    files = {}
    for rows, more in (
        (None, ()),
        (20, ("--rows", "20")),
        (30, ("--rows", "30")),
        (-20, ("--rows", "20", "--seed", "1")),
    ):
        files[rows] = tmp_path / f"{rows}.parquet"
        done = lab.run(*words(lab, files[rows], *asked, *more))
        assert done.code == 0, done.err
    assert "embedding on 20 of 58 training rows (drawn by seed 1) of rte." in done.out
    every, table = pq.read_table(files[None]).to_pylist(), pq.read_table(files[20]).to_pylist()
    sources = {row["source"] for row in table}
    assert 10 < len(sources) <= 20  # some have no neighbours
    same = [row for row in every if row["source"] in sources]
    for one, other in zip(table, same, strict=True):  # what is made of a row is the same, whoever is there besides
        assert {k: v for k, v in one.items() if k != "label_prob"} == {
            k: v for k, v in other.items() if k != "label_prob"
        }
        assert one["label_prob"] == pytest.approx(other["label_prob"], abs=1e-5)
    assert sources <= {row["source"] for row in pq.read_table(files[30]).to_pylist()}
    assert sources != {row["source"] for row in pq.read_table(files[-20]).to_pylist()}
    whole, manifest = (read_table(files[rows])[1] for rows in (None, 20))
    assert (manifest["sources"], manifest["training_rows"]) == (20, 58)
    assert (whole["sources"], whole["training_rows"]) == (58, 58)
    assert manifest["of"] == "rte, 20 of 58 training rows (drawn by seed 0) (local)"
    assert manifest["data"] == whole["data"]
    assert manifest["augmenters"]["embedding"]["wanted"] == 40
    right = round(manifest["label_preserved_of_sources"] * 20, 3)
    assert right == int(right)  # of the twenty, not of all
    plan = lab.run(*lab.words(tmp_path / "runs", f"augment={files[20]}", "--dry-run"))
    assert f"train with {len(table)} examples of {files[20]} besides (made by embedding of 20 of 58 rows)" in plan.out
    other = lab.run(*lab.words(tmp_path / "runs", f"augment={files[20]}", "--limit-train", "20"))
    assert "was made of other training rows (rte, 20 of 58 training rows (drawn by seed 0) (local))" in other.sentence


def test_back_translation_by_commands(lab: Lab, tmp_path: Path):
    out = tmp_path / "new.parquet"
    script = tmp_path / "back.py"
    script.write_text("import sys\nfor line in sys.stdin: print(line.strip().replace('the ', 'a '))")
    back = shlex.join([sys.executable, str(script)])
    asked = ("--with", "back_translation", "--no-teacher", "back_translation.command_there=cat")
    made = lab.run(*words(lab, out, *asked, f"back_translation.command_back={back}"))
    assert made.code == 0, made.err
    rows = pq.read_table(out).to_pylist()
    assert rows
    assert all("the " not in row["text"] + row["text_pair"] for row in rows)
    assert {edit["position"] for row in rows for edit in row["edits"]} == {-1}
    dead = lab.run(*words(lab, out, *asked, "back_translation.command_back=cat /nowhere"))
    assert "The translation command 'cat /nowhere' ended with code 1" in dead.sentence


def test_fresh_makes_and_reads_everything_again(lab: Lab, tmp_path: Path, resources: Path, monkeypatch):
    from kdlab.pipeline import augment

    asked = ("--with", "embedding", "-n", "2", "--resources", resources)
    out = tmp_path / "new.parquet"

    def full(*_):
        raise KdlabError("no room")

    monkeypatch.setattr("kdlab.augmentation.blocks.AT_LEAST", 1)
    with monkeypatch.context() as patch:
        patch.setattr(augment, "write_tables", full)
        assert "no room" in lab.run(*words(lab, out, *asked)).sentence
    parts = sorted((tmp_path / ".new.parquet.parts").glob("*.parquet"), key=lambda part: len(part.name))
    assert len(parts) == 2  # a block, and what the teacher says of it
    table, stats = read_table(parts[1])
    told = pa.array([2.0] * table.num_rows, pa.float32())  # as nobody's probability is
    table = table.set_column(table.schema.get_field_index("label_prob"), "label_prob", told)
    write_tables(parts[1], [table], {key: value for key, value in stats.items() if key != "format"})
    before = [part.read_bytes() for part in parts]
    assert lab.run(*words(lab, out, *asked)).code == 0
    assert set(pq.read_table(out)["label_prob"].to_pylist()) == {2.0}  # it took what was there
    parts[0].parent.mkdir()
    for part, content in zip(parts, before, strict=True):
        part.write_bytes(content)
    assert lab.run(*words(lab, out, *asked, "--fresh")).code == 0
    assert 2.0 not in pq.read_table(out)["label_prob"].to_pylist()


def test_a_part_that_was_cut_short_is_made_again(lab: Lab, tmp_path: Path, resources: Path, monkeypatch):
    from kdlab.pipeline import augment

    asked = ("--with", "embedding", "-n", "2", "--resources", resources)
    whole, out = tmp_path / "whole.parquet", tmp_path / "new.parquet"
    assert lab.run(*words(lab, whole, *asked)).code == 0

    def full(*_):
        raise KdlabError("no room")

    with monkeypatch.context() as patch:
        patch.setattr(augment, "write_tables", full)
        lab.run(*words(lab, out, *asked))
    for part in (tmp_path / ".new.parquet.parts").glob("*.parquet"):
        part.write_bytes(part.read_bytes()[:-20])
    assert lab.run(*words(lab, out, *asked)).code == 0
    assert out.read_bytes() == whole.read_bytes()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--with", "eda", "-n", "0"), "-n 0: it says how many"),
        (("--with", "eda", "--rows", "0"), "--rows 0: it says how many of the 58 training rows of rte are augmented"),
        (("--with", "eda", "--rows", "59"), "--rows 59: it says how many of the 58 training rows"),
        (("--with", "eda", "--rows", "1"), "--rows=1 is less than the 2 labels"),
        (("--with", "edda"), "There is no augmenter 'edda': did you mean eda?"),
        (("--with", "eda", "eda.alfa=1"), "There is no setting 'eda.alfa': did you mean eda.alpha?"),
        (("--with", "eda", "eda.alpha=x"), "eda.alpha=x has the wrong type"),
        (("--with", "eda", "eda.alpha=2"), "eda.alpha=2"),
        (("--with", "eda", "wordnet.share=.5"), "There is no setting 'wordnet.share'"),
        (("--with", "eda", "--side", "left"), "--side left: it is one of text, pair, both"),
        (("--with", "eda", "--task", "sst2", "--side", "pair"), "the examples of this task have one text"),
        (("--with", "eda", "--resources", "/nowhere"), "There is no folder /nowhere"),
        (("--with", "eda", "--keep-label-above", "2"), "it is a probability"),
        (("--with", "eda", "--keep-label-above", ".5", "--no-teacher"), "leave one out"),
        (("--with", "eda", "--task", "stsb", "--keep-label-above", ".5"), "stsb has scores, which have no probability"),
        (("--with", "cbert", "--task", "stsb"), "cbert is told labels, and stsb has scores"),
        (("--with", "back_translation"), "back_translation needs a translator"),
        (("--with", "back_translation", "back_translation.command_there=cat"), "back_translation.command_back is not"),
        (("--with", "eda", "augment=x.parquet"), "augment=x.parquet: new examples are made of the task's own rows"),
        (("--with", "eda", "method=finetune"), "method=finetune: new examples are made of the task's own rows"),
        (("--with", "eda", "data.source=sst2"), "data.source=sst2: new examples are made of the task's own rows"),
        (("--with", "eda.alpha=.1"), "--with names no augmenter"),
        (("--with", "eda", "--resources", "~nobody/x"), "There is no folder ~nobody/x"),
        (("--with", "eda", "--workers", "0"), "--workers 0: it must be 1 or more"),
        (("--with", "eda", "masked_lm.head_steps=0"), "masked_lm.head_steps=0"),
        (("--with", "eda", "--nn", "3"), "There is no flag '--nn'"),
        (("--with", "eda", "--out", "x.csv"), "so call it x.parquet"),
    ],
)
def test_what_is_wrong_is_said(lab: Lab, tmp_path: Path, more: tuple[str, ...], said: str):
    out = tmp_path / "new.parquet"
    assert said in lab.run(*words(lab, out, *more)).sentence
    assert not out.exists()


def test_a_file_that_is_none_is_refused(lab: Lab, tmp_path: Path):
    file = tmp_path / "x.parquet"
    for content in (b"", b"no parquet"):
        file.write_bytes(content)
        assert "x.parquet can't be read" in lab.run(*lab.words(tmp_path, f"augment={file}")).sentence
    pq.write_table(pa.table({"text": ["a"], "label": ["b"], "text_pair": ["c"]}), file)
    assert "holds no augmented examples" in lab.run(*lab.words(tmp_path, f"augment={file}")).sentence
    assert "gone.parquet" in lab.run(*lab.words(tmp_path, f"augment={tmp_path / 'gone.parquet'}")).sentence


def test_augmenters_are_listed(lab: Lab):
    listed = lab.run("list", "augmenters").out
    assert "back_translation" in listed
    assert len(listed.splitlines()) == 10
