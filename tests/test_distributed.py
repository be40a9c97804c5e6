"""Two processes on the CPU give what one gives."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from cli_fixtures import Lab, metrics, predictions, write_checkpoint, write_rte
from helpers import brief_words

from kdlab import distributed
from kdlab.data import batching


@pytest.fixture(scope="module")
def lab(tmp_path_factory) -> Lab:
    """A teacher without dropout, whose masks would depend on who draws them."""
    made = Lab(tmp_path_factory.mktemp("distributed"))
    write_checkpoint(made.teacher)
    file = made.teacher / "config.json"
    still = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    file.write_text(json.dumps({**json.loads(file.read_text()), **still}))
    write_rte(made.data / "RTE", train=67, dev=25)  # neither a multiple of anything
    return made


def run_on(lab: Lab, devices: int, method: str, *more: object) -> Path:
    env = {
        **os.environ,
        "KDLAB_CACHE": str(lab.root / f"cache{devices}"),
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
    }
    out = lab.root / f"out{devices}-{method}"
    words = [str(w) for w in lab.words(out, "--devices", devices, "training.epochs=2", *more, method=method)]
    done = subprocess.run([sys.executable, "-m", "kdlab", *words], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Record: ") == 1
    (file,) = out.glob("*/metrics.json")
    return file.parent


@pytest.mark.parametrize("method", ["finetune", "kd", "mixkd", "annealing_kd", "mate_kd", "cilda"])
def test_two_halves_of_a_batch_equal_the_whole(lab: Lab, method: str):
    one, two = (run_on(lab, devices, method, *brief_words(method)) for devices in (1, 2))
    ours, theirs = predictions(one, "dev"), predictions(two, "dev")
    assert [line["id"] for line in theirs] == list(range(25))  # each example once
    assert [line["student"] for line in ours] == [line["student"] for line in theirs]
    for network in ("student_logits", "teacher_logits"):
        a, b = (np.array([line[network] for line in lines]) for lines in (ours, theirs))
        assert np.abs(a - b).max() < 1e-5
    first, second = (metrics(folder) for folder in (one, two))
    assert first["student"]["metrics"] == second["student"]["metrics"]
    assert first["selection"] == pytest.approx(second["selection"])
    assert first["training"]["steps"] == second["training"]["steps"]


def test_processes_share_every_batch_and_every_evaluation_once(monkeypatch):
    lengths = np.arange(41) % 7 + 1
    for world in (1, 2, 3, 5):
        monkeypatch.setattr(batching, "world_size", lambda n=world: n)
        sampler = batching.BucketSampler(lengths, 8, seed=0)
        batches = list(sampler)
        assert len(batches) == len(sampler)
        assert sorted(i for batch in batches for i in batch) == list(range(41))
        assert min(map(len, batches)) >= min(world, 8)
        seen: list[int] = []
        for number in range(world):
            monkeypatch.setattr(batching, "rank", lambda n=number: n)
            mine = batching.SortedSampler(lengths, 4)
            found = [i for batch in mine for i in batch]
            assert len(list(mine)) == len(mine)
            seen += found
        assert sorted(seen) == list(range(41))


def test_a_process_without_examples_repeats_one(monkeypatch):
    monkeypatch.setattr(batching, "world_size", lambda: 4)
    monkeypatch.setattr(batching, "rank", lambda: 3)
    assert list(batching.SortedSampler(np.array([3, 9, 5]), 4)) == [[1]]


def test_an_error_on_several_devices_is_still_a_sentence(lab: Lab):
    done = lab.run(*lab.words(lab.root / "bad", "--devices", 2, "--task", "rtee"))
    assert "no task 'rtee'" in done.sentence


def test_a_shell_inside_an_allocation_is_one_process(lab: Lab, monkeypatch):
    """What salloc and an sbatch script leave in the environment starts nobody; srun's step does."""
    monkeypatch.setenv("SLURM_NTASKS", "4")
    monkeypatch.setenv("SLURM_PROCID", "0")
    monkeypatch.setenv("SLURM_LOCALID", "0")
    assert distributed.processes() == 1
    assert lab.run(*lab.words(lab.root / "slurm", "--dry-run")).code == 0
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "4")
    assert distributed.processes() == 4


def test_no_process_is_left_without_examples(lab: Lab):
    done = lab.run(*lab.words(lab.root / "few", "--devices", 2, "training.accumulate=16", "--dry-run"))
    assert "training.batch_size=16 with accumulate=16 leaves fewer examples than the 2 devices" in done.sentence
