"""A run killed at any point, started again by the same command, ends as if it had never been killed."""

import json
import os
import random
import re
import subprocess
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from cli_fixtures import Lab, warm, write_checkpoint, write_rte
from helpers import brief_words
from safetensors.torch import load_file

from kdlab.methods import METHODS
from kdlab.training.checkpoints import load_checkpoint

SETTINGS = ("teacher.epochs=2", "training.epochs=3", "training.log_every=3")
AT_ONCE = ("training.checkpoint_every=0", "teacher.checkpoint_every=0")
# kd on 58 examples in batches of 16: 4 steps an epoch, 2 epochs of teacher and 3 of student
EVERYWHERE = [
    *[("step", n) for n in (2, 5, 8, 9, 13, 17, 20)],
    *[("batch-end", n) for n in (4, 11)],
    *[("validation", n) for n in (1, 3)],
    ("validated", 2),
    *[("half", n) for n in (3, 12)],
    ("saved", 6),
    ("epoch-end", 2),
    ("epoch-end", 4),
    ("history", 6),
    *[("entry", n) for n in (1, 2, 4, 5)],
    ("predict", 2),
    ("predictions", 1),
    ("weights", 1),
    ("weights", 2),
    ("array", 2),
    ("record", 2),
]
FULL = [("array", 2), ("fsync", 4), ("half", 5), ("weights", 1), ("half", 9), ("weights", 1), ("fsync", 3)]


@pytest.fixture(scope="module")
def lab(tmp_path_factory) -> Lab:
    made = Lab(tmp_path_factory.mktemp("resume"))
    write_checkpoint(made.teacher)
    write_rte(made.data / "RTE")
    return made


def launch(
    lab: Lab, name: str, point: str = "never", count: int = 0, *more: str, method: str = "kd"
) -> subprocess.CompletedProcess:
    """The same command in a process of its own, killed at a point."""
    env = {**os.environ, "KDLAB_CACHE": str(lab.root / f"cache-{name}"), "HF_HUB_OFFLINE": "1"}
    words = [str(word) for word in lab.words(lab.root / f"out-{name}", *SETTINGS, *(more or AT_ONCE), method=method)]
    return warm().run([point, str(count), *words], env)


def outcome(lab: Lab, name: str) -> tuple[dict, dict, str, list[str]]:
    """Everything a run ends with that time does not change."""
    (file,) = (lab.root / f"out-{name}").glob("*/metrics.json")
    figures = json.loads(file.read_text())
    for who in ("teacher", "student"):
        del figures[who]["samples_per_second"]
    del figures["teacher"]["status"], figures["teacher"]["answers_from_cache"], figures["training"]["seconds"]
    del figures["cost"], figures["memory"]
    files = sorted(p.relative_to(file.parent).as_posix() for p in file.parent.rglob("*") if p.is_file())
    weights = load_file(file.parent / "student" / "model.safetensors")
    return figures, weights, (file.parent / "history" / "metrics.csv").read_text(), files


@pytest.fixture(scope="module")
def whole(lab: Lab) -> tuple[dict, dict, str, list[str]]:
    done = launch(lab, "whole")
    assert done.returncode == 0, done.stderr
    return outcome(lab, "whole")


def check_equal(found, whole):
    assert found[0] == whole[0]
    assert all(torch.equal(found[1][name], weight) for name, weight in whole[1].items())
    assert found[2:] == whole[2:]


def check_killed_and_gone_on(lab: Lab, whole, points: list[tuple[str, int]], name: str) -> None:
    for point, count in points:
        killed = launch(lab, name, point, count)
        assert killed.returncode == -9, f"{point} {count} was not reached\n{killed.stderr}"
    done = launch(lab, name)
    assert done.returncode == 0, done.stderr
    check_equal(outcome(lab, name), whole)


@pytest.mark.parametrize(("point", "count"), [("step", 7), ("half", 13), ("record", 2)])
def test_a_killed_run_ends_as_one_that_was_not(lab: Lab, whole, point: str, count: int):
    check_killed_and_gone_on(lab, whole, [(point, count)], f"{point}{count}")


