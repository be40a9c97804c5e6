"""The history of a training as a CSV file: new columns, cutting back to a checkpoint, and resuming in a new process."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from kdlab.training.history import CSVHistory, history_of


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "history" / "metrics.csv"


def rows_of(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as f:
        return list(csv.DictReader(f))


def three_rows(file: Path) -> CSVHistory:
    history = CSVHistory(file)
    for step in range(3):
        history.log_metrics({"epoch": 0, "loss": 0.5 * step}, step)
    return history


def test_each_call_appends_one_row(file):
    history = three_rows(file)
    assert file.read_text(encoding="utf-8").splitlines() == ["epoch,step,loss", "0.0,0,0.0", "0.0,1,0.5", "0.0,2,1.0"]
    assert history.rows == 3
    assert history.read() == rows_of(file)


def test_nothing_is_written_before_the_first_row(file):
    history = CSVHistory(file)
    assert history.read() == []
    history.log_hyperparams({"lr": 1.0})
    assert not file.exists()


def test_a_new_column_leaves_earlier_rows_blank_there(file):
    history = three_rows(file)
    history.log_metrics({"epoch": 1, "dev/accuracy": 0.75}, 3)
    history.log_metrics({"epoch": 1, "loss": 2}, 4)
    rows = rows_of(file)
    assert list(rows[0]) == ["epoch", "step", "loss", "dev/accuracy"]
    assert [row["loss"] for row in rows] == ["0.0", "0.5", "1.0", "", "2.0"]
    assert [row["dev/accuracy"] for row in rows] == ["", "", "", "0.75", ""]


def test_values_are_read_back_exactly(file):
    values = [0.1 + 0.2, 1e-300, -1 / 3, 123456789.123456789]
    history = CSVHistory(file)
    for step, value in enumerate(values):
        history.log_metrics({"loss": value}, step)
    assert [float(row["loss"]) for row in history.read()] == values


@pytest.mark.parametrize(("rows", "steps"), [(0, []), (2, ["0", "1"]), (3, ["0", "1", "2"]), (9, ["0", "1", "2"])])
def test_truncate_keeps_the_first_rows(file, rows, steps):
    history = three_rows(file)
    history.truncate(rows)
    assert [row["step"] for row in rows_of(file)] == steps
    assert history.rows == len(steps)


def test_truncate_without_a_file_does_nothing(file):
    history = CSVHistory(file)
    history.truncate(5)
    assert (history.rows, file.exists()) == (0, False)


def test_a_new_process_resumes_the_file_of_an_earlier_one(file):
    three_rows(file)
    resumed = CSVHistory(file)
    resumed.truncate(2)
    assert resumed.columns == ["epoch", "step", "loss"]
    resumed.log_metrics({"epoch": 1, "loss": 7.0, "lr": 0.25}, 2)
    assert [(row["step"], row["loss"], row["lr"]) for row in rows_of(file)] == [
        ("0", "0.0", ""),
        ("1", "0.5", ""),
        ("2", "7.0", "0.25"),
    ]


def test_a_new_process_that_resumes_nothing_starts_the_file_again(file):
    three_rows(file)
    CSVHistory(file).log_metrics({"kl": 0.5}, 0)
    assert rows_of(file) == [{"epoch": "", "step": "0", "kl": "0.5"}]


def test_the_history_of_a_folder(tmp_path):
    assert history_of(tmp_path).file == tmp_path / "history" / "metrics.csv"
