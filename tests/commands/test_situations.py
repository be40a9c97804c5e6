"""Situations out of bug reports of neighbouring projects: files that look right and are not, machines without a thing.

Each ends as it should: read rightly where there is one right reading, refused before any training, or fine-tuned.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import unicodedata
from pathlib import Path

import pytest
import torch
from cli_fixtures import WORDS, Lab, metrics, open_lab, predictions, warm, write_checkpoint
from helpers import PAIRS, save_checkpoint, tiny_encoder, tiny_tokenizer
from safetensors.torch import load_file, save_file
from transformers import PreTrainedTokenizerFast

from kdlab.data.sources import Hub, Source, find_task
from kdlab.data.task_data import load_data
from kdlab.system.cache import default_root

TASK = "name: reviews\nfiles: {train: train.csv, dev: dev.csv}\nlabels: [neg, pos]\n"


@pytest.fixture
def lab(tmp_path_factory) -> Lab:
    return open_lab(tmp_path_factory)


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A folder with a task of the user's own and a classifier of its labels, used as it is."""
    write_reviews(tmp_path)
    write_checkpoint(tmp_path / "enc", labels=("neg", "pos"))
    return tmp_path


def write_reviews(folder: Path, text: str = TASK) -> Path:
    """A task file and its tables: a text with 'the' is pos."""
    (folder / "task.yaml").write_text(text, encoding="utf-8")
    for name, size in (("train", 40), ("dev", 16)):
        rows = [
            f"{('a', 'the')[i % 2]} {WORDS[9 + i % 16]} {WORDS[9 + i * 5 % 16]},{('neg', 'pos')[i % 2]}"
            for i in range(size)
        ]
        (folder / f"{name}.csv").write_text("text,label\n" + "\n".join(rows) + "\n")
    return folder / "task.yaml"


def words(here: Path, *more: object, method: str = "kd") -> list[object]:
    """The command line of the smallest run on the task in a folder."""
    return [
        *("run", "--method", method, "--task", here / "task.yaml", "--teacher", here / "enc", "--out", here / "out"),
        *("--student", "layers:bottom:1", "--accelerator", "cpu", "--precision", "32"),
        *("training.max_steps=2", "teacher.max_steps=2", *more),
    ]


def run(lab: Lab, here: Path, *more: object, method: str = "kd", env: dict[str, str | None] | None = None):
    """That run, with a cache of its own."""
    return lab.run(*words(here, *more, method=method), env={"KDLAB_CACHE": str(here / "cache"), **(env or {})})


def refused(lab: Lab, here: Path, *more: object, method: str = "kd", env: dict[str, str | None] | None = None) -> str:
    """Its one sentence, before anything was trained or recorded."""
    done = run(lab, here, *more, method=method, env=env)
    sentence = done.sentence
    assert "Fine-tuning" not in done.out
    assert "Training the student" not in done.out
    assert not list((here / "out").glob("*/metrics.json"))
    return sentence


def change(file: Path, **fields: object) -> None:
    """Other fields in a JSON file; those of None are taken out."""
    content = {**json.loads(file.read_text()), **fields}
    file.write_text(json.dumps({k: v for k, v in content.items() if v is not None}))


def change_weights(folder: Path, make) -> None:
    """Other weights in a folder."""
    file = folder / "model.safetensors"
    save_file(make(load_file(file)), file, metadata={"format": "pt"})


# --- checkpoints: what the weights are --------------------------------------------------------------------------------


def test_relative_positions_are_refused_by_their_name_and_by_their_weights(lab: Lab, here: Path):
    change_weights(
        here / "enc", lambda w: w | {"bert.encoder.layer.0.attention.self.distance_embedding.weight": torch.ones(9, 8)}
    )
    assert "hold bert.encoder.layer.0.attention.self.distance_embedding.weight, for which" in refused(lab, here)
    change(here / "enc" / "config.json", position_embedding_type="relative_key")
    assert f"{here}/enc/config.json says position_embedding_type=relative_key" in refused(lab, here)


def test_what_may_be_left_over_is_left_over(lab: Lab, here: Path):
    left = {"bert.embeddings.position_ids": torch.arange(48)[None], "cls.predictions.bias": torch.ones(len(WORDS))}
    change_weights(here / "enc", lambda w: w | left)
    change(here / "enc" / "config.json", position_embedding_type="absolute")
    done = run(lab, here, "--dry-run")
    assert "used as it is" in done.field("teacher"), done.err


