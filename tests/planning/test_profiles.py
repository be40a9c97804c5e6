"""Where data and encoders come from: in which order, with one question to the hub at most, and no silent stand-in."""

import socket
from pathlib import Path

import pytest
from cli_fixtures import OFFLINE, Lab, metrics, open_lab, write_checkpoint

import kdlab.data.sources as sources
from kdlab.data.readers.glue_folder import load_glue
from kdlab.models import checkpoint

EMBEDDED = Path(checkpoint.__file__).parent / "embedded"
ONLINE = dict.fromkeys(OFFLINE)
needs_backbone = pytest.mark.skipif(
    not (EMBEDDED / "model.safetensors").is_file(), reason="the embedded backbone is not in this checkout"
)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory):
    return open_lab(tmp_path_factory)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch):
    """A hub that does not answer; says how often it was asked."""
    asked: list[float] = []

    def probe(timeout: float) -> bool:
        asked.append(timeout)
        return False

    monkeypatch.setattr(sources, "hub_reachable", probe)
    return asked


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch):
    """Any use of the network fails the test."""

    def refuse(*args: object, **_: object) -> None:
        raise AssertionError(f"the network was used: {args}")

    for name in ("socket", "create_connection", "getaddrinfo"):
        monkeypatch.setattr(socket, name, refuse)


