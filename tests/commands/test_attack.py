"""``kdlab attack``: runs and checkpoints attacked, recorded, gone on with, and refused in a sentence."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from cli_fixtures import RTE, Lab, open_lab, warm, write_checkpoint

RECIPES = ("deepwordbug", "pruthi", "textfooler", "bae")
NEIGHBOURS = {"man": ["woman", "child"], "woman": ["man"], "dog": ["cat"], "cat": ["dog"], "sleeps": ["waits", "runs"]}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return open_lab(tmp_path_factory)


@pytest.fixture(scope="module")
def resources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("resources")
    (folder / "counterfitted_neighbors.json").write_text(json.dumps(NEIGHBOURS))
    (folder / "stop_words.txt").write_text("the\na\nnot\n")
    return folder


@pytest.fixture(scope="module")
def run(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run on RTE."""
    (folder,) = lab.train(tmp_path_factory.mktemp("runs"))
    return folder


@pytest.fixture(scope="module")
def classifier(lab: Lab) -> Path:
    return write_checkpoint(lab.root / "classifier", labels=("not_entailment", "entailment"))


def outcomes(folder: Path, recipe: str) -> list[dict]:
    return [json.loads(line) for line in (folder / f"{recipe}.jsonl").read_text(encoding="utf-8").splitlines()]


def figures(folder: Path) -> dict:
    return json.loads((folder / "figures.json").read_text(encoding="utf-8"))


def test_a_run_is_attacked_by_all_recipes(lab: Lab, run: Path, resources: Path, tmp_path: Path):
    out = tmp_path / "found"
    words = ("attack", run, "--resources", resources, "-n", "12", "--out", out, "--recipe", *RECIPES)
    done = lab.run(*words)
    assert done.code == 0, done.err
    assert "deepwordbug, pruthi, textfooler, bae on 12 examples of rte, dev, one model, fixed." in done.out
    assert "comes without a masked-LM head" in done.err
    about = figures(out)
    assert set(about) == set(RECIPES)
    for recipe in RECIPES:
        rows = outcomes(out, recipe)
        assert [row["id"] for row in rows] == sorted({row["id"] for row in rows})
        assert len(rows) == 12
        attacked = [row for row in rows if row["status"] != "skipped"]
        figure = about[recipe]["figures"]
        assert figure["accuracy"]["count"] == len(attacked)
        assert figure["under_attack"]["count"] == sum(row["status"] == "failed" for row in attacked)
        assert all(row["fools_again"] for row in rows if row["status"] == "succeeded")
        assert all(row["queries"] >= row["passes"] for row in rows)
    assert {row["id"] for row in outcomes(out, "bae")} == {row["id"] for row in outcomes(out, "pruthi")}
    assert about["textfooler"]["fidelity"] == "substituted"
    assert {one["kind"]: one["fidelity"] for one in about["textfooler"]["resources"]}["neighbours"] == "full"
    assert about["bae"]["models"].keys() == {"masked LM", "sentence encoder"}
    again = lab.run(*words)
    assert again.code == 0
    assert "examples in" not in again.out  # nothing was attacked
    assert figures(out) == about


def test_student_and_teacher_of_a_run(lab: Lab, run: Path, resources: Path):
    done = lab.run("evaluate", run, "--attack", "deepwordbug", "-n", "10", "--resources", resources)
    assert done.code == 0, done.err
    teacher, student = (figures(run / "attacks" / who)["deepwordbug"] for who in ("teacher", "student"))
    assert teacher["data"] == student["data"]
    assert teacher["victim_fingerprint"] != student["victim_fingerprint"]
    alone = lab.run("attack", run, "--recipe", "deepwordbug", "-n", "10", "--resources", resources)
    assert "examples in" not in alone.out  # the student's outcomes are the cache's
    assert figures(run / "attacks" / "student")["deepwordbug"] == student


