"""Random damage to every kind of foreign file: a sentence or a run, never a traceback, in bounded time and memory."""

from __future__ import annotations

import json
import resource
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
from cli_fixtures import WORDS, Lab, open_lab, write_checkpoint
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from kdlab.models.bilstm import BiLSTMConfig
from kdlab.models.checkpoint import labelled_config
from kdlab.models.recurrent import new_bilstm
from kdlab.system.cache import Cache

SECONDS, BYTES = 10, 2 << 30
BRIEF = settings(
    max_examples=12, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None
)
LONG = settings(BRIEF, max_examples=150)

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.sampled_from([0, 1, -1, 2, 10**7, 2**31 - 1, 2**31, 2**63, 0.5, -0.0, 1e300]),
    st.floats(),
    st.text(max_size=12),
    st.sampled_from(["", "bert", "roberta", "../x", "\x1b[2J", "\ud800", "a" * 5000, "null", "label", "0"]),
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)


@st.composite
def mutations(draw: Any) -> Any:
    """A function that changes one to three places of a nested value."""
    picks = [
        (draw(st.integers(0, 10**6)), draw(st.sampled_from(["set", "set", "drop", "add"])), draw(values))
        for _ in range(draw(st.integers(1, 3)))
    ]
    name = draw(st.text(max_size=8))

    def change(content: Any) -> Any:
        for pick, how, value in picks:
            places = list(_places(content))
            if not places:
                return value
            holder, key = places[pick % len(places)]
            if how == "drop":
                del holder[key]
            elif how == "add" and isinstance(holder, dict):
                holder[name] = value
            else:
                holder[key] = value
        return content

    return change


def _places(content: Any):
    """Every (container, key) below a value."""
    keys = list(content) if isinstance(content, dict) else range(len(content)) if isinstance(content, list) else ()
    for key in keys:
        yield content, key
        yield from _places(content[key])


raw = st.one_of(
    st.binary(max_size=60),
    st.builds(
        lambda n, c: c * n,
        st.integers(1, 50_000),
        st.sampled_from([b"[", b"{", b"a: [", b'{"a":', b"&a [*a,", b"\xff"]),
    ),
)


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    """A task of the user's own, its classifier, that in shards, and a finished run."""
    root = tmp_path_factory.mktemp("world")
    lab = open_lab(tmp_path_factory)
    (root / "task.yaml").write_text(
        "name: mine\nfiles: {train: train.csv, dev: dev.csv}\ncolumns: {text: text, label: label}\nlabels: [neg, pos]\n"
        "aliases: {good: pos}\nmetrics: [accuracy]\ndescription: a task\n"
    )
    for name, size in (("train", 40), ("dev", 16)):
        rows = [f"the {WORDS[9 + i % 16]} {WORDS[9 + i * 5 % 16]},{('neg', 'pos')[i % 2]}" for i in range(size)]
        (root / f"{name}.csv").write_text("text,label\n" + "\n".join(rows) + "\n")
    write_checkpoint(root / "enc", labels=("neg", "pos"))
    write_bilstm(root / "lstm")
    shutil.copytree(root / "enc", root / "shards")
    weights = load_file(root / "enc" / "model.safetensors")
    (root / "shards" / "model.safetensors").unlink()
    save_file(weights, root / "shards" / "all.safetensors", metadata={"format": "pt"})
    index = {"metadata": {"total_size": 1}, "weight_map": dict.fromkeys(weights, "all.safetensors")}
    (root / "shards" / "model.safetensors.index.json").write_text(json.dumps(index))
    done = lab.run(
        *words(root), "training.max_steps=1", "--out", root / "out", env={"KDLAB_CACHE": str(root / "cache")}
    )
    assert done.code == 0, done.err
    (record,) = (root / "out").glob("*/metrics.json")
    record.parent.rename(root / "run")
    return root


def write_bilstm(folder: Path) -> None:
    """A classifier of pairs with the tiny checkpoint's tokenizer."""
    write_checkpoint(folder)
    config = BiLSTMConfig(vocab_size=len(WORDS), embedding_size=8, hidden_size=6, classifier_size=10, pair=True)
    new_bilstm(labelled_config(config, ("neg", "pos")), 0).model.save_pretrained(folder)


def words(root: Path, teacher: str = "enc") -> list[object]:
    return [
        *("run", "--method", "kd", "--task", root / "task.yaml", "--teacher", root / teacher),
        *("--student", "layers:bottom:1", "--accelerator", "cpu", "--precision", "32"),
    ]


def check(lab: Lab, *command: object, env: dict[str, str] | None = None) -> None:
    """A run or a sentence, in bounded time and memory."""
    began = time.monotonic()
    done = lab.run(*command, env=env)  # a traceback would come through here
    assert done.code in (0, 1, 2), done.err
    if done.code == 2:
        sentence = done.err.splitlines()[-1]
        assert sentence.startswith("kdlab: error: ")
        assert sentence.isprintable()
        assert len(sentence) < 2500
    assert "\x1b" not in done.out + done.err
    assert time.monotonic() - began < SECONDS
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 < BYTES


