"""Generators through the command line: found with a head or given one, stamped, kept, and shown."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli_fixtures import WORDS, Lab, metrics, open_lab, read_wandb, write_checkpoint
from helpers import brief_words
from safetensors.torch import load_file, save_file
from tokenizers import ByteLevelBPETokenizer
from transformers import (
    AutoConfig,
    AutoModelForMaskedLM,
    AutoTokenizer,
    RobertaConfig,
    RobertaForMaskedLM,
    RobertaTokenizer,
)


@pytest.fixture(scope="module")
def lab(tmp_path_factory) -> Lab:
    return open_lab(tmp_path_factory)


@pytest.fixture(scope="module")
def masked_lm(lab: Lab, tmp_path_factory) -> Path:
    """The teacher's architecture with a masked-LM head."""
    folder = tmp_path_factory.mktemp("lm") / "masked-lm"
    AutoModelForMaskedLM.from_config(AutoConfig.from_pretrained(lab.teacher)).save_pretrained(folder)
    AutoTokenizer.from_pretrained(lab.teacher).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("method", ["cilda", "mate_kd"])
def test_a_backbone_without_a_head_gets_one_and_the_run_says_so(lab: Lab, tmp_path: Path, method: str):
    env = {"KDLAB_CACHE": str(tmp_path / "cache")}
    done = lab.run(*lab.words(tmp_path, *brief_words(method), method=method), env=env)
    assert done.code == 0, done.err
    sentence = "comes without a masked-LM head, so the generator's is trained on the task's own text for 3 steps of 32"
    assert f"SUBSTITUTED: {lab.teacher} {sentence}" in done.out
    (record,) = tmp_path.glob("*/metrics.json")
    found = metrics(record.parent)
    assert sentence in found["substituted"][0]
    assert found["resources"]["generator"]["head_steps"] == 3
    assert sentence in (record.parent / "student" / "README.md").read_text()
    weights = load_file(record.parent / "student" / "model.safetensors")
    assert all(name.startswith(("bert.", "classifier.")) for name in weights)
    lines = [json.loads(line) for line in (record.parent / "augmented.jsonl").read_text().splitlines()]
    assert {line["step"] for line in lines} == set(range(1, found["training"]["steps"] + 1))
    assert f"  step 1: {lines[0]['original']} → {lines[0]['generated']}" in done.out
    assert "Training a masked-LM head" in done.out
    for number, other in enumerate((method, "cilda", "mate_kd")):  # it is kept, and the two share one
        words = lab.words(tmp_path / f"again{number}", *brief_words(other), "seed=1", "--dry-run", method=other)
        assert (
            lab.run(*words, env=env)
            .field("generator")
            .endswith(f"fingerprint {found['resources']['generator']['fingerprint'][:12]}")
        )
    again = lab.run(*lab.words(tmp_path / "again", *brief_words(method), "seed=1", method=method), env=env)
    assert "Training a masked-LM head" not in again.out


def test_how_much_text_is_shown_makes_no_other_run(lab: Lab, tmp_path: Path):
    words = (*brief_words("cilda"), "--dry-run")
    plans = [lab.run(*lab.words(tmp_path, *words, *more, method="cilda")) for more in ((), ("cilda.show=1",))]
    assert plans[0].field("records") == plans[1].field("records")
    other = lab.run(*lab.words(tmp_path, *words, "cilda.p=0.2", method="cilda"))
    assert other.field("records") != plans[0].field("records")


def test_a_generator_with_a_head_stands_in_for_nothing(lab: Lab, masked_lm: Path, tmp_path: Path):
    words = lab.words(tmp_path, *brief_words("mate_kd"), f"mate_kd.generator={masked_lm}", method="mate_kd")
    plan = lab.run(*words, "--dry-run")
    assert plan.code == 0, plan.err
    assert plan.field("generator").startswith(f"{masked_lm}, with its masked-LM head")
    assert "SUBSTITUTED" not in plan.out
    of_student = lab.run(
        *lab.words(tmp_path, *brief_words("cilda"), "--student", masked_lm, "--dry-run", method="cilda")
    )
    assert of_student.field("generator").startswith(f"{masked_lm}, with its masked-LM head")
    none = lab.run(*lab.words(tmp_path, "--dry-run"))
    assert not any(line.startswith("  generator") for line in none.out.splitlines())


def test_the_plan_counts_the_students_steps(lab: Lab, tmp_path: Path):
    plan = lab.run(*lab.words(tmp_path, *brief_words("cilda"), "training.epochs=3", "--dry-run", method="cilda"))
    assert plan.field("training").startswith(
        "8 steps: 3 epochs in turns of 1 batches of the generator and 2 batches of the student, "
    )  # of 12 batches every third is the generator's


def test_the_plan_names_the_phases(lab: Lab, tmp_path: Path):
    plan = lab.run(*lab.words(tmp_path, "annealing_kd.tau=3", "--dry-run", method="annealing_kd"))
    assert plan.field("training").startswith("28 steps: 6 epochs of annealing and 1 epochs of gold, ")


def test_the_generators_fingerprint_is_part_of_the_records(lab: Lab, masked_lm: Path, tmp_path: Path):
    places = []
    for more in ((), (f"cilda.generator={masked_lm}",), ("cilda.head_steps=4",)):
        plan = lab.run(*lab.words(tmp_path, *brief_words("cilda"), *more, "--dry-run", method="cilda"))
        places.append(plan.field("records"))
    assert len(set(places)) == 3


def test_another_vocabulary_is_refused(lab: Lab, tmp_path: Path):
    other = write_checkpoint(tmp_path / "other", (*WORDS, "moon"))
    done = lab.run(*lab.words(tmp_path, f"cilda.generator={other}", *brief_words("cilda"), method="cilda"))
    assert f"cilda.generator {other} (26 tokens) and the teacher {lab.teacher} (25 tokens) have" in done.sentence


