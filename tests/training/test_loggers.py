"""What reaches the loggers: every loss term, validation, the closing figures, and the configuration."""

import csv
import threading
from pathlib import Path

import pytest
from cli_fixtures import Lab, metrics, open_lab, read_wandb
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from kdlab.system.console import Reporter
from kdlab.training.loggers import _logged_in, finish_loggers, make_loggers

TERMS = ("train/loss", "train/ce", "train/sm", "train/tmkd")


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory):
    return open_lab(tmp_path_factory)


@pytest.fixture(scope="module")
def record(lab: Lab, tmp_path_factory: pytest.TempPathFactory):
    """A run of MixKD that is logged everywhere."""
    words = ("--logger", "wandb", "--logger", "tensorboard", "mixkd.alpha_sm=0.75", "training.epochs=2")
    env = {"WANDB_PROJECT": "tests", "WANDB_RUN_ID": None, "WANDB_SWEEP_ID": None}
    done = lab.run(*lab.words(tmp_path_factory.mktemp("logged"), *words, method="mixkd"), env=env)
    assert done.code == 0, done.err
    assert "wandb" not in done.err.lower()
    return Path(done.out.rpartition("Record: ")[2].strip())


def history(folder: Path) -> list[dict[str, str]]:
    """The lines of the CSV file."""
    with (folder / "history" / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


def csv_column(folder: Path, name: str) -> dict[int, float]:
    """Step to value of one column."""
    return {int(row["step"]): float(row[name]) for row in history(folder) if row[name]}


def test_csv_is_always_there(lab: Lab, record: Path, tmp_path: Path):
    (plain,) = lab.train(tmp_path, "training.log_every=3", method="finetune")
    assert csv_column(plain, "train/ce").keys() == {3, 4}
    assert not (plain / "wandb").exists()
    assert not (plain / "tensorboard").exists()
    steps = metrics(record)["training"]["steps"]
    for term in TERMS:
        assert list(csv_column(record, term)) == list(range(1, steps + 1))
    assert len(csv_column(record, "val/accuracy")) == len(csv_column(record, "val/loss")) == 2


def test_terms_add_up_to_the_loss(record: Path):
    loss, ce, sm, tmkd = (csv_column(record, term) for term in TERMS)
    for step, total in loss.items():
        assert total == pytest.approx(ce[step] + 0.75 * sm[step] + tmkd[step], rel=1e-4)


def test_logged_means_cover_every_step(lab: Lab, record: Path, tmp_path: Path):
    words = ("mixkd.alpha_sm=0.75", "training.epochs=2", "training.log_every=2")
    (folder,) = lab.train(tmp_path, *words, method="mixkd")
    each, pairs = csv_column(record, "train/loss"), csv_column(folder, "train/loss")
    assert list(pairs) == [2, 4, 6, 8]
    for step, value in pairs.items():
        assert value == pytest.approx((each[step - 1] + each[step]) / 2, rel=1e-5)


def test_closing_figures(record: Path):
    found = metrics(record)
    (last,) = (row for row in history(record) if row["dev/accuracy"])
    assert float(last["dev/accuracy"]) == found["student"]["metrics"]["dev"]["accuracy"]
    assert float(last["teacher/dev/accuracy"]) == found["teacher"]["metrics"]["dev"]["accuracy"]


def test_tensorboard_holds_what_the_csv_holds(record: Path):
    events = EventAccumulator(str(record / "tensorboard"))
    events.Reload()
    for name in (*TERMS, "val/accuracy", "val/loss", "dev/accuracy"):
        written = {event.step: event.value for event in events.Scalars(name)}
        assert written == pytest.approx(csv_column(record, name), abs=1e-6)


def test_wandb_holds_what_the_csv_holds(record: Path):
    config, lines, about = read_wandb(record)
    assert about["project"] == "tests"
    assert config["method"] == "mixkd"
    assert config["mixkd"] == {"alpha_sm": 0.75, "alpha_tmkd": 1.0, "beta": 0.4, "ratio": 1, "per_sample": True}
    assert config["training"]["learning_rate"] == 1e-3
    assert config["seed"] == 0
    for name in (*TERMS, "val/accuracy", "val/loss", "dev/accuracy", "teacher/dev/accuracy"):
        written = {line["trainer/global_step"]: line[name] for line in lines if name in line}
        assert list(written.values()) == pytest.approx(list(csv_column(record, name).values()), abs=1e-6)
    steps = [line["trainer/global_step"] for line in lines if "train/loss" in line]
    assert steps == list(range(1, metrics(record)["training"]["steps"] + 1))


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_wandbs_file_is_read_to_its_end(record: Path, tmp_path: Path, share: float):
    (whole,) = record.glob("wandb/offline-run-*/*.wandb")
    expected = read_wandb(record)
    data = whole.read_bytes()
    growing = tmp_path / "wandb" / "offline-run-1" / "run-1.wandb"
    growing.parent.mkdir(parents=True)
    growing.write_bytes(data[: 7 + int(share * (len(data) - 8))])  # from the header alone to all but one byte
    with pytest.raises(AssertionError, match="no exit record after"):
        read_wandb(tmp_path, patience=0.0)
    timer = threading.Timer(0.3, growing.write_bytes, (data,))
    timer.start()
    try:
        assert read_wandb(tmp_path) == expected
    finally:
        timer.join()


def test_wandb_that_refuses_is_one_sentence(lab: Lab, tmp_path: Path):
    done = lab.run(*lab.words(tmp_path, "--logger", "wandb"), env={"WANDB_MODE": "on", "HOME": str(tmp_path)})
    assert "W&B refuses the run (" in done.sentence
    assert done.sentence.endswith("or set WANDB_MODE=offline.")
    assert not list(tmp_path.rglob("metrics.json"))


def test_without_a_login_wandb_is_offline_and_says_so(lab: Lab, tmp_path: Path):
    nothing = dict.fromkeys(("WANDB_MODE", "WANDB_API_KEY", "WANDB_RUN_ID", "WANDB_SWEEP_ID"))
    env = {**nothing, "NETRC": str(tmp_path / "none"), "WANDB_CONFIG_DIR": str(tmp_path)}
    done = lab.run(*lab.words(tmp_path / "out", "--logger", "wandb", method="finetune"), env=env)
    assert done.code == 0, done.err
    assert done.err.count("kdlab: warning: W&B has no login here, so the run is logged offline") == 1
    assert len(list((tmp_path / "out").glob("*/wandb/offline-run-*"))) == 1


def test_login_is_that_of_the_server_wandb_asks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    import wandb

    host = wandb.setup().settings.base_url.split("//")[1]
    file = tmp_path / "netrc"
    monkeypatch.setenv("NETRC", str(file))
    assert not _logged_in()
    file.write_text(f"machine elsewhere.example\n  login user\n  password {'k' * 40}\n")
    file.chmod(0o600)
    assert not _logged_in()
    file.write_text(f"machine {host}\n  login user\n  password {'k' * 40}\n")
    assert _logged_in()


def test_one_wandb_run_is_not_for_two_seeds(lab: Lab, tmp_path: Path):
    done = lab.run(*lab.words(tmp_path, "--seeds", 2, "--logger", "wandb"), env={"WANDB_RUN_ID": "abc"})
    assert "seeds=2, but WANDB_RUN_ID" in done.sentence


def test_wandbs_summary_is_the_chosen_checkpoints(tmp_path: Path, monkeypatch):
    for name in ("WANDB_RUN_ID", "WANDB_SWEEP_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WANDB_MODE", "offline")
    loggers = make_loggers(["wandb"], tmp_path, {}, Reporter(quiet=True))
    for step, value in ((1, 0.9), (2, 0.5)):
        for logger in loggers:
            logger.log_metrics({"val/accuracy": value}, step=step)
    finish_loggers(loggers, {"dev/accuracy": 0.8}, {"val/accuracy": 0.9}, 2, Reporter(quiet=True))
    _, lines, about = read_wandb(tmp_path)
    assert [line["val/accuracy"] for line in lines if "val/accuracy" in line] == [0.9, 0.5]
    assert about["summary"]["val/accuracy"] == 0.9
