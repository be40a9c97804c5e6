"""A little world for tests of the command line: a tiny checkpoint, GLUE files, a cache, and ``kdlab`` in-process."""

import atexit
import contextlib
import functools
import io
import json
import os
import random
import socket
import struct
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForSequenceClassification, BertConfig, BertTokenizer
from warm import Warm

from kdlab.cli import main

OFFLINE = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
SUBJECTS = ("man", "woman", "dog", "cat", "child", "bird", "horse", "nurse")
VERBS = ("sleeps", "runs", "sings", "eats", "swims", "waits", "laughs", "falls")
NLI = ("entailment", "neutral", "contradiction")
RTE = ("entailment", "not_entailment")
WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "a", "not", ".", *SUBJECTS, *VERBS)


@functools.cache
def warm() -> Warm:
    """The process that runs in processes of their own are forks of."""
    process = Warm()
    atexit.register(process.close)
    return process


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


@dataclass(frozen=True)
class Outcome:
    """What a command ended with."""

    code: int
    out: str
    err: str

    @property
    def sentence(self) -> str:
        """The one sentence of a refused command."""
        assert self.code == 2, f"exit code {self.code}\n{self.out}\n{self.err}"
        lines = [line for line in self.err.splitlines() if not line.startswith("kdlab: warning: ")]
        assert len(lines) == 1, f"one line is expected, not\n{self.err}"
        assert lines[0].startswith("kdlab: error: ")
        assert "Traceback" not in self.err
        return lines[0].removeprefix("kdlab: error: ")

    def field(self, name: str) -> str:
        """A line of the plan."""
        return next(line.split(name, 1)[1].strip() for line in self.out.splitlines() if line.startswith(f"  {name} "))