DAMAGE = {
    "last flipped": (
        "student-0-train-last.ckpt",
        lambda b: b[: len(b) // 2] + bytes([b[len(b) // 2] ^ 1]) + b[len(b) // 2 + 1 :],
    ),
    "last cut": ("student-0-train-last.ckpt", lambda b: b[: len(b) // 2]),
    "last gone": ("student-0-train-last.ckpt", None),
    "best cut": ("student-0-train-best-*.ckpt", lambda b: b[: len(b) // 2]),
    "best empty": ("student-0-train-best-*.ckpt", lambda b: b""),
    "best gone": ("student-0-train-best-*.ckpt", None),
    "history cut": ("../history/metrics.csv", lambda b: b[: len(b) // 2] + b"\xff"),
}


@pytest.fixture(scope="module", params=["metric+loss", "divergence", "last", "mean:2"])
def by_rule(lab: Lab, request: pytest.FixtureRequest):
    """A rule for choosing the epoch, as a name, a setting and what a run ends with."""
    setting = f"data.select_by={request.param}"
    name = request.param.replace(":", "-")
    assert launch(lab, name, "never", 0, *AT_ONCE, setting).returncode == 0
    return name, setting, outcome(lab, name)


@pytest.mark.parametrize("point", [("step", 18), ("validation", 5), ("validated", 4)])
def test_whatever_chooses_the_epoch_a_killed_run_ends_alike(lab: Lab, by_rule, point: tuple[str, int]):
    rule, setting, whole = by_rule
    name = f"{rule}-{point[0]}"
    assert launch(lab, name, *point, *AT_ONCE, setting).returncode == -9
    assert launch(lab, name, "never", 0, *AT_ONCE, setting).returncode == 0
    check_equal(outcome(lab, name), whole)


@pytest.mark.parametrize("how", DAMAGE)
@pytest.mark.parametrize("point", [("predictions", 1), ("step", 18)])
def test_damaged_checkpoints_are_made_again(lab: Lab, whole, how: str, point: tuple[str, int]):
    """The training is done but not recorded, or in its last epoch, when the process dies and a file is lost."""
    name, (file, damage) = f"damaged-{how}-{point[0]}".replace(" ", "-"), DAMAGE[how]
    assert launch(lab, name, *point).returncode == -9
    found = list((lab.root / f"out-{name}").glob(f"*/checkpoints/{file}"))
    assert found
    for path in found:
        path.unlink() if damage is None else path.write_bytes(damage(path.read_bytes()))
    done = launch(lab, name)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    if how == "history cut":
        assert "metrics.csv was damaged, and " in done.stderr
        check_equal((*outcome(lab, name)[:2], *whole[2:]), whole)
        return
    if how != "last gone":  # then nothing tells of it
        assert "starts again." in done.stderr
    check_equal(outcome(lab, name), whole)


MARKS = {"cut": lambda b: b[: len(b) // 2], "of another shape": lambda b: b"[]", "bare": lambda b: b'{"best_epoch": 0}'}


@pytest.fixture(scope="module")
def two_phases(lab: Lab) -> tuple[dict, dict, str, list[str]]:
    words = (*AT_ONCE, *brief_words("annealing_kd"))
    assert launch(lab, "phases", "never", 0, *words, method="annealing_kd").returncode == 0
    return outcome(lab, "phases")


@pytest.mark.parametrize("how", [*MARKS, "whole"])
def test_a_damaged_mark_of_a_finished_phase_has_it_trained_again(lab: Lab, two_phases, how: str):
    name, words = f"mark-{how}".replace(" ", "-"), (*AT_ONCE, *brief_words("annealing_kd"))
    assert launch(lab, name, "predictions", 1, *words, method="annealing_kd").returncode == -9
    (mark,) = (lab.root / f"out-{name}").glob("*/checkpoints/student-0-*-done.json")
    if how in MARKS:
        mark.write_bytes(MARKS[how](mark.read_bytes()))
    done = launch(lab, name, "never", 0, *words, method="annealing_kd")
    assert done.returncode == 0, done.stderr
    assert ("this phase of the training starts again." in done.stderr) == (how in MARKS)
    check_equal(outcome(lab, name), two_phases)


@pytest.mark.parametrize("count", [2, 11])
def test_a_run_killed_while_a_checkpoint_is_written_ends_as_one_that_was_not(lab: Lab, whole, count: int):
    """The thread has written half when the training is two steps further: of the teacher's, and of the student's."""
    check_killed_and_gone_on(lab, whole, [("thread", count)], f"thread{count}")


@pytest.mark.slow
def test_twenty_kills_while_a_checkpoint_is_written(lab: Lab, whole):
    draw, kills, runs = random.Random(4), 0, 0
    while kills < 20:
        name = f"threads-{runs}"
        while launch(lab, name, "thread", draw.randint(1, 9)).returncode == -9:
            kills += 1
            check_whole(lab.root / f"out-{name}", lab.root / f"cache-{name}")
        runs += 1
        check_equal(outcome(lab, name), whole)
    print(f"{kills} kills over {runs} runs")  # noqa: T201


def test_a_run_killed_in_a_max_step_ends_as_one_that_was_not(lab: Lab):
    """The generator's batches are 1-3, 6-8 and 11-12 of the student's training, behind 8 of the teacher's."""
    words, method = (*AT_ONCE, *brief_words("cilda"), "cilda.n_g=3"), "cilda"
    assert launch(lab, "text-whole", "never", 0, *words, method=method).returncode == 0
    for count in (8 + 2, 6, 2):  # at batch 2, from there at 7, and from there at 8
        assert launch(lab, "text", "settled-step", count, *words, method=method).returncode == -9
        (last,) = lab.root.glob("out-text/*/checkpoints/*-last.ckpt")
        assert load_checkpoint(last)["kdlab"]["batches_seen"] % 5 in (1, 2)  # amid the generator's three
    done = launch(lab, "text", "never", 0, *words, method=method)
    assert done.returncode == 0, done.stderr
    check_equal(outcome(lab, "text"), outcome(lab, "text-whole"))
    texts = [file.read_text() for name in ("text", "text-whole") for file in lab.root.glob(f"out-{name}/*/augmented.*")]
    assert len(texts) == 2
    assert texts[0] == texts[1]


KILLS = 100


@pytest.mark.slow
def test_a_hundred_kills(lab: Lab):
    """Kills at moments drawn uniformly over the run, over all methods, until it ends: equal to the bit."""
    draw, killed, reached = random.Random(12), 0, Counter()
    wholes: dict[str, tuple] = {}
    lengths: dict[str, float] = {}
    while killed < KILLS:
        for method in METHODS:
            words = (*AT_ONCE, *brief_words(method), "--student", "layers:bottom:2")
            if method not in wholes:
                began = time.monotonic()
                assert launch(lab, f"whole-{method}", "never", 0, *words, method=method).returncode == 0
                lengths[method] = time.monotonic() - began
                wholes[method] = outcome(lab, f"whole-{method}")
            name, kills = f"kills-{method}-{killed}", 0
            while True:
                moment = draw.uniform(0, lengths[method])
                done = launch(lab, name, "moment", f"{moment:.4f}", *words, method=method)
                if done.returncode == 0:
                    break
                assert done.returncode == -9, (method, moment, done.stderr)
                kills += 1
                reached[done.stderr.rsplit("killed amid: ", 1)[-1].split("\n")[0]] += 1
                check_whole(lab.root / f"out-{name}", lab.root / f"cache-{name}")
                if kills == 6:
                    assert launch(lab, name, "never", 0, *words, method=method).returncode == 0
                    break
            killed += kills
            check_equal(outcome(lab, name), wholes[method])
    kinds = dict.fromkeys(("step", "write", "rename", "validation", *reached))
    print(f"{killed} kills, amid {', '.join(f'{what}: {reached[what]}' for what in kinds)}")  # noqa: T201


def test_ctrl_c_says_how_to_go_on(lab: Lab, whole, monkeypatch):
    monkeypatch.setenv("KILL_WITH", "SIGINT")
    stopped = launch(lab, "interrupted", "step", 15)
    assert stopped.returncode == 130
    assert stopped.stderr.splitlines()[-1] == "kdlab: interrupted; the same command goes on from the last checkpoint."
    assert "Traceback" not in stopped.stderr
    monkeypatch.delenv("KILL_WITH")
    assert launch(lab, "interrupted").returncode == 0
    check_equal(outcome(lab, "interrupted"), whole)


def test_a_full_disk_is_a_sentence_and_leaves_nothing_half_written(lab: Lab, whole, monkeypatch):
    for point, count in FULL:
        monkeypatch.setenv("KILL_WITH", "ENOSPC")
        full = launch(lab, "full", point, count)
        assert full.returncode == 2, f"{point} {count}\n{full.stderr}"
        (sentence,) = (line for line in full.stderr.splitlines() if not line.startswith("kdlab: warning: "))
        assert re.match(r"kdlab: error: /\S+ can't be written \(.+\): make room, and give the same command", sentence)
        files = check_whole(lab.root / "out-full", lab.root / "cache-full")
    assert files > 10
    monkeypatch.delenv("KILL_WITH")
    assert launch(lab, "full").returncode == 0
    check_equal(outcome(lab, "full"), whole)


def check_whole(*roots: Path) -> int:
    """Every file under its final name can be read to its end; returns how many there are."""
    files = [p for root in roots for p in root.rglob("*") if p.is_file() and not p.name.startswith(".")]
    for file in files:
        if file.suffix != ".ckpt" and any(part.name.startswith(".") for part in file.parents):
            continue  # in a cache entry that is being made; its checkpoints are whole all the same
        if file.suffix == ".ckpt":
            load_checkpoint(file)
        elif file.suffix == ".safetensors":
            load_file(file)
        elif file.suffix == ".npy":
            np.load(file)
        elif file.suffix == ".json":
            json.loads(file.read_text())
    return len(files)


@pytest.mark.slow
@pytest.mark.parametrize(("point", "count"), EVERYWHERE)
def test_killed_everywhere(lab: Lab, whole, point: str, count: int):
    check_killed_and_gone_on(lab, whole, [(point, count)], f"{point}{count}")


@pytest.mark.slow
def test_killed_again_and_again(lab: Lab, whole):
    draw = random.Random(0)
    points = [("step", draw.randint(2, 3)) for _ in range(6)]
    check_killed_and_gone_on(lab, whole, points, "again")


def test_checkpoints_seldom_written_change_nothing(lab: Lab, whole):
    """How often the state is saved is no part of the result, nor of the record's name."""
    done = launch(lab, "seldom", "never", 0, "training.checkpoint_every=1000", "teacher.checkpoint_every=1000")
    assert done.returncode == 0, done.stderr
    check_equal(outcome(lab, "seldom"), whole)
