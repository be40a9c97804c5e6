"""What a user sees of the cache: its verbs, damage, and many processes at once."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from cli_fixtures import Lab, metrics, open_lab
from safetensors.torch import load_file


@pytest.fixture(scope="module")
def lab(tmp_path_factory) -> Lab:
    return open_lab(tmp_path_factory)


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    return {"KDLAB_CACHE": str(tmp_path / "cache")}


def fill(lab: Lab, tmp_path: Path, env: dict[str, str], out: str = "runs", *more: object):
    done = lab.run(*lab.words(tmp_path / out, *more), env=env)
    assert done.code == 0, done.err
    return done


def test_ls_names_every_entry_and_clear_removes_them(lab: Lab, tmp_path: Path, env):
    fill(lab, tmp_path, env)
    listed = lab.run("cache", "ls", env=env).out
    kinds = [line.split()[0] for line in listed.splitlines()[:-1]]
    assert {"teacher", "tokens", "logits"} == set(kinds)
    assert listed.splitlines()[-1].startswith(f"{len(kinds)} entries, ")
    assert f"{len(kinds)} entries removed" in lab.run("cache", "clear", env=env).out
    assert lab.run("cache", "ls", env=env).out.startswith("0 entries")
    assert not list((tmp_path / "cache").glob("*/*.work"))
    assert "teacher" in fill(lab, tmp_path, env, "again").out


def test_prune_removes_what_was_not_used_for_the_longest_time(lab: Lab, tmp_path: Path, env):
    fill(lab, tmp_path, env, "first")
    fill(lab, tmp_path, env, "first", "--task", "sst2")
    folders = sorted(path for path in (tmp_path / "cache").glob("*/*") if path.is_dir() and len(path.name) == 32)
    for age, folder in enumerate(folders):
        os.utime(folder, (1e9 - age, 1e9 - age))
    fill(lab, tmp_path, env, "second", "training.epochs=2")  # uses the teacher's answers and the tokens again
    used = {folder for folder in folders if folder.stat().st_mtime > 1e9}
    assert 0 < len(used) < len(folders)
    sizes = {folder: sum(p.stat().st_size for p in folder.rglob("*") if p.is_file()) for folder in folders}
    left = sum(sizes[folder] for folder in used)
    done = lab.run("cache", "prune", "--to", f"{left / 1000 + 0.001:.3f}kb", env=env)
    assert f"{len(folders) - len(used)} entries removed" in done.out
    assert {folder for folder in folders if folder.exists()} == used
    assert "0 entries removed" in lab.run("cache", "prune", "--to", "1 TB", env=env).out
    assert f"{len(used)} entries removed" in lab.run("cache", "prune", "--to", "0", env=env).out
    for words, said in (
        (("prune",), "needs --to SIZE"),
        (("prune", "--to", "many"), "--to many: it is a size"),
        (("ls", "--to", "1GB"), "leave it out"),
    ):
        assert said in lab.run("cache", *words, env=env).sentence


@pytest.mark.parametrize(
    ("kind", "file"), [("teacher", "model.safetensors"), ("tokens", "ids.npy"), ("logits", "logits.npy")]
)
def test_a_damaged_byte_is_found_said_and_mended(lab: Lab, tmp_path: Path, env, kind: str, file: str):
    fill(lab, tmp_path, env, "first")
    assert lab.run("cache", "verify", env=env).code == 0
    (hurt, *_) = sorted((tmp_path / "cache" / kind).glob(f"*/{file}"))
    whole = hurt.read_bytes()
    hurt.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    checked = lab.run("cache", "verify", env=env)
    assert checked.code == 1
    assert f"{file} does not match its checksum" in checked.out
    done = fill(lab, tmp_path, env, "second")
    assert f"The cached {kind} {hurt.parent} is damaged" in done.err
    assert hurt.read_bytes() == whole
    (one,), (two,) = (list((tmp_path / out).glob("*/metrics.json")) for out in ("first", "second"))
    assert metrics(one.parent)["student"]["metrics"] == metrics(two.parent)["student"]["metrics"]


def test_teachers_in_sibling_folders_and_one_retrained_in_place_share_nothing(lab: Lab, tmp_path: Path, env):
    from cli_fixtures import write_checkpoint

    for seed, folder in ((1, "a/teacher"), (2, "b/teacher"), (3, "a/teacher")):
        write_checkpoint(tmp_path / folder, labels=("entailment", "not_entailment"), seed=seed)
        fill(lab, tmp_path, env, f"runs{seed}", "--teacher", tmp_path / folder)
    logits = [p.read_bytes() for p in (tmp_path / "cache" / "logits").glob("*/logits.npy")]
    assert len(logits) == len(set(logits)) == 9  # on train, dev and test


@pytest.mark.slow
def test_eight_processes_make_one_teacher_and_eight_equal_records(lab: Lab, tmp_path: Path, env):
    words = [[str(w) for w in lab.words(tmp_path / f"out{i}")] for i in range(8)]
    whole = {**os.environ, **env, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "kdlab"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    running = [subprocess.Popen([*command, *w], env=whole, **pipes) for w in words]
    ended = [process.communicate() for process in running]
    assert [process.returncode for process in running] == [0] * 8, ended
    assert sum("Fine-tuning the teacher" in out for out, _ in ended) == 1
    assert len(list((tmp_path / "cache" / "teacher").glob("[!.]*"))) == 1
    folders = [next((tmp_path / f"out{i}").glob("*/metrics.json")).parent for i in range(8)]
    first = load_file(folders[0] / "student" / "model.safetensors")
    for folder in folders[1:]:
        assert metrics(folder)["student"]["metrics"] == metrics(folders[0])["student"]["metrics"]
        weights = load_file(folder / "student" / "model.safetensors")
        assert all(torch.equal(weights[name], value) for name, value in first.items())