def test_an_adapter_that_was_not_merged_is_refused(lab: Lab, here: Path):
    name = "bert.encoder.layer.1.attention.self.query.lora_A.default.weight"
    change_weights(here / "enc", lambda w: w | {name: torch.ones(2, 16)})
    sentence = refused(lab, here)
    assert name in sentence
    assert "merge the adapter" in sentence
    (here / "enc" / "model.safetensors").unlink()
    (here / "enc" / "adapter_config.json").write_text("{}")
    assert "holds an adapter without its model: merge the two" in refused(lab, here)


@pytest.mark.parametrize(
    ("family", "lacks"),
    [
        ("bert", "bert.pooler.dense"),
        ("distilbert", "pre_classifier"),
        ("roberta", "classifier.dense"),
        ("bert", "classifier.bias"),
    ],
)
def test_half_a_head_is_no_head(lab: Lab, here: Path, family: str, lacks: str):
    save_checkpoint(tiny_encoder(family, task=PAIRS), here / "half")
    change(here / "half" / "config.json", id2label={"0": "neg", "1": "pos"}, label2id={"neg": 0, "pos": 1})
    change_weights(here / "half", lambda w: {k: v for k, v in w.items() if not k.startswith(lacks)})
    done = run(lab, here, "--teacher", here / "half", "--dry-run")
    assert "to be fine-tuned (its head lacks " in done.field("teacher"), done.err
    assert lacks in done.field("teacher")


def test_two_seeds_of_a_teacher_with_half_a_head_share_nothing(lab: Lab, here: Path):
    change_weights(here / "enc", lambda w: {k: v for k, v in w.items() if ".pooler." not in k})
    fingerprints = {run(lab, here, f"teacher.seed={seed}", "--dry-run").field("records") for seed in (0, 1)}
    assert len(fingerprints) == 2


def test_a_head_of_another_make_is_not_used(lab: Lab, here: Path):
    change_weights(here / "enc", lambda w: w | {"classifier2.weight": torch.ones(2, 16)})
    assert "its file holds classifier2.weight, which" in run(lab, here, "--dry-run").field("teacher")


def test_a_head_for_several_labels_at_once_is_fine_tuned(lab: Lab, here: Path):
    change(here / "enc" / "config.json", problem_type="multi_label_classification")
    assert "to be fine-tuned (its head was trained for several labels at once" in run(lab, here, "--dry-run").field(
        "teacher"
    )
    assert "several labels at once" in refused(lab, here, "teacher.labels=[neg, pos]")


def test_labels_that_contradict_each_other_are_not_believed(lab: Lab, here: Path):
    change(here / "enc" / "config.json", label2id={"neg": 1, "pos": 0})
    assert "contradict each other" in run(lab, here, "--dry-run").field("teacher")
    assert "used as it is" in run(lab, here, "--dry-run", "teacher.labels=[neg, pos]").field("teacher")


