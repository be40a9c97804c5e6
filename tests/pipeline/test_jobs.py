"""Processes side by side on the runs of one command: each run made once, none lost where one is killed."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from cli_fixtures import Lab, metrics, open_lab
from safetensors.torch import load_file

from kdlab.pipeline import jobs
from kdlab.results.record import RunFolder


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return open_lab(tmp_path_factory)


def start(lab: Lab, words: list[object]) -> subprocess.Popen:
    env = {**os.environ, "KDLAB_CACHE": str(lab.cache), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "2"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([sys.executable, "-m", "kdlab", *map(str, words)], env=env, **pipes)


def finish(process: subprocess.Popen) -> tuple[str, str]:
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return out, err


def records(out: Path) -> dict[int, Path]:
    return {metrics(file.parent)["seed"]: file.parent for file in out.glob("*/metrics.json")}


def workers(parent: subprocess.Popen) -> list[int]:
    """The processes that work for one."""
    found = []
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            if f"PPid:\t{parent.pid}\n" in status.read_text():
                found += [int(status.parent.name)] * (b"KDLAB_JOB=" in (status.parent / "environ").read_bytes())
        except OSError:
            continue
    return found


@pytest.mark.parametrize("number", [0, -1])
def test_a_number_of_processes_that_is_none(lab: Lab, tmp_path: Path, number: int) -> None:
    sentence = lab.run(*lab.words(tmp_path, "--jobs", number)).sentence
    assert sentence == f"--jobs {number}: it says how many processes work side by side, 1 or more."
    assert list(tmp_path.iterdir()) == []


def test_runs_of_several_devices_are_refused(lab: Lab, tmp_path: Path) -> None:
    assert "leave one out" in lab.run(*lab.words(tmp_path, "--jobs", 2, "--devices", 2)).sentence


def test_more_processes_than_cores_are_said(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "cores", lambda: 2)
    done = lab.run(*lab.words(tmp_path, "--jobs", 3, "--dry-run"))
    assert "warning: --jobs 3 on 2 cores: they will wait for each other.\n" in done.err
    assert "cores" not in lab.run(*lab.words(tmp_path, "--jobs", 2, "--dry-run")).err


def test_a_folder_is_claimed_by_one(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    with folder.claimed() as first, RunFolder(tmp_path / "run").claimed() as second:
        assert (first, second) == (True, False)
    with folder.claimed() as again:
        assert again


def test_one_run_starts_no_processes(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "_start", lambda *_: pytest.fail("a process was started"))
    (first,) = lab.train(tmp_path, "--jobs", 4)
    assert first in lab.train(tmp_path, "--jobs", 4, "--fresh")
    assert (first.with_name(f"{first.name}.1") / "metrics.json").exists()


@pytest.mark.full
def test_seeds_side_by_side_are_those_one_after_the_other(lab: Lab, tmp_path: Path) -> None:
    alone = lab.train(tmp_path / "alone", "--seeds", 3)
    out, err = finish(start(lab, lab.words(tmp_path / "jobs", "--seeds", 3, "--jobs", 2)))
    together = records(tmp_path / "jobs")
    assert sorted(together) == [0, 1, 2]
    for seed, folder in enumerate(alone):
        ours, theirs = (load_file(f / "student" / "model.safetensors") for f in (folder, together[seed]))
        assert folder.name == together[seed].name
        assert all(torch.equal(theirs[name], weight) for name, weight in ours.items())
    assert "3 runs, 2 at a time." in out
    assert out.count("Training the student, seed 1.") == 1
    assert all(re.search(rf"^\[[12]\] Training the student, seed {seed}\.$", out, re.MULTILINE) for seed in range(3))
    assert "Student over 3 seeds (0, 1, 2)" in out
    assert "Traceback" not in err
    before = {seed: (f / "metrics.json").stat().st_mtime_ns for seed, f in together.items()}
    out, _ = finish(start(lab, lab.words(tmp_path / "jobs", "--seeds", 3, "--jobs", 2, "--fresh")))
    assert len(list((tmp_path / "jobs").glob("*/metrics.json"))) == 6  # the old ones are kept
    after = {seed: (f / "metrics.json").stat().st_mtime_ns for seed, f in together.items()}
    assert all(after[seed] > before[seed] for seed in before)
    assert out.count("Training the student, seed ") == 3


@pytest.mark.full
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="processes are found in /proc")
def test_one_that_is_killed_leaves_nothing_lost_and_nothing_doubled(lab: Lab, tmp_path: Path) -> None:
    process = start(lab, lab.words(tmp_path, "--seeds", 4, "--jobs", 2, "training.epochs=30"))
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("*/config.yaml")) and time.monotonic() < deadline:
        time.sleep(0.05)
    victim = workers(process)[0]
    os.kill(victim, signal.SIGKILL)
    out, err = finish(process)
    assert sorted(records(tmp_path)) == [0, 1, 2, 3]
    assert len(list(tmp_path.glob("*/metrics.json"))) == 4
    assert "warning: A process of --jobs was killed: what it left is made now." in err
    assert "Student over 4 seeds" in out


@pytest.mark.full
def test_cells_of_a_grid_side_by_side(lab: Lab, tmp_path: Path) -> None:
    shared = dict(str(word).split("=", 1) for word in lab.words(tmp_path) if "=" in str(word))
    lines = [f"  {key}: {value}" for key, value in shared.items()]
    lines += [f"  {key}: {value}" for key, value in {"teacher.source": lab.teacher, "data.dir": lab.data}.items()]
    lines += ["  task: rte", f"  out: {tmp_path / 'runs'}", "  student.source: layers:bottom:1", "  accelerator: cpu"]
    cells = ["  plain: {method: finetune}", "  soft: {method: kd, seeds: 2}"]
    (tmp_path / "grid.yaml").write_text("\n".join(["common:", *lines, "cells:", *cells]) + "\n")
    out, _ = finish(start(lab, ["experiment", tmp_path / "grid.yaml", "--jobs", 2]))
    assert "3 runs, 2 at a time." in out
    assert out.count("| plain |") == out.count("| soft |") == 1
    assert len(list((tmp_path / "runs").glob("*/metrics.json"))) == 3
    bad = lab.run("experiment", tmp_path / "grid.yaml", "--jobs", 0)
    assert bad.sentence.startswith("--jobs 0: ")
