"""A BiLSTM student from the command line: its plan, its record, and what is done with it afterwards."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
import yaml
from cli_fixtures import WORDS, Lab, metrics, open_lab, predictions, write_checkpoint
from helpers import brief_words
from ood_fixtures import open_sets, recorded
from safetensors.torch import load_file
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from kdlab.methods import METHODS

SMALL = ("--student", "bilstm:8")
WEIGHTS = len(WORDS) * 300 + 2 * (4 * 8 * (300 + 8) + 2 * 4 * 8) + 8 * 8 * 400 + 400 + 2 * 400 + 2  # for pairs
ONE_TEXT = WEIGHTS - 6 * 8 * 400
WORKS = ("finetune", "kd", "annealing_kd", "mixkd", "mate_kd", "ganbert", "robust")
WITHOUT = {
    "pkd": ("pkd.beta=0",),
    "ad2": ("ad2.deep_kd=false", "ad2.adversarial=false"),
    "cilda": ("cilda.crd_weight=0", "cilda.alpha2=0"),
    "l2a": ("l2a.attention_weight=0", "l2a.hidden_weight=0"),
}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory):
    return open_lab(tmp_path_factory)


@pytest.fixture(scope="module")
def made(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run of kd on pairs. Nobody writes into it."""
    (folder,) = lab.train(tmp_path_factory.mktemp("bilstm"), *SMALL, "training.epochs=3")
    return folder


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "student" / "model.safetensors")


@pytest.mark.parametrize("name", METHODS)
def test_every_method_works_or_says_what_to_do(lab: Lab, tmp_path: Path, name: str):
    words = (*SMALL, *brief_words(name))
    if name not in WORKS:
        done = lab.run(*lab.words(tmp_path / "out", *words, method=name))
        assert done.sentence.startswith(f"{name} works on ")
        assert "the student is a BiLSTM, which has none: take a student of layers, or a method" in done.sentence
        assert not (tmp_path / "out").exists()
        if name not in WITHOUT:
            return
    (folder,) = lab.train(tmp_path / "out", *words, *WITHOUT.get(name, ()), method=name)
    assert metrics(folder)["student"]["parameters"] == WEIGHTS


def test_the_plan_says_what_it_is_made_of(lab: Lab, tmp_path: Path):
    done = lab.run(*lab.words(tmp_path, *SMALL, "--dry-run"))
    made_of = "a new siamese BiLSTM of 300 numbers a token, 2 × 8 and 400 units"
    assert done.field("student") == f"{made_of}, {WEIGHTS:,} parameters"
    done = lab.run(*lab.words(tmp_path, *SMALL, "--dry-run", task="sst2"))
    assert done.field("student") == f"{made_of.replace('siamese ', '')}, {ONE_TEXT:,} parameters"
    assert "bilstm" in lab.run("list", "students").out


def test_a_rate_that_is_not_said_is_one_for_drawn_weights(lab: Lab, tmp_path: Path):
    words = ["run", "--method", "kd", "--task", "rte", "--data-dir", lab.data, "--teacher", lab.teacher]
    words += ["--out", tmp_path, "--accelerator", "cpu", "--print-config"]
    rates = []
    for more in ((), SMALL, (*SMALL, "training.learning_rate=0.25"), (*SMALL, "--method", "annealing_kd")):
        rates.append(yaml.safe_load(lab.run(*words, *more).out)["training"]["learning_rate"])
    assert rates == [5e-5, 1e-3, 0.25, 1e-3]


@pytest.mark.parametrize("word", ["bilstm:", "bilstm:0", "bilstm:x", "bilstm:5000", "bilstm:12:4", "bilstm:-3"])
def test_sizes_that_are_none(lab: Lab, tmp_path: Path, word: str):
    done = lab.run(*lab.words(tmp_path / "out", "--student", word))
    assert f"Student '{word}': " in done.sentence
    assert "is no number of hidden units a direction, 1 to 4096; write bilstm for 150" in done.sentence


def test_without_a_teacher_its_tokenizer_reads(lab: Lab, tmp_path: Path):
    done = lab.run(*lab.words(tmp_path, *SMALL, "--dry-run", method="finetune"))
    assert done.field("teacher") == "not needed"
    (folder,) = lab.train(tmp_path, *SMALL, method="finetune")
    assert metrics(folder)["teacher"] is None
    assert weights(folder)["bilstm.embeddings.word_embeddings.weight"].shape == (len(WORDS), 300)


def test_records_are_told_apart_by_what_is_drawn(lab: Lab, tmp_path: Path):
    larger = write_checkpoint(tmp_path / "larger", rows=len(WORDS) + 3)  # the same tokenizer

    def folder(*more: object) -> str:
        return Path(lab.run(*lab.words(tmp_path, *SMALL, "--dry-run", *more, method="finetune")).field("records")).name

    names = [folder(), folder("--student", "bilstm:9"), folder("--teacher", larger)]
    assert len(set(names)) == 3
    assert folder() == names[0]


def test_each_seed_draws_its_own_weights(lab: Lab, tmp_path: Path):
    start = ("training.learning_rate=1e-12", "training.weight_decay=0", "training.max_steps=1")
    both = [weights(f) for f in lab.train(tmp_path / "both", *SMALL, *start, "--seeds", "2")]
    (alone,) = (weights(f) for f in lab.train(tmp_path / "alone", *SMALL, *start, "--seed", "1"))
    for name, value in alone.items():
        torch.testing.assert_close(value, both[1][name], atol=1e-9, rtol=0)  # whatever was drawn before
        assert name.endswith("bias") or not torch.allclose(value, both[0][name], atol=1e-3), name