def test_attacks_at_the_end_of_a_run(lab: Lab, resources: Path, tmp_path: Path):
    asked = ("evaluation.attack=[pruthi]", "evaluation.attack_examples=8", f"evaluation.attack_resources={resources}")
    (folder,) = lab.train(tmp_path, *asked)
    assert figures(folder / "attacks" / "teacher")["pruthi"]["examples"] == 8
    again = lab.run(*lab.words(tmp_path, *asked))
    assert "is finished already" in again.out
    assert "pruthi" in again.out  # the table, from the cache
    plan = lab.run(*lab.words(tmp_path, *asked, "--dry-run"))
    assert plan.field("evaluation") == "attacked: by pruthi on 8 examples, fixed"
    (other,) = lab.train(tmp_path / "other")
    assert other.name == folder.name  # attacks change nothing of the student


def test_several_runs_stand_in_one_table_with_their_teacher_once(lab: Lab, resources: Path, tmp_path: Path):
    (first,), (second,) = lab.train(tmp_path / "a"), lab.train(tmp_path / "b", method="finetune")
    (alike,) = lab.train(tmp_path / "c", "kd.temperature=3")
    words = ("evaluate", first, second, alike, first, "--attack", "pruthi", "-n", "8", "--resources", resources)
    done = lab.run(*words)
    assert done.code == 0, done.err
    apart = [f"{one.parent.name}-{one.name}" for one in (first, alike)]
    table = [line.split()[0] for line in done.out.splitlines() if " pruthi " in line and " all " in line]
    assert table == ["teacher", apart[0], "finetune-s0", apart[1]]
    refused = lab.run(*words, "--seed", "1").sentence
    assert "with another seed (0 and not 1)" in refused
    assert lab.run(*words, "--seed", "1", "--fresh").code == 0
    assert figures(first / "attacks" / "student")["pruthi"]["seed"] == 1
    assert figures(first / "attacks" / "student.1")["pruthi"]["seed"] == 0


@pytest.mark.full
def test_two_processes_attack_once(lab: Lab):
    asked = ("evaluation.attack=[bae,deepwordbug]", "evaluation.attack_examples=6")
    one, two = (lab.run_on(devices, "kd", *asked) for devices in (1, 2))
    for who in ("teacher", "student"):
        assert outcomes(two / "attacks" / who, "deepwordbug")
        assert len(outcomes(one / "attacks" / who, "bae")) == 6


def test_a_checkpoint_with_its_labels_in_another_order(lab: Lab, classifier: Path, resources: Path, tmp_path: Path):
    asked = ("--task", "rte", "--data-dir", lab.data, "--resources", resources, "--recipe", "pruthi", "--out")
    done = lab.run("attack", classifier, *asked, tmp_path / "one")
    assert done.code == 0, done.err
    turned = write_checkpoint(tmp_path / "turned", labels=("LABEL_0", "LABEL_1"))
    for name in ("model.safetensors", "tokenizer.json", "tokenizer_config.json"):
        if (classifier / name).exists():
            (turned / name).write_bytes((classifier / name).read_bytes())
    named = lab.run("attack", turned, *asked, tmp_path / "two", "--labels", "not_entailment", "entailment")
    assert named.code == 0, named.err
    one, two = (outcomes(tmp_path / name, "pruthi") for name in ("one", "two"))
    assert one == two


def test_examples_are_drawn_by_the_seed(lab: Lab, classifier: Path, resources: Path, tmp_path: Path):
    asked = ("attack", classifier, "--task", "rte", "--data-dir", lab.data, "--resources", resources)
    chosen = []
    for seed in range(3):
        out = tmp_path / str(seed)
        assert lab.run(*asked, "--recipe", "pruthi", "-n", "5", "--seed", seed, "--out", out).code == 0
        chosen.append([row["id"] for row in outcomes(out, "pruthi")])
    assert all(len(set(one)) == 5 for one in chosen)
    assert [0, 1, 2, 3, 4] not in chosen
    assert len(set(map(tuple, chosen))) == 3