@pytest.mark.parametrize("name", ["bert.encoder.layer.2.output.dense.weight", "classifier.bias"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("method", ["kd", "finetune"])
def test_weights_that_are_no_numbers_are_refused(lab: Lab, here: Path, name: str, value: float, method: str):
    def broken(weights):
        weights[name].view(-1)[0] = value
        return weights

    change_weights(here / "enc", broken)
    assert f"hold NaN or infinity (1 numbers of {name})" in refused(lab, here, method=method)


def test_quantised_weights_are_refused_with_and_without_a_word_of_it(lab: Lab, here: Path):
    change_weights(here / "enc", lambda w: {k: v.to(torch.int8) if "layer.1.output" in k else v for k, v in w.items()})
    assert "stored in a form that kdlab does not read" in refused(lab, here)
    for how in ({"quant_method": "bitsandbytes"}, {"quant_method": "gptq"}, {}, "eight bits"):
        change(here / "enc" / "config.json", quantization_config=how)
        assert "enc is quantised (" in refused(lab, here)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"hidden_act": "quad"}, "config.json describes no encoder that can be built (KeyError 'quad')"),
        ({"vocab_size": 0}, "config.json says vocab_size=0: it must be 1 or more"),
        ({"pad_token_id": 999}, "config.json says pad_token_id=999, and its vocab_size is 25"),
        ({"num_hidden_layers": 10_000_000}, "config.json says num_hidden_layers=10000000: it must be 1 to 1000"),
        ({"num_hidden_layers": 2}, "says num_hidden_layers=2, and its weights are those of 3 layers"),
        (
            {"id2label": None, "label2id": None, "num_labels": 10_000_000_000},
            "field 'num_labels' holds 10000000000, no number",
        ),
        ({"hidden_size": 2_147_483_646}, "config.json describes no encoder that can be built (Storage size"),
        ({"vocab_size": 2_147_483_647}, "word_embeddings.weight is 25 × 16 and not 2147483647 × 16"),
        ({"max_position_embeddings": 2_147_483_647}, "position_embeddings.weight is 48 × 16 and not 2147483647 × 16"),
        ({"type_vocab_size": 0}, "config.json says type_vocab_size=0"),
        ({"initializer_range": -0.02}, "config.json says initializer_range=-0.02: it can't be negative"),
        ({"layer_norm_eps": 1e400}, "field 'layer_norm_eps' holds inf, no number"),
        ({"hidden_dropout_prob": 2.5}, "config.json describes no encoder that can be built (dropout probability"),
        ({"problem_type": "guess"}, "config.json says problem_type=guess: "),
        ({"id2label": ["neg", "pos"]}, "id2label is no mapping"),
        ({"id2label": {"1": "neg", "2": "pos"}}, "id2label numbers its labels 1, 2, not from 0 on"),
        ({"model_type": 5}, "config.json names no model_type"),
    ],
)
def test_configurations_that_can_not_be(lab: Lab, here: Path, fields: dict, said: str):
    change(here / "enc" / "config.json", **fields)
    assert said in refused(lab, here)


def test_a_field_that_stands_twice_in_a_configuration_is_refused(lab: Lab, here: Path):
    text = (here / "enc" / "config.json").read_text()
    (here / "enc" / "config.json").write_text(text.rstrip()[:-1] + ', "num_attention_heads": 4}')
    assert "field 'num_attention_heads' stands there twice" in refused(lab, here)


def test_settings_of_a_configuration_that_change_nothing_of_its_encoder(lab: Lab, here: Path):
    """Such as would end a run at its end, have foreign code run or another attention be looked for."""
    known = run(lab, here)
    assert known.code == 0, known.err
    (first,) = (here / "out").glob("*/metrics.json")
    change(
        here / "enc" / "config.json",
        output_attentions=True,
        output_hidden_states=True,
        return_dict=False,
        torchscript=True,
        chunk_size_feed_forward=5,
        attn_implementation="flash_attention_3",
        transformers_weights="../../elsewhere.bin",
        auto_map={"AutoConfig": "evil.EvilConfig"},
        to_dict="not a method any more",
        dtype="float8",
    )
    done = run(lab, here, "--out", here / "again")
    assert done.code == 0, done.err
    (second,) = (here / "again").glob("*/metrics.json")
    assert predictions(first.parent, "dev") == predictions(second.parent, "dev")
    assert "auto_map" not in (second.parent / "student" / "config.json").read_text()
    assert metrics(first.parent)["fingerprints"]["run"] != metrics(second.parent)["fingerprints"]["run"]


def test_foreign_code_is_never_run(lab: Lab, here: Path, monkeypatch, capfd):
    (here / "enc" / "evil.py").write_text(f"open({str(here / 'ran')!r}, 'w').write('code')\n")
    monkeypatch.setattr("builtins.input", lambda *_: "y")
    change(
        here / "enc" / "tokenizer_config.json",
        auto_map={"AutoTokenizer": ["evil.Evil", "evil.Evil"]},
        tokenizer_class="Evil",
    )
    run(lab, here, "--dry-run")
    change(here / "enc" / "config.json", model_type="evil", auto_map={"AutoConfig": "evil.EvilConfig"})
    assert "is of architecture 'evil', which kdlab does not drive" in refused(lab, here)
    assert not (here / "ran").exists()


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("pytorch_model.bin", "may name safetensors files of its own folder only"),
        ("../enc2/model.safetensors", "may name safetensors files of its own folder only"),
        ("/etc/model.safetensors", "may name safetensors files of its own folder only"),
        ("sub/model.safetensors", "may name safetensors files of its own folder only"),
        ("gone.safetensors", "gone.safetensors can't be read (No such file"),
    ],
)
def test_an_index_leads_nowhere_else(lab: Lab, here: Path, file: str, said: str):
    weights = load_file(here / "enc" / "model.safetensors")
    torch.save(weights, here / "enc" / "pytorch_model.bin")
    (here / "enc" / "model.safetensors").unlink()
    index = {"weight_map": dict.fromkeys(weights, file)}
    (here / "enc" / "model.safetensors.index.json").write_text(json.dumps(index))
    assert said in refused(lab, here)