def test_a_finished_one_is_read_again(lab: Lab, made: Path):
    import kdlab.models.bilstm  # noqa: F401  (which registers it, as docs/methods.md says)

    model = AutoModelForSequenceClassification.from_pretrained(made / "student").eval()
    tokenizer = AutoTokenizer.from_pretrained(made / "student")
    lines = (lab.data / "RTE" / "dev.tsv").read_text().splitlines()[1:]
    first, second = zip(*(line.split("\t")[1:3] for line in lines), strict=True)
    with torch.no_grad():
        ours = model(**tokenizer(list(first), list(second), padding=True, return_tensors="pt")).logits
    recorded_logits = torch.tensor([line["student_logits"] for line in predictions(made, "dev")])
    torch.testing.assert_close(ours, recorded_logits, atol=1e-5, rtol=0)
    assert metrics(made)["divergence"]["dev"]["kl"] > 0


def test_it_is_evaluated_out_of_domain(lab: Lab, made: Path, tmp_path: Path, tmp_path_factory):
    folder = Path(shutil.copytree(made, tmp_path / "run"))
    done = lab.run("evaluate", folder, "--on", "hans", "scitail", "--ood-dir", open_sets(tmp_path_factory))
    assert done.code == 0, done.err
    entry = recorded(folder)["hans"]
    assert entry["examples"] == len(predictions(folder, "ood-hans")) == 60
    assert entry["teacher"] is not None
    table = lab.run("divergence", folder)
    assert table.code == 0, table.err
    assert "rte" in table.out


def test_a_finished_one_is_a_student_and_a_teacher(lab: Lab, made: Path, tmp_path: Path):
    (again,) = lab.train(tmp_path / "student", "--student", made / "student", "training.learning_rate=1e-9")
    for name, value in weights(made).items():
        torch.testing.assert_close(weights(again)[name], value, atol=1e-6, rtol=0)
    words = ("--teacher", made / "student", *SMALL)
    done = lab.run(*lab.words(tmp_path, *words, "--dry-run"))
    assert "used as it is" in done.field("teacher")
    (folder,) = lab.train(tmp_path / "teacher", *words)
    theirs = [line["teacher"] for line in predictions(folder, "dev")]
    assert theirs == [line["student"] for line in predictions(made, "dev")]


@pytest.mark.parametrize(
    ("words", "method", "said"),
    [
        (("--student", "layers:bottom:1"), "kd", "The student asks for 1 layers, but its donor has 0."),
        (SMALL, "mixkd", ""),
        (("--student", "TEACHER"), "pkd", "pkd works on [CLS] states"),
        (SMALL, "mate_kd", "is a BiLSTM, which fills in no masks: give a masked LM"),
        ((*SMALL, "mate_kd.generator=TEACHER"), "mate_kd", "is a BiLSTM, which fills in no masks: give a masked LM"),
    ],
)
def test_what_a_bilstm_as_the_teacher_can_not_do(lab: Lab, made: Path, tmp_path: Path, words, method, said):
    own = [str(word).replace("TEACHER", str(made / "student")) for word in words]
    done = lab.run(*lab.words(tmp_path / "out", "--teacher", made / "student", *own, "--dry-run", method=method))
    if said:
        assert said in done.sentence
    else:
        assert done.code == 0, done.err
    assert not (tmp_path / "out").exists()


def test_an_interrupted_run_goes_on(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from kdlab.methods.kd import KD

    words = (*SMALL, "training.epochs=2", "training.checkpoint_every=0")
    (whole,) = lab.train(tmp_path / "whole", *words)
    steps, plain = [0], KD.compute_loss

    def stop(self, batch):
        steps[0] += 1
        if steps[0] == 5:
            raise KeyboardInterrupt
        return plain(self, batch)

    with monkeypatch.context() as patch:
        patch.setattr(KD, "compute_loss", stop)
        assert lab.run(*lab.words(tmp_path / "stopped", *words)).code != 0
    (folder,) = lab.train(tmp_path / "stopped", *words)
    assert all(torch.equal(value, weights(whole)[name]) for name, value in weights(folder).items())
    assert metrics(folder)["student"]["metrics"] == metrics(whole)["student"]["metrics"]


def test_two_processes_give_what_one_gives(lab: Lab, made: Path, tmp_path: Path):
    start = Path(shutil.copytree(made / "student", tmp_path / "start"))
    config = json.loads((start / "config.json").read_text())
    (start / "config.json").write_text(json.dumps({**config, "dropout": 0.0}))  # its masks depend on who draws them
    one, two = (lab.run_on(n, "finetune", "--student", start, "training.epochs=2") for n in (1, 2))
    ours, theirs = (torch.tensor([line["student_logits"] for line in predictions(f, "dev")]) for f in (one, two))
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)
    moved = weights(made)["classifier.weight"] - weights(one)["classifier.weight"]
    assert moved.abs().max() > 1e-4


def test_there_is_nothing_to_compile(lab: Lab, tmp_path: Path):
    plain, compiled = (
        weights(lab.train(tmp_path / str(i), *SMALL, *words, method="finetune")[0])
        for i, words in enumerate(((), ("--compile",)))
    )
    assert all(torch.equal(value, compiled[name]) for name, value in plain.items())