def test_embeddings_of_another_number_of_words_are_refused(lab: Lab, tmp_path: Path):
    odd = write_checkpoint(tmp_path / "odd", rows=len(WORDS) + 7)  # the tokenizer is the teacher's own
    done = lab.run(*lab.words(tmp_path, f"cilda.generator={odd}", *brief_words("cilda"), method="cilda"))
    assert f"of different numbers of words (32 in {odd}, 25 in {lab.teacher})" in done.sentence
    assert "Fine-tuning" not in done.out


def test_a_generator_without_a_mask_is_refused_before_any_training(lab: Lab, tmp_path: Path):
    bare = write_checkpoint(tmp_path / "bare")
    file = bare / "tokenizer_config.json"
    kept = {k: v for k, v in json.loads(file.read_text()).items() if k != "mask_token"}
    file.write_text(json.dumps({**kept, "mask_token": None}))
    done = lab.run(*lab.words(tmp_path, f"cilda.generator={bare}", *brief_words("cilda"), method="cilda"))
    assert f"The tokenizer of {bare} has no mask token" in done.sentence
    assert "Fine-tuning" not in done.out


def test_too_few_positions_are_refused(lab: Lab, tmp_path: Path):
    short = write_checkpoint(tmp_path / "short")
    config = json.loads((short / "config.json").read_text())
    (short / "config.json").write_text(json.dumps({**config, "max_position_embeddings": 20}))
    weights = load_file(short / "model.safetensors")
    weights["embeddings.position_embeddings.weight"] = weights["embeddings.position_embeddings.weight"][:20].clone()
    save_file(weights, short / "model.safetensors", metadata={"format": "pt"})
    done = lab.run(*lab.words(tmp_path, f"cilda.generator={short}", *brief_words("cilda"), method="cilda"))
    assert "has positions for 20 tokens, but inputs have up to 48" in done.sentence


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("cilda.n_g=0",), "cilda.n_g is 0: "),
        (("cilda.n_s=0",), "cilda.n_s is 0: "),
        (("cilda.p=1",), "cilda.p is 1.0: "),
        (("cilda.generator=nothing-here",), "'nothing-here' is neither a folder nor in the hub's cache"),
        (("training.batch_size=1",), "training.batch_size=1 leaves cilda's contrastive loss no negatives"),
        (("training.accumulate=2",), "cilda steps several players by hand and can't add up gradients"),
        ((), "The student would get no step: the generator has 20 batches, then the student 100, and there are 4"),
    ],
)
def test_bad_words_are_one_sentence_before_any_training(lab: Lab, tmp_path: Path, words: tuple[str, ...], said: str):
    done = lab.run(*lab.words(tmp_path, *words, method="cilda"))
    assert said in done.sentence
    assert "Fine-tuning" not in done.out


def test_wandb_gets_the_text_as_a_table(lab: Lab, tmp_path: Path):
    done = lab.run(*lab.words(tmp_path, *brief_words("cilda"), "logger=[wandb]", method="cilda"))
    assert done.code == 0, done.err
    (folder,) = tmp_path.glob("cilda-*")
    _, history, _ = read_wandb(folder)
    tables = [line for line in history if line.get("augmented._type") == "table-file"]
    assert [line["trainer/global_step"] for line in tables] == [1, 2]
    assert all(line["augmented.ncols"] == 4 and line["augmented.nrows"] == 3 for line in tables)


@pytest.fixture(scope="module")
def robertas(lab: Lab, tmp_path_factory) -> dict[str, Path]:
    """Masked LMs of CILDA's family, with its byte-level words: a teacher of 3 layers and a student of 2."""
    texts = [line for file in lab.data.rglob("*.tsv") for line in file.read_text(encoding="utf-8").splitlines()]
    bpe = ByteLevelBPETokenizer()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    bpe.train_from_iterator(texts, vocab_size=400, special_tokens=special, show_progress=False)
    folders = {}
    for name, layers in (("teacher", 3), ("student", 2)):
        folder = tmp_path_factory.mktemp("roberta") / name
        config = RobertaConfig(
            vocab_size=bpe.get_vocab_size(), hidden_size=16, num_hidden_layers=layers, num_attention_heads=2,
            intermediate_size=32, max_position_embeddings=66, type_vocab_size=1, pad_token_id=1,
        )  # fmt: skip
        RobertaForMaskedLM(config).save_pretrained(folder)
        bpe.save_model(str(folder))
        RobertaTokenizer.from_pretrained(folder, model_max_length=64).save_pretrained(folder)
        folders[name] = folder
    return folders


def test_the_papers_family_goes_the_whole_way(lab: Lab, robertas: dict[str, Path], tmp_path: Path):
    """RoBERTa as teacher and student: positions behind the padding, no segments, words of bytes."""
    pair = ["--teacher", robertas["teacher"], "--student", robertas["student"], "data.max_length=64"]
    done = lab.run(*lab.words(tmp_path, *brief_words("cilda"), *pair, method="cilda"))
    assert done.code == 0, done.err
    assert "SUBSTITUTED" not in done.out
    (record,) = tmp_path.glob("cilda*")
    found = metrics(record)
    assert found["resources"]["generator"]["source"] == str(robertas["student"])
    lines = [json.loads(line) for line in (record / "augmented.jsonl").read_text().splitlines()]
    assert any("*" in line["generated"] for line in lines)
    assert not any("<" in line["original"] + line["generated"] for line in lines)
    weights = load_file(record / "student" / "model.safetensors")
    assert all(name.startswith(("roberta.", "classifier.")) for name in weights)