def test_only_the_side_that_is_named_is_changed(lab: Lab, classifier: Path, resources: Path, tmp_path: Path):
    asked = ("attack", classifier, "--task", "rte", "--data-dir", lab.data, "--resources", resources)
    for side, kept in (("text", 1), ("pair", 0)):
        out = tmp_path / side
        assert lab.run(*asked, "--recipe", "deepwordbug", "--side", side, "--out", out).code == 0
        rows = outcomes(out, "deepwordbug")
        assert all(row["texts"][kept] == row["attacked"][kept] for row in rows)
        assert any(row["texts"] != row["attacked"] for row in rows)


@pytest.mark.parametrize("recipe", ["bae", "deepwordbug"])
def test_killed_in_the_middle_it_goes_on_to_the_same_table(lab: Lab, classifier: Path, tmp_path: Path, recipe: str):
    env = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    words = ["attack", classifier, "--task", "rte", "--data-dir", lab.data, "--recipe", recipe, "--out"]
    words = [str(word) for word in words]
    whole = warm().run(["never", "0", *words, str(tmp_path / "whole")], {**env, "KDLAB_CACHE": str(tmp_path / "one")})
    assert whole.returncode == 0, whole.stderr
    own = {**env, "KDLAB_CACHE": str(tmp_path / "two")}
    killed = warm().run(["attacked", "7", *words, str(tmp_path / "parts")], own)
    assert killed.returncode == -9
    again = warm().run(["never", "0", *words, str(tmp_path / "parts")], own)
    assert again.returncode == 0, again.stderr
    assert f"{recipe} on classifier: 7 of 24 are done already." in again.stdout
    assert outcomes(tmp_path / "parts", recipe) == outcomes(tmp_path / "whole", recipe)
    tables = [done.stdout[done.stdout.index("victim ") :].partition("Outcomes")[0] for done in (whole, again)]
    assert tables[0] == tables[1]


def test_what_is_found_elsewhere_is_set_aside_only_when_asked(lab: Lab, classifier: Path, tmp_path: Path):
    asked = (
        "attack",
        classifier,
        "--task",
        "rte",
        "--data-dir",
        lab.data,
        "--recipe",
        "pruthi",
        "--out",
        tmp_path / "o",
    )
    assert lab.run(*asked, "-n", "4").code == 0
    refused = lab.run(*asked, "-n", "4", "--seed", "1").sentence
    assert "holds the output of pruthi with another seed (0 and not 1)" in refused
    assert lab.run(*asked, "-n", "4", "--seed", "1", "--fresh").code == 0
    assert (tmp_path / "o.1" / "pruthi.jsonl").is_file()
    other = write_checkpoint(tmp_path / "other", labels=RTE, seed=3)
    words = ("attack", other, *asked[2:], "-n", "4", "--seed", "1")
    assert "with another victim" in lab.run(*words).sentence


def test_what_there_is_to_work_with(lab: Lab, resources: Path):
    shown = lab.run("attack", "--check", "--resources", resources)
    assert shown.code == 0
    lines = {line.split("  ")[0]: line for line in shown.out.splitlines()}
    assert "found" in lines["stop words"]
    assert "substituted" in lines["part-of-speech tagger"]
    assert "NLTK data 'averaged_perceptron_tagger_eng'" in lines["part-of-speech tagger"]
    assert "missing" in lines["antonyms"]
    assert "substituted" in lines["sentence encoder"]