def test_shards_are_read_and_each_is_in_the_fingerprint(lab: Lab, here: Path):
    weights = load_file(here / "enc" / "model.safetensors")
    names = sorted(weights)
    parts = {"a.safetensors": names[::2], "b.safetensors": names[1::2]}
    for file, held in parts.items():
        save_file({name: weights[name] for name in held}, here / "enc" / file, metadata={"format": "pt"})
    index = {"weight_map": {name: file for file, held in parts.items() for name in held}}
    (here / "enc" / "model.safetensors.index.json").write_text(json.dumps(index))
    (here / "enc" / "model.safetensors").unlink()
    first = run(lab, here, "--dry-run").field("records")
    weights[names[1]] += 1
    save_file(
        {name: weights[name] for name in parts["b.safetensors"]},
        here / "enc" / "b.safetensors",
        metadata={"format": "pt"},
    )
    assert run(lab, here, "--dry-run").field("records") != first
    del index["weight_map"][names[0]]
    (here / "enc" / "model.safetensors.index.json").write_text(json.dumps(index))
    assert f"differ ({names[0]})" in refused(lab, here)


# --- tokenizers: what they do -----------------------------------------------------------------------------------------


def test_tokens_beyond_the_embedding_are_refused(lab: Lab, here: Path):
    teacher = write_checkpoint(here / "more", labels=("neg", "pos"))
    change(teacher / "config.json")
    tokenizer = json.loads((teacher / "tokenizer.json").read_text())
    tokenizer["added_tokens"].append(
        {
            "id": 22,
            "content": "<place>",
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": True,
            "special": False,
        }
    )
    (teacher / "tokenizer.json").write_text(json.dumps(tokenizer))
    sentence = refused(lab, here, "--teacher", teacher)
    assert "its tokenizer has ids up to 2" in sentence
    assert "its embedding 25 rows (for one, '<place>')" in sentence


def test_an_embedding_with_more_rows_than_tokens_is_normal(lab: Lab, here: Path):
    write_checkpoint(here / "rows", labels=("neg", "pos"), rows=64)
    assert "used as it is" in run(lab, here, "--teacher", here / "rows", "--dry-run").field("teacher")


def test_a_tokenizer_without_padding_is_refused(lab: Lab, here: Path):
    save_checkpoint(tiny_encoder(), here / "enc2")
    PreTrainedTokenizerFast(tokenizer_object=tiny_tokenizer().backend_tokenizer).save_pretrained(here / "enc2")
    sentence = refused(lab, here, "--teacher", here / "enc2")
    assert "enc2: its tokenizer names no padding token: add pad_token to tokenizer_config.json" in sentence
    assert not (here / "cache" / "tokens").exists()


def test_roberta_counts_positions_from_the_padding_index_that_it_has(lab: Lab, here: Path):
    save_checkpoint(tiny_encoder("roberta"), here / "enc2")
    assert "inputs up to 33 tokens" in run(lab, here, "--teacher", here / "enc2", "--dry-run").field("training")
    change(here / "enc2" / "config.json", pad_token_id=7)
    assert "its tokenizer pads with id 0, and its config.json says pad_token_id=7" in refused(
        lab, here, "--teacher", here / "enc2"
    )


def test_a_tokenizer_in_python_is_named(lab: Lab, here: Path):
    (here / "enc" / "tokenizer.json").unlink()
    (here / "enc" / "vocab.txt").write_text("\n".join(WORDS) + "\n")
    (here / "enc" / "tokenizer_config.json").write_text('{"tokenizer_class": "BertJapaneseTokenizer"}')
    assert "has a tokenizer that is written in Python (BertJapaneseTokenizer)" in refused(lab, here)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("added_tokens.json", '{"zzq": 21}'),
        ("special_tokens_map.json", '{"unk_token": "not"}'),
        (
            "tokenizer_config.json",
            '{"tokenizer_class": "BertTokenizer", "do_lower_case": false, "truncation_side": "left"}',
        ),
    ],
)
def test_every_file_of_a_tokenizer_is_in_its_fingerprint(lab: Lab, here: Path, file: str, content: str):
    write_checkpoint(here / "enc", labels=("neg", "pos"), rows=30)
    (here / "enc" / "tokenizer.json").unlink()
    (here / "enc" / "vocab.txt").write_text("\n".join(WORDS) + "\n")
    first = run(lab, here, "--dry-run").field("records")
    (here / "enc" / file).write_text(content)
    second = run(lab, here, "--dry-run")
    assert second.code == 0, second.err
    assert second.field("records") != first