@dataclass(frozen=True)
class Lab:
    """Folders of a session, and the command."""

    root: Path

    @property
    def teacher(self) -> Path:
        """A BERT of 3 layers and width 16 without a head."""
        return self.root / "teacher"

    @property
    def data(self) -> Path:
        """RTE, SST-2, STS-B, MNLI and AX in the GLUE layout."""
        return self.root / "glue"

    @property
    def cache(self) -> Path:
        """kdlab's cache; tests that look into a cache take their own."""
        return self.root / "cache"

    def run(self, *words: object, env: dict[str, str | None] | None = None) -> Outcome:
        """``kdlab WORDS`` in this process, off the network, on one thread."""
        out, err, threads = io.StringIO(), io.StringIO(), torch.get_num_threads()
        with pytest.MonkeyPatch.context() as patch:
            isolate(patch, self.root / "no_cache")
            settings = {**OFFLINE, "KDLAB_CACHE": str(self.cache), "WANDB_MODE": "offline", "WANDB_SILENT": "true"}
            for name, value in {**settings, **(env or {})}.items():
                if value is None:
                    patch.delenv(name, raising=False)
                else:
                    patch.setenv(name, value)
            torch.set_num_threads(1)
            try:
                with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                    code = main([str(word) for word in words])
            finally:
                torch.set_num_threads(threads)
        return Outcome(code, out.getvalue(), err.getvalue())

    def words(self, out: Path, *more: object, method: str = "kd", task: str = "rte") -> list[object]:
        """The command line of a small run; later words go over earlier ones."""
        return [
            *("run", "--method", method, "--task", task, "--data-dir", self.data, "--teacher", self.teacher),
            *("--student", "layers:bottom:1", "--out", out, "--accelerator", "cpu", "--precision", "32"),
            *("teacher.epochs=1", "training.epochs=1", "training.batch_size=16", "teacher.batch_size=16"),
            *("teacher.learning_rate=1e-3", "training.learning_rate=1e-3", "training.log_every=1", *more),
        ]

    def run_on(self, devices: int, method: str, *more: object, torchrun: bool = False) -> Path:
        """A small run in processes of its own, with a cache for each number of devices; returns its record's folder.

        Processes are forks that meet as those of torchrun do; ``torchrun`` has kdlab start them itself.
        """
        env = {
            **os.environ,
            "KDLAB_CACHE": str(self.root / f"cache{devices}"),
            "HF_HUB_OFFLINE": "1",
            "OMP_NUM_THREADS": "1",
        }
        out = Path(tempfile.mkdtemp(dir=self.root, prefix=f"out{devices}-"))
        words = [str(w) for w in self.words(out, "--devices", devices, *more, method=method)]
        if torchrun:
            command = [sys.executable, "-m", "kdlab", *words]
            done = [subprocess.run(command, env=env, capture_output=True, text=True, check=False)]
        elif devices == 1:
            done = [warm().run(["never", "0", *words], env)]
        else:
            meeting = {"TORCHELASTIC_RUN_ID": "test", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
            size = {"WORLD_SIZE": str(devices), "LOCAL_WORLD_SIZE": str(devices)}
            ranks = [{**env, **meeting, **size, "RANK": str(i), "LOCAL_RANK": str(i)} for i in range(devices)]
            done = warm().run_together([(["never", "0", *words], rank) for rank in ranks])
        assert all(one.returncode == 0 for one in done), [one.stderr for one in done]
        assert sum(one.stdout.count("Record: ") for one in done) == 1
        (file,) = out.glob("*/metrics.json")
        return file.parent

    def train(self, out: Path, *more: object, method: str = "kd", task: str = "rte") -> list[Path]:
        """A small run that must succeed; returns the folders of the records in it, by seed."""
        done = self.run(*self.words(out, *more, method=method, task=task))
        assert done.code == 0, done.err
        return sorted((path.parent for path in out.glob("*/metrics.json")), key=lambda path: metrics(path)["seed"])


def isolate(patch: pytest.MonkeyPatch, empty: Path) -> None:
    """Hides what this machine's caches hold, and puts the offline flags back that kdlab turns on in the libraries."""
    from huggingface_hub import constants

    patch.setattr(constants, "HF_HUB_CACHE", str(empty))
    patch.setattr(constants, "HF_HUB_OFFLINE", constants.HF_HUB_OFFLINE)
    patch.setenv("HF_DATASETS_CACHE", str(empty))
    datasets = sys.modules.get("datasets.config")
    if datasets is not None:
        patch.setattr(datasets, "HF_DATASETS_CACHE", empty)
        for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE"):
            if hasattr(datasets, name):
                patch.setattr(datasets, name, getattr(datasets, name))


def metrics(folder: Path) -> dict:
    """The figures of a record."""
    return json.loads((folder / "metrics.json").read_text(encoding="utf-8"))


def predictions(folder: Path, split: str) -> list[dict]:
    """The lines of a predictions file."""
    return [json.loads(line) for line in (folder / "predictions" / f"{split}.jsonl").read_text().splitlines()]


def write_checkpoint(
    folder: Path,
    words: tuple[str, ...] = WORDS,
    layers: int = 3,
    labels: tuple[str, ...] | None = None,
    seed: int = 0,
    rows: int | None = None,
) -> Path:
    """A BERT of width 16 with a word-piece tokenizer, a head where labels are given, a row for each word or more."""
    names = labels or ("LABEL_0", "LABEL_1")
    config = BertConfig(
        vocab_size=rows or len(words),
        hidden_size=16,
        num_hidden_layers=layers,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=48,
        initializer_range=0.5,  # wide enough that different inputs differ
        id2label=dict(enumerate(names)),
        label2id={name: i for i, name in enumerate(names)},
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = AutoModelForSequenceClassification.from_config(config)
        torch.nn.init.normal_(model.classifier.weight)
    (model if labels else model.bert).save_pretrained(folder)
    BertTokenizer(vocab={word: i for i, word in enumerate(words)}).save_pretrained(folder)
    return folder


def write_tsv(path: Path, rows: list[list[object]]) -> Path:
    """A file in GLUE's way: tabs, no quotes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join("\t".join(map(str, row)) + "\n" for row in rows), encoding="utf-8")
    return path


def pairs(n: int, labels: tuple[str, ...], seed: int = 0) -> list[tuple[str, str, str]]:
    """Premises, hypotheses and labels in turn."""
    draw = random.Random(seed)
    found = []
    for i in range(n):
        who, does = draw.choice(SUBJECTS), draw.choice(VERBS)
        second = (
            f"a {who} {does} .",
            f"a {draw.choice(SUBJECTS)} {draw.choice(VERBS)} .",
            f"the {who} not {does} .",
        )
        found.append((f"the {who} {does} .", second[i % len(labels)], labels[i % len(labels)]))
    return found


def write_rte(folder: Path, train: int = 64, dev: int = 24, test: int = 10) -> Path:
    """RTE's files."""
    header = ["index", "sentence1", "sentence2"]
    for name, n, seed in (("train", train, 1), ("dev", dev, 2)):
        rows = [[i, *row] for i, row in enumerate(pairs(n, RTE, seed))]
        write_tsv(folder / f"{name}.tsv", [[*header, "label"], *rows])
    write_tsv(folder / "test.tsv", [header, *([i, *row[:2]] for i, row in enumerate(pairs(test, RTE, 3)))])
    return folder


def _write_sst2(folder: Path) -> None:
    for name, n, seed in (("train", 40, 1), ("dev", 16, 2)):
        rows = [[row[0], i % 2] for i, row in enumerate(pairs(n, RTE, seed))]
        write_tsv(folder / f"{name}.tsv", [["sentence", "label"], *rows])
    rows = [[i, row[0]] for i, row in enumerate(pairs(9, RTE, 3))]
    write_tsv(folder / "test.tsv", [["index", "sentence"], *rows])


def _write_stsb(folder: Path) -> None:
    header = ["index", "genre", "sentence1", "sentence2"]
    for name, n, seed in (("train", 40, 1), ("dev", 16, 2)):
        rows = [[i, "g", row[0], row[1], f"{(i * 7 % 26) / 5:.3f}"] for i, row in enumerate(pairs(n, RTE, seed))]
        write_tsv(folder / f"{name}.tsv", [[*header, "score"], *rows])
    rows = [[i, "g", row[0], row[1]] for i, row in enumerate(pairs(11, RTE, 3))]
    write_tsv(folder / "test.tsv", [header, *rows])


def _write_mnli(folder: Path) -> None:
    header = ["index", "sentence1", "sentence2"]
    for name, n, seed in (("train", 48, 1), ("dev_matched", 15, 2), ("dev_mismatched", 18, 4)):
        rows = [[i, *row] for i, row in enumerate(pairs(n, NLI, seed))]
        write_tsv(folder / f"{name}.tsv", [[*header, "gold_label"], *rows])
    for name, n in (("test_matched", 7), ("test_mismatched", 8)):
        write_tsv(folder / f"{name}.tsv", [header, *([i, *row[:2]] for i, row in enumerate(pairs(n, NLI, n)))])


def write_glue(root: Path) -> Path:
    """RTE, SST-2, STS-B, MNLI and AX in the GLUE layout."""
    write_rte(root / "RTE")
    _write_sst2(root / "SST-2")
    _write_stsb(root / "STS-B")
    _write_mnli(root / "MNLI")
    rows = [[i, *row[:2]] for i, row in enumerate(pairs(6, NLI, 9))]
    write_tsv(root / "diagnostic" / "diagnostic.tsv", [["index", "sentence1", "sentence2"], *rows])
    return root


def open_lab(factory: pytest.TempPathFactory) -> Lab:
    """The world, made once a session."""
    made = Lab(factory.getbasetemp() / "lab")
    if not made.root.exists():
        write_checkpoint(made.teacher)
        write_glue(made.data)
    return made


def read_wandb(folder: Path, patience: float = 60.0) -> tuple[dict, list[dict], dict]:
    """An offline W&B run below a folder: its configuration, its history and what its settings say of the run.

    W&B's ``finish`` returns before its service has written the end of the file, so this reads again until the exit
    record, which is the last, is there.

    Args:
        folder: The run's folder.
        patience: Seconds until a file without an exit record is an error.
    """
    (file,) = folder.glob("wandb/offline-run-*/*.wandb")
    end = time.monotonic() + patience
    records = wandb_records(file.read_bytes())
    while not any(record.HasField("exit") for record in records):
        assert time.monotonic() < end, f"{file} has no exit record after {patience:g} s"
        time.sleep(0.01)
        records = wandb_records(file.read_bytes())
    config, history, about, summary = {}, [], {}, {}
    for found in records:
        for item in (*found.run.config.update, *found.config.update):
            config[item.key or ".".join(item.nested_key)] = json.loads(item.value_json)
        summary |= {item.key or ".".join(item.nested_key): item.value_json for item in found.summary.update}
        if found.HasField("run"):
            about = {"id": found.run.run_id, "sweep": found.run.sweep_id, "project": found.run.project}
        if found.HasField("history"):
            line = {".".join(item.nested_key) or item.key: item.value_json for item in found.history.item}
            history.append({key: json.loads(value) for key, value in line.items()})
    about["summary"] = {key: json.loads(value) for key, value in summary.items()}
    return config, history, about


def wandb_records(data: bytes) -> list:
    """The whole records in the bytes of a ``.wandb`` file, which may still be growing.

    The file is a log in LevelDB's format (blocks of 32 KiB, records in one to many parts) of protocol buffers.
    """
    from wandb.proto.wandb_internal_pb2 import Record

    records, at, part = [], 7, b""
    assert data[:4] == b":W&B"[: len(data)]
    while at + 7 <= len(data):
        left = 32768 - at % 32768
        if left < 7:
            at += left
            continue
        _, length, kind = struct.unpack("<IHB", data[at : at + 7])
        at += 7 + length
        if at > len(data):
            break
        part += data[at - length : at]
        if kind in (1, 4):  # a whole record, or its last part
            records.append(Record.FromString(part))
            part = b""
    return records