class Damaged:
    """A file of the world under other content, put back afterwards."""

    def __init__(self, file: Path, content: bytes | str) -> None:
        self.file, self.content = file, content

    def __enter__(self) -> None:
        self.whole = self.file.read_bytes()
        data = self.content
        self.file.write_bytes(data if isinstance(data, bytes) else data.encode("utf-8", "surrogatepass"))

    def __exit__(self, *_: object) -> None:
        self.file.write_bytes(self.whole)


JSON_FILES = {
    "config.json": ("enc", "enc/config.json"),
    "tokenizer.json": ("enc", "enc/tokenizer.json"),
    "tokenizer_config.json": ("enc", "enc/tokenizer_config.json"),
    "index": ("shards", "shards/model.safetensors.index.json"),
    "BiLSTM's config.json": ("lstm", "lstm/config.json"),
}


def check_checkpoint(world: Path, lab: Lab, name: str, content: bytes | str) -> None:
    teacher, file = JSON_FILES[name]
    with Damaged(world / file, content):
        check(lab, *words(world, teacher), "--dry-run", env={"KDLAB_CACHE": str(world / "cache")})


def check_record(world: Path, lab: Lab, name: str, content: bytes | str) -> None:
    with Damaged(world / "run" / name, content):
        check(lab, "evaluate", world / "run", "--on", "imdb", env={"KDLAB_CACHE": str(world / "cache")})
        check(lab, "divergence", world / "run")


def check_task(world: Path, lab: Lab, content: bytes | str) -> None:
    with Damaged(world / "task.yaml", content):
        check(lab, *words(world), "--dry-run", env={"KDLAB_CACHE": str(world / "cache")})


def check_manifest(tmp_path: Path, lab: Lab, content: bytes | str) -> None:
    root = tmp_path / "cache"
    cache = Cache(root)

    def build(folder: Path) -> None:
        (folder / "x.txt").write_text("x")

    folder = cache.get_or_make("tokens", "0" * 64, build, {"task": "t"})
    data = content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass")
    (folder / "manifest.json").write_bytes(data)
    env = {"KDLAB_CACHE": str(root)}
    for action in ("ls", "verify"):
        check(lab, "cache", action, env=env)
    assert cache.get_or_make("tokens", "0" * 64, build, {"task": "t"}) == folder
    (folder / "manifest.json").write_bytes(data)
    assert lab.run("cache", "clear", env=env).code == 0
    assert not folder.exists()


@pytest.fixture(params=[pytest.param(BRIEF, id="brief"), pytest.param(LONG, id="long", marks=pytest.mark.slow)])
def many(request) -> settings:
    return request.param


def damage(many: settings, content: str, check_with) -> None:
    """Has a file's content changed in some places, and replaced by bytes; ``check_with`` gets each in turn."""

    @many
    @given(mutations())
    def nested(change):
        check_with(json.dumps(change(json.loads(content))))

    @many
    @given(raw)
    def bytes_(data):
        check_with(data)

    nested()
    bytes_()


@pytest.mark.parametrize("name", JSON_FILES)
def test_files_of_a_checkpoint(world: Path, tmp_path_factory, many: settings, name: str):
    lab, file = open_lab(tmp_path_factory), JSON_FILES[name][1]
    content = (world / file).read_text()

    damage(many, content, lambda data: check_checkpoint(world, lab, name, data))


@pytest.mark.parametrize("name", ["metrics.json"])
def test_files_of_a_record(world: Path, tmp_path_factory, many: settings, name: str):
    lab, content = open_lab(tmp_path_factory), (world / "run" / name).read_text()

    damage(many, content, lambda data: check_record(world, lab, name, data))


def test_task_files_and_configurations(world: Path, tmp_path_factory, many: settings):
    import yaml

    lab, content = open_lab(tmp_path_factory), yaml.safe_load((world / "task.yaml").read_text())
    written = (world / "run" / "config.yaml").read_text()

    @many
    @given(mutations())
    def task(change):
        check_task(world, lab, json.dumps(change(json.loads(json.dumps(content)))))

    @many
    @given(raw)
    def bytes_(data):
        check_task(world, lab, data)

    @many
    @given(mutations())
    def configuration(change):
        check_record(world, lab, "config.yaml", json.dumps(change(yaml.safe_load(written))))

    task()
    bytes_()
    configuration()


def test_manifests(world: Path, tmp_path_factory, many: settings):
    lab, folder = open_lab(tmp_path_factory), tmp_path_factory.mktemp("manifests")
    content = {"kind": "tokens", "key": "0" * 64, "task": "t", "files": {"x.txt": "0" * 64}}
    damage(many, json.dumps(content), lambda data: check_manifest(folder, lab, data))