def test_one_vocabulary_is_read_in_one_way(lab: Lab, here: Path):
    student = write_checkpoint(here / "student", labels=("neg", "pos"))
    assert run(lab, here, "--student", student, "--dry-run").code == 0
    tokenizer = json.loads((student / "tokenizer.json").read_text())
    tokenizer["normalizer"]["lowercase"] = False
    (student / "tokenizer.json").write_text(json.dumps(tokenizer))
    change(student / "tokenizer_config.json", do_lower_case=False)
    assert run(lab, here, "--student", student, "--dry-run").code == 0  # no text of the task shows a difference
    (here / "train.csv").write_text((here / "train.csv").read_text().replace("the ", "The "))
    sentence = refused(lab, here, "--student", student)
    assert "have one vocabulary, but their tokenizers read 'The " in sentence


@pytest.mark.parametrize(
    "part", [{"normalizer": None}, {"pre_tokenizer": {"type": "WhitespaceSplit"}}, {"post_processor": None}]
)
def test_a_tokenizer_is_what_its_file_says(lab: Lab, here: Path, part: dict):
    """transformers builds these parts of a BertTokenizer anew, and the file's are lost."""
    (here / "train.csv").write_text((here / "train.csv").read_text().replace("the ", "The."))
    assert run(lab, here, "--dry-run").code == 0
    change_exactly(here / "enc" / "tokenizer.json", part)
    sentence = refused(lab, here)
    assert f"{here}/enc/tokenizer.json reads '" in sentence
    assert "otherwise than the BertTokenizer that transformers makes of it: set" in sentence
    change(here / "enc" / "tokenizer_config.json", tokenizer_class="PreTrainedTokenizerFast")  # as the sentence says
    assert run(lab, here, "--dry-run").code == 0


def change_exactly(file: Path, fields: dict) -> None:
    """As ``change``, with None where it says None."""
    file.write_text(json.dumps({**json.loads(file.read_text()), **fields}))


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "model."])
def test_weights_under_a_wrapper_are_named(lab: Lab, here: Path, prefix: str):
    change_weights(here / "enc", lambda w: {prefix + name: weight for name, weight in w.items()})
    sentence = refused(lab, here)
    assert f"its names are others ({prefix}bert.embeddings" in sentence
    assert "save the model inside with save_pretrained" in sentence


def test_a_chat_template_of_any_kind_is_of_no_concern(lab: Lab, here: Path):
    change(here / "enc" / "tokenizer_config.json", chat_template=[{"name": "../../up", "template": "x"}])
    (here / "enc" / "chat_template.jinja").write_bytes(b"\xff")
    done = run(lab, here)
    assert done.code == 0, done.err


# --- what comes from files is shown, not obeyed -----------------------------------------------------------------------


def test_control_sequences_and_markup_in_labels_are_shown(lab: Lab, here: Path):
    names = {"0": "\x1b[2J\x1b]0;owned\x07neg", "1": "<script>pos"}
    change(here / "enc" / "config.json", id2label=names, label2id=None)
    done = run(lab, here, "--dry-run")
    assert "\x1b" not in done.out + done.err
    assert "its head says \\x1b[2J\\x1b]0;owned\\x07neg, <script>pos" in done.out
    (here / "task.yaml").write_text(TASK.replace("[neg, pos]", "[neg, '<b>|pos']"))
    for name in ("train", "dev"):
        (here / f"{name}.csv").write_text((here / f"{name}.csv").read_text().replace(",pos", ",<b>|pos"))
    assert run(lab, here).code == 0
    (card,) = (here / "out").glob("*/student/README.md")
    assert "&lt;b&gt;&#124;pos" in card.read_text()
    assert "<b>" not in card.read_text()