def fake_cached_hub(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A dataset that is prepared in the hub's cache; lists the tasks that were read from it."""
    read: list[str] = []

    def load(spec, offline: bool):
        read.append(spec.name)
        return load_glue(spec, lab.data)

    monkeypatch.setattr(sources, "hub_cached", lambda _: True)
    monkeypatch.setattr(sources, "load_hub", load)
    return read


def words(lab: Lab, out: Path, *more: object) -> list[object]:
    """A run with a teacher and no word on data."""
    return [
        *("run", "--method", "kd", "--task", "rte", "--teacher", lab.teacher, "--student", "layers:0", "--out", out),
        *("--accelerator", "cpu", *more),
    ]


def test_data_dir_goes_before_the_hub(lab: Lab, hub: list, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    read = fake_cached_hub(lab, monkeypatch)
    done = lab.run(*words(lab, tmp_path, "--data-dir", lab.data, "--dry-run"), env=ONLINE)
    assert done.field("data").startswith(f"local: {lab.data}, ")
    assert "***" not in done.out
    assert read == hub == []  # and nobody asks the hub


@pytest.mark.parametrize("profile", ["auto", "paper"])
def test_cached_dataset_goes_before_the_embedded_corpus(
    lab: Lab, hub: list, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, profile: str
):
    read = fake_cached_hub(lab, monkeypatch)
    more = ("--profile", profile, "data.max_length=48", "--dry-run")
    done = lab.run(*words(lab, tmp_path, *more), env=ONLINE)
    assert done.code == 0, done.err
    assert done.field("data").startswith("hub: nyu-mll/glue/rte (cached), ")
    assert read == ["rte"]
    assert len(hub) <= 1


def test_same_examples_are_the_same_data_wherever_they_lie(
    lab: Lab, hub: list, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    local = lab.run(*words(lab, tmp_path, "--data-dir", lab.data, "--dry-run"))
    fake_cached_hub(lab, monkeypatch)
    cached = lab.run(*words(lab, tmp_path, "--dry-run"))
    prints = [done.field("data").rpartition(" ")[2] for done in (local, cached)]
    assert prints[0] == prints[1]


@needs_backbone
def test_auto_falls_back_on_the_embedded_corpus_and_stamps_it(lab: Lab, hub: list, tmp_path: Path):
    small = ("--limit-train", 40, "training.epochs=1", "--accelerator", "cpu", "--precision", "32")
    done = lab.run("run", "--method", "finetune", "--student", "embedded", "--out", tmp_path, *small, env=ONLINE)
    assert done.code == 0, done.err
    assert len(hub) == 1
    announced = [line for line in done.out.splitlines() if "***" in line]
    assert announced == [
        "*** EMBEDDED CORPUS (no --data-dir was given and the hub can't be reached): these are figures of kdlab's own "
        "grammar, NOT of GLUE's RTE ***"
    ]
    assert "EMBEDDED CORPUS: not a GLUE figure." in done.out
    (folder,) = (path.parent for path in tmp_path.glob("finetune-rte-embedded-s0-*/metrics.json"))
    assert metrics(folder)["source"]["embedded"] is True
    assert "not GLUE figures" in " ".join((folder / "student" / "README.md").read_text().replace(">", "").split())


@needs_backbone
def test_embedded_profile_uses_no_network(lab: Lab, hub: list, no_network: None, tmp_path: Path):
    small = ("--limit-train", 40, "training.max_steps=2", "teacher.max_steps=2", "--student", "layers:0")
    small += ("--accelerator", "cpu", "--precision", "32")
    done = lab.run("run", "--profile", "embedded", "--method", "kd", "--out", tmp_path, *small, env=ONLINE)
    assert done.code == 0, done.err
    assert hub == []
    assert done.out.count("***") == 2
    (folder,) = (path.parent for path in tmp_path.glob("*/metrics.json"))
    assert metrics(folder)["source"]["embedded"] is True
    assert metrics(folder)["teacher"]["source"] == "embedded"


def test_no_network_fixture_refuses(no_network: None):
    with pytest.raises(AssertionError, match="the network was used"):
        socket.create_connection(("127.0.0.1", 9))


@needs_backbone
def test_stand_in_for_the_encoder_is_said_and_stamped(lab: Lab, hub: list, tmp_path: Path):
    small = ("training.max_steps=2", "teacher.max_steps=2", "--accelerator", "cpu", "--precision", "32")
    common = ("run", "--data-dir", lab.data, "--out", tmp_path, *small)
    done = lab.run(*common, "--method", "kd", env=ONLINE)
    assert done.code == 0, done.err
    assert len(hub) == 1
    assert done.out.count("*** SUBSTITUTED: the embedded encoder stands in for bert-base-uncased") == 1
    assert "EMBEDDED CORPUS" not in done.out
    (folder,) = (path.parent for path in tmp_path.glob("*/metrics.json"))
    assert metrics(folder)["source"]["embedded"] is False
    assert "stands in for bert-base-uncased" in metrics(folder)["substituted"][0]
    named = lab.run(*common, "--method", "kd", "--teacher", "embedded", "--dry-run", env=ONLINE)
    assert "SUBSTITUTED" not in named.out  # what was asked for is no substitute


def test_hub_is_asked_only_where_it_matters(lab: Lab, hub: list, tmp_path: Path):
    student = write_checkpoint(tmp_path / "student", layers=1)
    for done in (
        lab.run(*words(lab, tmp_path, "--data-dir", lab.data, "--dry-run"), env=ONLINE),
        lab.run(
            *("run", "--method", "finetune", "--task", "rte", "--data-dir", lab.data, "--teacher", lab.teacher),
            *("--student", student, "--dry-run", "--accelerator", "cpu"),
            env=ONLINE,
        ),
    ):
        assert done.code == 0, done.err
        assert hub == []
    lab.run("run", "--teacher", "some/name", "--student", "other/name", "--out", tmp_path, "--dry-run", env=ONLINE)
    assert len(hub) == 1  # for data, teacher and student together


def test_profiles_that_contradict_other_words(lab: Lab, hub: list, tmp_path: Path):
    done = lab.run(*words(lab, tmp_path / "out", "--profile", "embedded", "--data-dir", lab.data))
    assert done.sentence.startswith(f"--profile embedded uses the embedded corpus, and --data-dir {lab.data} names")
    assert not (tmp_path / "out").exists()
    paper = lab.run("run", "--profile", "paper", "--data-dir", lab.data, "--out", tmp_path / "out", env=ONLINE)
    assert paper.sentence.startswith("--profile paper needs bert-base-uncased from the hub")
    assert len(hub) == 1