@pytest.mark.parametrize(
    ("words", "what"),
    [
        ((), "Name a model to attack"),
        (("MODEL",), "--recipe names no recipe"),
        (("MODEL", "--recipe", "pruthy"), "There is no recipe 'pruthy': did you mean pruthi?"),
        (("MODEL", "--recipe", "pruthi", "-n", "0"), "-n 0: it says how many examples are drawn"),
        (("MODEL", "--recipe", "pruthi", "-n", "25"), "dev of rte has 24 examples"),
        (("MODEL", "--recipe", "pruthi", "--mode", "compatible"), "There is no mode 'compatible'"),
        (("MODEL", "--recipe", "pruthi", "--side", "left"), "--side left: it is one of text, pair, both"),
        (("MODEL", "--recipe", "pruthi", "--seed", "-1"), "--seed -1: it must be a whole number"),
        (("MODEL", "--recipe", "pruthi", "--similarity", "3"), "--similarity 3.0"),
        (("MODEL", "--recipe", "pruthi", "--task", "sst2"), "is no classifier of sst2 (negative, positive)"),
        (("MODEL", "--recipe", "pruthi", "--task", "stsb"), "stsb has scores and no labels"),
        (("TEACHER", "--recipe", "pruthi"), "is no classifier of rte (entailment, not_entailment): it has no head"),
        (("NOWHERE", "--recipe", "pruthi"), "There is no folder 'no/such/model'"),
        (("MODEL", "--recipe", "pruthi", "--resources", "/nowhere"), "There is no folder /nowhere"),
        (("MODEL", "--recipe", "nowhere.py:Mine"), "There is no file nowhere.py: give --recipe path/to/file.py:Class"),
        (("MODEL", "--recipe", "bae", "--masked-lm", "/nowhere"), "/nowhere"),
    ],
)
def test_what_is_refused(lab: Lab, classifier: Path, words: tuple[str, ...], what: str):
    named = {"MODEL": str(classifier), "TEACHER": str(lab.teacher), "NOWHERE": "no/such/model"}
    rest = ("--task", "rte") if "--task" not in words and words else ()
    asked = ("attack", *(named.get(word, word) for word in words), *rest, *(("--data-dir", lab.data) if words else ()))
    assert what in lab.run(*asked).sentence


def test_a_checkpoint_needs_a_task_and_a_run_has_one(lab: Lab, run: Path, classifier: Path):
    assert "is no run of kdlab's, so say which task" in lab.run("attack", classifier, "--recipe", "pruthi").sentence
    assert "the run in" in lab.run("attack", run, "--task", "sst2", "--recipe", "pruthi").sentence


OWN = """
from kdlab.attacks.attempt import Attack
from kdlab.attacks.constraints import Changed, StopWords
from kdlab.attacks.recipes.base import Recipe
from kdlab.attacks.search import Greedy
from kdlab.attacks.transformations import CharacterSwap
from kdlab.transformations.characters import one_deletion

class Mine(Recipe):
    needs = (%s)

    def build(self, kit):
        rules = [Changed(), %s]
        return Attack(CharacterSwap([one_deletion]), Greedy(), rules)

class Other: pass
"""


def test_a_recipe_of_ones_own(lab: Lab, classifier: Path, tmp_path: Path):
    file = tmp_path / "mine.py"
    asked = ("attack", classifier, "--task", "rte", "--data-dir", lab.data, "--out", tmp_path / "o", "-n", "6")
    file.write_text(OWN % ("", ""))
    done = lab.run(*asked, "--recipe", f"{file}:Mine")
    assert done.code == 0, done.err
    assert len(outcomes(tmp_path / "o", "mine")) == 6
    assert "is no subclass of" in lab.run(*asked, "--recipe", f"{file}:Other").sentence
    assert f"names a file without a class: write {file}:Class" in lab.run(*asked, "--recipe", file).sentence
    file.write_text(OWN % ("", "StopWords(kit.stop_words)"))
    assert "uses stop words without saying so" in lab.run(*asked, "--recipe", f"{file}:Mine").sentence
    file.write_text(OWN % ("'vectors',", ""))
    assert "needs 'vectors', which is none of" in lab.run(*asked, "--recipe", f"{file}:Mine").sentence
