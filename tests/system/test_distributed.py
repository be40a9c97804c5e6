"""How processes share work; that two of them give what one gives is a column of test_contract.py."""

import numpy as np
import pytest
import torch
from cli_fixtures import Lab, open_lab
from helpers import tiny_method

from kdlab.data import batches as batching
from kdlab.methods import base
from kdlab.system import distributed


@pytest.fixture(scope="module")
def lab(tmp_path_factory) -> Lab:
    return open_lab(tmp_path_factory)


def test_processes_share_every_batch_and_every_evaluation_once(monkeypatch):
    lengths = np.arange(41) % 7 + 1
    for world in (1, 2, 3, 5):
        monkeypatch.setattr(batching, "world_size", lambda n=world: n)
        sampler = batching.BucketSampler(lengths, 8, seed=0)
        batches = list(sampler)
        assert len(batches) == len(sampler)
        assert sorted(i for batch in batches for i in batch) == list(range(41))
        assert min(map(len, batches)) >= min(world, 8)
        all_indices: list[int] = []
        for number in range(world):
            monkeypatch.setattr(batching, "rank", lambda n=number: n)
            mine = batching.SortedSampler(lengths, 4)
            indices = [i for batch in mine for i in batch]
            assert len(list(mine)) == len(mine)
            all_indices += indices
        assert sorted(all_indices) == list(range(41))


def test_a_process_without_examples_repeats_one(monkeypatch):
    monkeypatch.setattr(batching, "world_size", lambda: 4)
    monkeypatch.setattr(batching, "rank", lambda: 3)
    assert list(batching.SortedSampler(np.array([3, 9, 5]), 4)) == [[1]]


def test_an_error_on_several_devices_is_still_a_sentence(lab: Lab):
    done = lab.run(*lab.words(lab.root / "bad", "--devices", 2, "--task", "rtee"))
    assert "no task 'rtee'" in done.sentence


def test_a_shell_inside_an_allocation_is_one_process(lab: Lab, monkeypatch):
    """The environment of salloc or an sbatch script does not count as a launch; a step of srun does."""
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


def test_each_process_goes_on_with_its_own_terms(monkeypatch):
    def window(value):
        module = tiny_method("kd")
        module.terms.add({"loss": torch.tensor(value)})
        return module.terms.state_dict()

    monkeypatch.setattr(base, "gather", lambda mine: [mine, window(3.0)])
    module, checkpoint = tiny_method("kd"), {"state_dict": {}}
    module.terms.add({"loss": torch.tensor(1.0)})
    module.on_save_checkpoint(checkpoint)
    for processes, number, means in ((2, 0, {"loss": 1.0}), (2, 1, {"loss": 3.0}), (1, 0, {})):
        monkeypatch.setattr(base, "world_size", lambda n=processes: n)
        monkeypatch.setattr(base, "rank", lambda n=number: n)
        resumed = tiny_method("kd")
        resumed.on_load_checkpoint(checkpoint)
        assert resumed.terms.means() == means
