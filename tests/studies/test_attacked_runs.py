"""Studies whose runs are attacked: what is made, what is made again, and what stands."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from cli_fixtures import Lab, open_lab

RECIPES = ("deepwordbug", "pruthi")
STUDY = """\
title: A small study
tasks: [rte]
common: {evaluation.attack: [deepwordbug, pruthi], evaluation.attack_examples: 10}
cells:
  FT: {method: finetune}
  KD: {method: kd}
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return open_lab(tmp_path_factory)


@pytest.fixture
def words(lab: Lab, tmp_path: Path) -> list[str]:
    small = {"data.dir": str(lab.data), "teacher.source": str(lab.teacher), "out": str(tmp_path / "out")}
    small |= {"teacher.epochs": 1, "training.epochs": 1, "student.source": "layers:0,1", "precision": "32"}
    return [f"{key}={value}" for key, value in {**small, "accelerator": "cpu"}.items()]


def attacked(text: str) -> list[str]:
    """Who was attacked by what, as far as it was not in the cache."""
    return [line.strip().partition(":")[0] for line in text.splitlines() if "examples in" in line]


def test_only_what_is_missing_is_made(lab: Lab, tmp_path: Path, words: list[str]):
    file = tmp_path / "small.yaml"
    file.write_text(STUDY)
    first = lab.run("experiment", file, *words)
    assert first.code == 0, first.err
    who = ("teacher", "finetune-s0", "kd-s0")
    assert attacked(first.out) == [f"{recipe} on {one}" for one in who for recipe in RECIPES]
    again = lab.run("experiment", file, *words)
    assert "Training" not in again.out
    assert attacked(again.out) == []
    assert "Seed 0" not in again.out  # no run was opened
    (kd,) = (tmp_path / "out").glob("kd-*")
    (kd / "attacks" / "student" / "pruthi.jsonl").unlink()
    written = lab.run("experiment", file, *words)
    assert attacked(written.out) == []  # it was in the cache
    assert (kd / "attacks" / "student" / "pruthi.jsonl").is_file()
    file.write_text(STUDY.replace("pruthi", "pruthi, textfooler"))
    more = lab.run("experiment", file, *words)
    assert "Training" not in more.out
    assert attacked(more.out) == [f"textfooler on {one}" for one in who]


def test_other_attacks_set_aside_what_a_run_holds(lab: Lab, tmp_path: Path, words: list[str]):
    file = tmp_path / "small.yaml"
    file.write_text(STUDY)
    assert lab.run("experiment", file, *words).code == 0
    more = lab.run("experiment", file, *words, "evaluation.attack_examples=12", "evaluation.attack_seed=1")
    assert more.code == 0, more.err
    assert "Training" not in more.out
    assert len(attacked(more.out)) == 6
    (kd,) = (tmp_path / "out").glob("kd-*")
    held = [json.loads((kd / "attacks" / one / "figures.json").read_text()) for one in ("student.1", "student")]
    assert [figures["pruthi"]["examples"] for figures in held] == [10, 12]


def test_other_resources_are_other_attacks(lab: Lab, tmp_path: Path, words: list[str]):
    file = tmp_path / "small.yaml"
    file.write_text(STUDY)
    assert lab.run("experiment", file, *words).code == 0
    (tmp_path / "stop_words.txt").write_text("the\na\n")
    more = lab.run("experiment", file, *words, f"evaluation.attack_resources={tmp_path}")
    assert more.code == 0, more.err
    assert "Training" not in more.out
    assert len(attacked(more.out)) == 6


JUDGED = """\
claims:
  KD is more robust: {better: KD, than: FT, column: aua}
heatmap: [pruthi, deepwordbug]
"""


def test_table_verdicts_and_heatmap_are_written(lab: Lab, tmp_path: Path, words: list[str]):
    file = tmp_path / "small.yaml"
    file.write_text(STUDY + JUDGED)
    done = lab.run("experiment", file, *words)
    assert done.code == 0, done.err
    stem = f"{tmp_path.name}-small".replace("[", "-").replace("]", "-")
    written = {path.name for path in (tmp_path / "out" / "tables").iterdir()}
    pictures = {f"{stem}-heatmap-rte{suffix}" for suffix in (".png", ".svg", ".csv")}
    assert written == {f"{stem}{suffix}" for suffix in (".md", ".tex", ".csv")} | pictures
    assert "|  | accuracy | deepwordbug aua | pruthi aua | aua | kl |" in done.out
    assert re.search(r"\| KD is more robust \| rte \| (reproduced|undecided|contradicted) \| ", done.out)
    assert done.out.count("Picture: ") == 3


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "{better: KD, than: FT, column: aua}",
            "{better: KD, than: FT, column: bae aua}",
            "no column 'bae aua' on rte",
        ),
        (
            "{method: kd}",
            "{method: kd, evaluation.attack: []}",
            "'KD' is not attacked so: name the recipes in 'common'",
        ),
        ("{method: kd}", "{method: kd, evaluation.attack_seed: 3}", ":6: 'KD' would be attacked otherwise than 'FT'"),
        (
            "{method: kd}",
            "{method: kd, evaluation.attack: [pruthi, bee]}",
            "There is no recipe 'bee': did you mean bae?",
        ),
        ("column: aua", "column: minutes, over: examples", "which no single example has: leave out 'over: examples'"),
        (
            "{method: kd}",
            "{method: kd, data.limit_train: 12}",
            "give both the same data.*, or the claim 'other_rows: true'",
        ),
    ],
)
def test_what_is_wrong_is_said_before_the_first_cell(
    lab: Lab, tmp_path: Path, words: list[str], old: str, new: str, said: str
):
    file = tmp_path / "small.yaml"
    assert (STUDY + JUDGED).count(old) == 1
    file.write_text((STUDY + JUDGED).replace(old, new))
    assert said in lab.run("experiment", file, *words).sentence
    assert not (tmp_path / "out").exists()


def test_claims_may_be_of_other_rows_where_they_say_so(lab: Lab, tmp_path: Path, words: list[str]):
    file = tmp_path / "small.yaml"
    text = (STUDY + JUDGED).replace("{method: kd}", "{method: kd, data.limit_train: 12}")
    file.write_text(text.replace("column: aua", "column: aua, other_rows: true"))
    assert lab.run("experiment", file, "--dry-run", *words).code == 0


def test_students_without_a_teacher_share_a_masked_lm_that_is_named(lab: Lab, tmp_path: Path, words: list[str]):
    file = tmp_path / "small.yaml"
    file.write_text(
        f"tasks: [rte]\ncommon: {{evaluation.attack: [bae], evaluation.attack_examples: 4, "
        f'evaluation.attack_masked_lm: "{lab.teacher}", student.source: "{lab.teacher}:layers:0,1"}}\n'
        "cells: {FT: {method: finetune}, longer: {method: finetune, training.learning_rate: 1.0e-4}}\n"
    )
    others = [word for word in words if not word.startswith(("teacher.", "student."))]
    done = lab.run("experiment", file, *others)
    assert done.code == 0, done.err
    files = list((tmp_path / "out").glob("finetune-*/attacks/student/figures.json"))
    first, second = (json.loads(path.read_text())["bae"] for path in files)
    assert first["victim_fingerprint"] != second["victim_fingerprint"]
    assert first["models"] == second["models"]