def test_a_head_of_a_thousand_labels_is_not_printed_whole(lab: Lab, here: Path):
    names = [f"label{i}" for i in range(3000)]
    write_checkpoint(here / "many", labels=tuple(names))
    line = run(lab, here, "--teacher", here / "many", "--dry-run").field("teacher")
    assert "… (3,000 in all)" in line
    assert len(line) < 800


# --- tables and task files --------------------------------------------------------------------------------------------


def read(here: Path, text: str = TASK):
    """The task in a folder, as a run reads it."""
    (here / "task.yaml").write_text(text, encoding="utf-8")
    spec, base = find_task(str(here / "task.yaml"))
    return load_data(spec, Source("files", str(base)), Hub(), None, "holdout", 0.1, 0)


def test_a_text_may_be_a_book(here: Path):
    book = "the " * 50_000
    (here / "train.csv").write_text((here / "train.csv").read_text() + f'"{book}",pos\n')
    assert book in read(here).splits["train"].text + read(here).splits["holdout"].text


def test_lines_may_end_as_on_an_old_macintosh(here: Path):
    whole = read(here).splits["dev"]
    (here / "dev.csv").write_bytes((here / "dev.csv").read_bytes().replace(b"\n", b"\r"))
    assert read(here).splits["dev"] == whole
    (here / "dev.csv").write_bytes((here / "dev.csv").read_bytes().replace(b"\r", b"\r\n"))
    assert read(here).splits["dev"] == whole


def test_labels_are_what_was_written(here: Path):
    for names in (
        ["no", "yes"],
        ["1.0", "2.50"],
        ["007", "0x1F"],
        ["null", "~"],
        ["1e3", "1_000"],
        ["2020-01-02", "on"],
    ):
        for name in ("train", "dev"):
            rows = [f"the {WORDS[9 + i % 16]} {WORDS[9 + i * 3 % 16]},{names[i % 2]}" for i in range(20)]
            (here / f"{name}.csv").write_text("text,label\n" + "\n".join(rows) + "\n")
        spec = read(here, TASK.replace("[neg, pos]", f"[{', '.join(names)}]")).spec
        assert spec.labels == tuple(names)


def test_numbers_as_labels_of_json_are_what_was_written(here: Path):
    for name in ("train", "dev"):
        rows = [f'{{"text": "the {WORDS[9 + i % 16]} {i}", "label": {("1e3", "2.50")[i % 2]}}}' for i in range(20)]
        (here / f"{name}.jsonl").write_text("\n".join(rows) + "\n")
    data = read(here, TASK.replace(".csv", ".jsonl").replace("[neg, pos]", "[1e3, 2.50]"))
    assert data.spec.labels == ("1e3", "2.50")


@pytest.mark.parametrize(("ours", "theirs"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_an_accent_is_one_however_it_was_typed(here: Path, ours: str, theirs: str):
    name = "caf\u00e9"
    for file in ("train", "dev"):
        text = (here / f"{file}.csv").read_text().replace(",pos", f",{unicodedata.normalize(theirs, name)}")
        (here / f"{file}.csv").write_text(text, encoding="utf-8")
    written = unicodedata.normalize(ours, name)
    data = read(
        here, TASK.replace("pos]", f"{written}]") + f"aliases: {{good: {unicodedata.normalize(theirs, name)}}}\n"
    )
    assert data.spec.labels == ("neg", written)
    assert set(data.splits["train"].labels) == {0, 1}


def test_a_label_with_one_example_is_named_with_what_helps(lab: Lab, here: Path):
    (here / "task.yaml").write_text(TASK.replace("[neg, pos]", "[neg, pos, rare]"))
    (here / "train.csv").write_text((here / "train.csv").read_text() + "the dog the dog,rare\n")
    sentence = refused(lab, here)
    assert f"{here}/train.csv: " in sentence
    assert "none of label 'rare', which has 1: set data.selection=dev" in sentence
    assert run(lab, here, "data.selection=dev", "--dry-run").code == 0


def test_a_tsv_that_looks_quoted_is_said_to(lab: Lab, here: Path):
    for name in ("train", "dev"):
        rows = (here / f"{name}.csv").read_text().splitlines()
        lines = ["text\tlabel", *(row.replace(",", "\t") for row in rows[1:]), '"the ""big"" dog"\tpos']
        (here / f"{name}.tsv").write_text("\n".join(lines) + "\n")
    (here / "task.yaml").write_text(TASK.replace(".csv", ".tsv"))
    done = run(lab, here, "--dry-run")
    assert (
        "train.tsv: 1 rows (line 42, for one) have texts that look quoted, and nothing is quoted in a TSV file"
        in done.out
    )


def test_a_spreadsheet_may_separate_by_semicolons(here: Path):
    whole = read(here).splits["dev"]
    (here / "dev.csv").write_text((here / "dev.csv").read_text().replace(",", ";"))
    assert read(here).splits["dev"] == whole


def test_tables_that_never_end_are_refused(lab: Lab, here: Path):
    (here / "train.csv").unlink()
    (here / "train.csv").symlink_to("/dev/zero")
    assert "train.csv is a device or a pipe, not a file" in refused(lab, here)
    (here / "train.csv").unlink()
    os.mkfifo(here / "train.csv")
    assert "train.csv is a device or a pipe, not a file" in refused(lab, here)


@pytest.mark.parametrize("field", ["name", "columns", "description", "score_range"])
def test_aliases_do_not_fill_the_memory(lab: Lab, here: Path, field: str):
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 12)
    )
    (here / "task.yaml").write_text(f"{bomb}{field}: *a11\n{TASK}")
    assert "holds more than 20,000 values" in refused(lab, here)


