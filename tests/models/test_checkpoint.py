"""Checkpoints: what is refused, how heads are matched by label name, and what is loaded."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
from helpers import PAIRS, SCORES, save_checkpoint, tiny_batch, tiny_encoder
from safetensors.torch import load_file, save_file

from kdlab.errors import KdlabError
from kdlab.models import checkpoint as module
from kdlab.models.checkpoint import Checkpoint, head_order, load_encoder, resolve_checkpoint

LABELS, ALIASES = PAIRS.labels, PAIRS.aliases


def copied(folder, to) -> Checkpoint:
    shutil.copytree(folder, to)
    return Checkpoint(to, str(to))


def renamed(folder, to, names) -> Checkpoint:
    """A copy with these names for the head's outputs, and a row of weights for each."""
    copy = copied(folder, to)
    weights = load_file(to / "model.safetensors")
    for name in ("classifier.weight", "classifier.bias"):
        rows = weights[name]
        weights[name] = torch.cat([rows, rows])[: len(names)].clone()
    save_file(weights, to / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((to / "config.json").read_text())
    config["id2label"] = {str(i): name for i, name in enumerate(names)}
    config.pop("problem_type")
    config["label2id"] = {name: i for i, name in enumerate(names)}
    (to / "config.json").write_text(json.dumps(config))
    return copy


def headless(folder, to) -> Checkpoint:
    copy = copied(folder, to)
    state = {k: v for k, v in load_file(to / "model.safetensors").items() if not k.startswith("classifier")}
    save_file(state, to / "model.safetensors", metadata={"format": "pt"})
    return copy


def test_a_folder_is_taken_and_its_tokenizer_writes_pairs(checkpoint_folder):
    checkpoint = resolve_checkpoint(str(checkpoint_folder), offline=True)
    assert checkpoint.has_head
    assert checkpoint.head_labels == ("no", "yes")
    encoded = checkpoint.tokenizer("ba be", "bi", return_token_type_ids=True)
    assert encoded["input_ids"] == [2, 5, 6, 3, 7, 3]
    assert encoded["token_type_ids"] == [0, 0, 0, 0, 1, 1]


@pytest.mark.parametrize("source", ["/no/such/folder", "./missing", "~/nowhere", "a/b/c"])
def test_a_folder_that_is_not_there_is_named(source):
    with pytest.raises(KdlabError, match="There is no folder"):
        resolve_checkpoint(source, offline=True)


def test_a_name_that_the_hub_alone_knows_is_refused_offline(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(KdlabError, match="neither a folder nor in the hub's cache"):
        resolve_checkpoint("nobody/such-model", offline=True)


def test_pickled_weights_are_never_read(checkpoint_folder, tmp_path):
    folder = copied(checkpoint_folder, tmp_path / "c").folder
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(KdlabError, match="loads no pickles"):
        resolve_checkpoint(str(folder), offline=True)


def test_a_folder_without_configuration_is_refused(checkpoint_folder, tmp_path):
    folder = copied(checkpoint_folder, tmp_path / "c").folder
    (folder / "config.json").unlink()
    with pytest.raises(KdlabError, match=r"no config\.json"):
        resolve_checkpoint(str(folder), offline=True)


@pytest.mark.parametrize("damage", [lambda b: b[: len(b) // 2], lambda b: b"\xff" * 64 + b[64:], lambda b: b""])
def test_damaged_weights_are_named(checkpoint_folder, tmp_path, damage):
    checkpoint = copied(checkpoint_folder, tmp_path / "c")
    file = checkpoint.folder / "model.safetensors"
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(KdlabError, match=r"model\.safetensors can't be read .* damaged"):
        _ = checkpoint.weight_names


def test_an_architecture_that_kdlab_does_not_drive_is_named(checkpoint_folder, tmp_path):
    checkpoint = copied(checkpoint_folder, tmp_path / "c")
    (checkpoint.folder / "config.json").write_text(json.dumps({"model_type": "gpt2"}))
    with pytest.raises(KdlabError, match="architecture 'gpt2'"):
        _ = checkpoint.config


def test_a_folder_without_tokenizer_is_refused(checkpoint_folder, tmp_path):
    checkpoint = copied(checkpoint_folder, tmp_path / "c")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (checkpoint.folder / name).unlink()
    with pytest.raises(KdlabError, match=r"no tokenizer that loads|no vocabulary"):
        _ = checkpoint.tokenizer


def test_fingerprints_change_with_one_byte(checkpoint_folder, tmp_path):
    one, other = copied(checkpoint_folder, tmp_path / "a"), copied(checkpoint_folder, tmp_path / "b")
    assert one.weights_fingerprint == other.weights_fingerprint
    assert one.tokenizer_fingerprint == other.tokenizer_fingerprint
    file = tmp_path / "c"
    changed = copied(checkpoint_folder, file)
    content = bytearray((file / "model.safetensors").read_bytes())
    content[-1] ^= 1
    (file / "model.safetensors").write_bytes(bytes(content))
    assert changed.weights_fingerprint != one.weights_fingerprint
    assert changed.tokenizer_fingerprint == one.tokenizer_fingerprint


@pytest.mark.parametrize(
    ("names", "order"),
    [
        (["no", "yes"], [0, 1]),
        (["yes", "no"], [1, 0]),
        (["YES", " No"], [1, 0]),
        (["yes", "nope"], [1, 0]),  # an alias
        (["1", "no"], [1, 0]),  # an alias that is a number
        (["LABEL_0", "LABEL_1"], None),
        (["no", "maybe"], None),
        (["no", "no"], None),
        (["no", "yes", "maybe"], None),
    ],
)
def test_heads_are_matched_by_label_name(checkpoint_folder, tmp_path, names, order):
    assert head_order(renamed(checkpoint_folder, tmp_path / "c", names), LABELS, ALIASES) == order


def test_three_labels_in_another_order(checkpoint_folder, tmp_path):
    names = ["contradiction", "entailment", "neutral"]  # as some published MNLI models have them
    checkpoint = renamed(checkpoint_folder, tmp_path / "c", names)
    assert head_order(checkpoint, ("entailment", "neutral", "contradiction"), {}) == [1, 2, 0]


def test_a_score_takes_a_head_of_one_output_alone(checkpoint_folder, tmp_path):
    assert head_order(renamed(checkpoint_folder, tmp_path / "a", ["score"]), (), {}) == [0]
    # one output of unknown meaning may be a score of another scale
    assert head_order(renamed(checkpoint_folder, tmp_path / "b", ["LABEL_0"]), (), {}) is None
    assert head_order(Checkpoint(checkpoint_folder, ""), (), {}) is None


def test_a_checkpoint_without_a_head_has_no_order(checkpoint_folder, tmp_path):
    checkpoint = headless(checkpoint_folder, tmp_path / "c")
    assert not checkpoint.has_head
    assert head_order(checkpoint, LABELS, ALIASES) is None


@pytest.mark.parametrize("family", ["bert", "roberta", "distilbert"])
def test_rows_of_the_head_come_in_the_tasks_order(tmp_path, family):
    encoder, batch = tiny_encoder(family), tiny_batch()
    checkpoint = Checkpoint(save_checkpoint(encoder, tmp_path / family), "")
    as_it_is = load_encoder(checkpoint, LABELS, [0, 1], 0).eval()
    assert torch.equal(as_it_is.classify(batch), encoder.classify(batch))
    turned = load_encoder(checkpoint, LABELS, [1, 0], 0).eval()
    assert torch.equal(turned.classify(batch), encoder.classify(batch)[:, [1, 0]])
    assert turned.config.id2label == {0: "no", 1: "yes"}


def test_three_rows_are_permuted_as_the_order_says(tmp_path):
    spec = type(PAIRS)(name="three", text="a", labels=("x", "y", "z"))
    encoder, batch = tiny_encoder(task=spec), tiny_batch()
    checkpoint = Checkpoint(save_checkpoint(encoder, tmp_path / "c"), "")
    turned = load_encoder(checkpoint, ("z", "x", "y"), head_order(checkpoint, ("z", "x", "y"), {}), 0).eval()
    assert torch.equal(turned.classify(batch), encoder.classify(batch)[:, [2, 0, 1]])


@pytest.mark.parametrize("start", ["headless", "another task's head"])
def test_a_new_head_is_a_function_of_the_seed_alone(checkpoint_folder, tmp_path, start):
    checkpoint = copied(checkpoint_folder, tmp_path / "c")
    if start == "headless":
        checkpoint = headless(checkpoint_folder, tmp_path / "d")
    heads = []
    for seed, state in ((3, 0), (3, 99), (4, 0)):
        torch.manual_seed(state)
        before = torch.get_rng_state()
        model = load_encoder(checkpoint, LABELS, None, seed).model
        assert torch.equal(torch.get_rng_state(), before)
        assert torch.equal(model.bert.embeddings.word_embeddings.weight[5:], _words(checkpoint)[5:])
        heads.append(model.classifier.weight)
        assert not model.classifier.bias.any()
    assert torch.equal(heads[0], heads[1])
    assert not torch.equal(heads[0], heads[2])


def _words(checkpoint):
    return load_file(checkpoint.folder / "model.safetensors")["bert.embeddings.word_embeddings.weight"]


def test_a_new_head_has_the_tasks_width(checkpoint_folder):
    checkpoint = Checkpoint(checkpoint_folder, "")
    assert load_encoder(checkpoint, SCORES.labels, None, 0).num_outputs == 1
    three = load_encoder(checkpoint, ("a", "b", "c"), None, 0)
    assert three.classify(tiny_batch()).shape == (6, 3)
    assert not torch.equal(three.model.classifier.weight[:2], _head(checkpoint))


def _head(checkpoint):
    return load_file(checkpoint.folder / "model.safetensors")["classifier.weight"]


def test_an_order_that_does_not_fit_is_refused(checkpoint_folder):
    with pytest.raises(ValueError, match="does not fit"):
        load_encoder(Checkpoint(checkpoint_folder, ""), LABELS, [0, 1, 2], 0)


def test_half_precision_on_disk_is_single_in_memory(tmp_path):
    encoder = tiny_encoder()
    encoder.model.half()
    checkpoint = Checkpoint(save_checkpoint(encoder, tmp_path / "c"), "")
    assert load_file(tmp_path / "c" / "model.safetensors")["classifier.weight"].dtype == torch.float16
    loaded = load_encoder(checkpoint, LABELS, [0, 1], 0)
    assert all(p.dtype == torch.float32 for p in loaded.parameters())
    assert torch.equal(loaded.model.classifier.weight, encoder.model.classifier.weight.float())


def test_the_embedded_encoder_loads_in_single_precision_with_a_new_head():
    checkpoint = resolve_checkpoint("embedded", offline=True)
    assert not checkpoint.has_head
    encoder = load_encoder(checkpoint, ("a", "b", "c"), None, 0)
    assert all(p.dtype == torch.float32 and p.isfinite().all() for p in encoder.parameters())
    assert encoder.num_outputs == 3


def test_how_weights_fit_is_found_out_once_for_each_content(checkpoint_folder, tmp_path, monkeypatch):
    (tmp_path / "cache").mkdir()
    monkeypatch.setenv("KDLAB_CACHE", str(tmp_path / "cache"))
    folder, reads = tmp_path / "copy", []
    shutil.copytree(checkpoint_folder, folder)
    read = module.read_weights
    monkeypatch.setattr(module, "read_weights", lambda files: reads.append(files) or read(files))
    found = [Checkpoint(folder, "a").fit for _ in range(3)]
    assert found[0] == found[1] == found[2] == Checkpoint(checkpoint_folder, "b").fit
    assert len(reads) == 1
    weights = load_file(folder / "model.safetensors")
    weights["classifier.weight"][0, 0] = float("nan")
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    for _ in range(2):
        with pytest.raises(KdlabError, match="hold NaN or infinity"):
            _ = Checkpoint(folder, "a").fit
    assert len(reads) == 3