# --- machines that lack a thing ---------------------------------------------------------------------------------------


def test_a_folder_whose_name_is_no_text_is_refused_before_training(lab: Lab, here: Path):
    out = here / os.fsdecode(b"caf\xe9")
    sentence = refused(lab, here, "--out", out)
    assert "Choose another output folder with --out: the name" in sentence
    assert "caf\\udce9" in sentence
    assert "Set KDLAB_CACHE to another folder" in refused(lab, here, env={"KDLAB_CACHE": str(out)})


def test_a_task_in_a_folder_whose_name_is_no_text_ends_with_a_record(lab: Lab, here: Path):
    folder = here / os.fsdecode(b"caf\xe9")
    folder.mkdir()
    for name in ("task.yaml", "train.csv", "dev.csv"):
        shutil.copy(here / name, folder)
    done = run(lab, here, "--task", folder / "task.yaml")
    assert done.code == 0, done.err
    (record,) = (here / "out").glob("*/metrics.json")
    assert json.loads(record.read_text())["source"]["where"] == str(folder)
    assert lab.run("evaluate", record.parent, "--on", "hans").code == 2  # it reads the record, and then finds no set


def test_no_home_is_a_sentence_and_with_a_cache_no_matter(lab: Lab, here: Path, monkeypatch):
    monkeypatch.setattr("os.path.expanduser", lambda path: path)  # as for a user without an entry in passwd
    bare = {"KDLAB_CACHE": None, "XDG_CACHE_HOME": None, "HOME": None}
    assert (
        refused(lab, here, env=bare) == "There is no home folder here: set KDLAB_CACHE to a folder that can be written."
    )
    assert "There is no home folder here" in lab.run("cache", "ls", env=bare).sentence
    assert run(lab, here, env={"XDG_CACHE_HOME": None, "HOME": None}).code == 0
    monkeypatch.setenv("KDLAB_CACHE", str(here))
    assert default_root() == here


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WANDB_PROJECT", "team/reviews"),
        ("WANDB_BASE_URL", "localhost:8080"),
        ("WANDB_RUN_ID", "a/b"),
        ("WANDB_CONSOLE", "maybe"),
        ("WANDB_INIT_TIMEOUT", "soon"),
    ],
)
@pytest.mark.parametrize("mode", [None, "offline"])
def test_a_variable_that_wandb_refuses_is_said_before_any_training(lab: Lab, here: Path, name: str, value: str, mode):
    env = {"WANDB_MODE": mode, "WANDB_API_KEY": None, name: value}
    sentence = refused(lab, here, "--logger", "wandb", env=env)
    assert sentence.startswith("W&B refuses the run (")
    assert sentence.endswith("or set WANDB_MODE=offline.") is (mode is None)


@pytest.mark.parametrize(("closed", "silent"), [("1", "out"), ("2", "err")])
def test_a_run_without_a_stream_is_quiet(here: Path, closed: str, silent: str):
    env = {**os.environ, "KDLAB_CACHE": str(here / "cache"), "CLOSED": closed}
    done = warm().run(["closed", "0", *map(str, words(here))], env)
    assert done.returncode == 0, done.stderr
    assert not {"out": done.stdout, "err": done.stderr}[silent]
    assert len(list((here / "out").glob("*/metrics.json"))) == 1


def test_sigterm_ends_like_ctrl_c(here: Path):
    env = {**os.environ, "KDLAB_CACHE": str(here / "cache"), "KILL_WITH": "SIGTERM"}
    for point, count, how, code in (
        ("encode", "1", "SIGTERM", 143),
        ("step", "2", "SIGTERM", 143),
        ("predict", "1", "SIGTERM", 143),
        ("predict", "1", "SIGHUP", 129),
    ):
        done = warm().run([point, count, *map(str, words(here))], {**env, "KILL_WITH": how})
        assert done.returncode == code, (point, done.returncode, done.stderr)
        assert done.stderr.splitlines()[-1] == "kdlab: terminated; the same command goes on from the last checkpoint."
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize("mask", [0o022, 0o027, 0o002])
def test_files_are_readable_as_the_umask_says(here: Path, mask: int):
    env = {**os.environ, "KDLAB_CACHE": str(here / "cache"), "UMASK": oct(mask)}
    change_weights(here / "enc", lambda w: {k: v for k, v in w.items() if "classifier" not in k})
    done = warm().run(["umask", "0", *map(str, words(here))], env)
    assert done.returncode == 0, done.stderr
    files = [p for root in ("cache", "out") for p in (here / root).rglob("*") if p.is_file() and ".lock" not in str(p)]
    assert {p.name for p in files} >= {"model.safetensors", "metrics.json", "manifest.json", "ids.npy", "README.md"}
    assert {oct(stat.S_IMODE(p.stat().st_mode)) for p in files} == {oct(0o666 & ~mask)}


def test_a_finished_run_that_lost_a_file_says_so(lab: Lab, here: Path):
    assert run(lab, here).code == 0
    (folder,) = (path.parent for path in (here / "out").glob("*/metrics.json"))
    assert "not whole" not in run(lab, here).err
    lines = (folder / "predictions" / "dev.jsonl").read_bytes()
    (folder / "predictions" / "dev.jsonl").write_bytes(lines[:-20])
    assert "The record is not whole (" in run(lab, here).err
    (folder / "predictions" / "dev.jsonl").write_bytes(lines)
    weights = (folder / "student" / "model.safetensors").read_bytes()
    (folder / "student" / "model.safetensors").write_bytes(weights[:-20])
    done = run(lab, here)
    assert done.code == 0
    assert "model.safetensors is not whole" in done.err
    assert "--fresh makes it again" in done.err
    assert "run it again with --fresh" in lab.run("evaluate", folder, "--on", "imdb").sentence


def test_a_damaged_entry_that_is_a_link_is_made_again(lab: Lab, here: Path):
    assert run(lab, here).code == 0
    entry, *_ = (path for path in (here / "cache" / "logits").iterdir() if path.is_dir())
    shutil.move(entry, here / "elsewhere")
    for target in (here / "elsewhere", here / "nowhere"):
        (here / "elsewhere" / "logits.npy").write_bytes(b"cut")
        entry.symlink_to(target)
        done = run(lab, here, "--fresh")
        assert done.code == 0, done.err
        assert "it is made again" in done.err
        assert not entry.is_symlink()
        shutil.rmtree(entry)
    entry.write_text("a file")
    assert run(lab, here, "--fresh").code == 0


def test_a_working_directory_that_is_gone_is_a_sentence(lab: Lab, tmp_path: Path):
    before = Path.cwd()
    (tmp_path / "gone").mkdir()
    os.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    try:
        assert lab.run("cache", "ls").sentence == "The working directory is gone: change to one that is there."
    finally:
        os.chdir(before)


def test_numbers_beyond_all_use_are_refused(lab: Lab, here: Path):
    assert "kd.temperature=1e+300: no number here goes beyond" in refused(lab, here, "kd.temperature=1e300")
    assert "data.workers=2147483647: it says how many processes, 0 to 256" in refused(
        lab, here, "data.workers=2147483647"
    )


def test_signals_are_put_back(lab: Lab):
    assert lab.run("cache", "ls").code == 0
    assert signal.getsignal(signal.SIGTERM) is not signal.SIG_IGN
