"""The teacher: what is decided for it, what its fingerprint depends on, and its clean logits."""

from __future__ import annotations

import dataclasses
import json
import shutil

import numpy as np
import pytest
import torch
from helpers import CPU, PAIRS, save_checkpoint, tiny_batch, tiny_data, tiny_encoder

from kdlab.config.schema import TeacherConfig
from kdlab.errors import KdlabError
from kdlab.methods.base import TrainingConfig
from kdlab.models.checkpoint import Checkpoint
from kdlab.pipeline.teacher import CachedTeacher, LazyTeacher, obtain_teacher
from kdlab.planning.teacher import TeacherQuestion, plan_teacher
from kdlab.system.console import Reporter
from kdlab.system.files import file_digest

TRAINING = TrainingConfig(epochs=1, batch_size=8, learning_rate=1e-3)
OTHER_LABELS = dataclasses.replace(PAIRS, labels=("left", "right"), aliases={})


def plan(cache, folder, training=TRAINING, labels=None, seed=0, domain="target", **changes):
    config = TeacherConfig(**vars(training), labels=labels, seed=seed, domain=domain)
    arguments = {"spec": OTHER_LABELS, "data_fingerprint": "data", "max_length": 32, "arithmetic": "32-true"}
    question = TeacherQuestion(config=config, **{**arguments, **changes})
    return plan_teacher(Checkpoint(folder, "tiny"), question, cache)


def obtain(planned, cache, seed=0):
    data = tiny_data(cache, OTHER_LABELS)
    return obtain_teacher(planned, data, TRAINING, seed, CPU, cache, Reporter(quiet=True))


def changed(folder, to, name) -> str:
    shutil.copytree(folder, to)
    content = bytearray((to / name).read_bytes())
    if name.endswith(".json"):
        content += b"\n"
    else:
        content[-1] ^= 1
    (to / name).write_bytes(bytes(content))
    return to


def test_a_head_with_the_tasks_labels_is_used_as_it_is(cache, checkpoint_folder):
    planned = plan(cache, checkpoint_folder, spec=PAIRS)
    assert (planned.status, planned.order, planned.reason) == ("used as it is", [0, 1], "")
    teacher, batch = obtain(planned, cache), tiny_batch()
    assert torch.equal(teacher.eval().classify(batch), tiny_encoder(layers=4).classify(batch))


@pytest.mark.parametrize("domain", ["source", "both"])
def test_a_head_that_is_used_as_it_is_is_made_of_no_rows(cache, checkpoint_folder, domain):
    with pytest.raises(KdlabError) as error:
        plan(cache, checkpoint_folder, domain=domain, spec=PAIRS)
    assert f"teacher.domain={domain} says which rows a teacher is made of, and " in str(error.value)
    assert "is used as it is: leave teacher.domain out" in str(error.value)
    assert plan(cache, checkpoint_folder, domain=domain).status == "to be fine-tuned"


def test_the_user_states_the_order_of_nameless_labels(cache, tmp_path):
    unnamed = dataclasses.replace(PAIRS, labels=("LABEL_0", "LABEL_1"))
    folder = save_checkpoint(tiny_encoder(task=unnamed), tmp_path / "c")
    planned = plan(cache, folder)
    assert planned.status == "to be fine-tuned"
    assert planned.reason.startswith("its head says LABEL_0, LABEL_1, not left, right")
    assert "teacher.labels=[…]" in planned.reason
    stated = [plan(cache, folder, labels=labels) for labels in (["left", "right"], ["right", "left"])]
    assert [(p.status, p.order) for p in stated] == [("used as it is", [0, 1]), ("used as it is", [1, 0])]
    assert stated[0].key != stated[1].key


@pytest.mark.parametrize("labels", [["left"], ["left", "right", "up"]])
def test_stated_labels_must_be_as_many_as_the_outputs(cache, checkpoint_folder, labels):
    with pytest.raises(KdlabError, match=rf"teacher\.labels states {len(labels)} .* tiny has 2 outputs"):
        plan(cache, checkpoint_folder, labels=labels)


def test_it_is_fine_tuned_once_and_then_found(cache, checkpoint_folder):
    planned, batch = plan(cache, checkpoint_folder), tiny_batch()
    assert planned.status == "to be fine-tuned"
    teacher = obtain(planned, cache)
    entry = cache.find("teacher", planned.key)
    assert sorted(p.name for p in entry.iterdir()) == [
        "config.json",
        "fitted.json",
        "history",
        "manifest.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    ]
    fitted = json.loads((entry / "fitted.json").read_text())
    assert fitted["metric"] == "val/accuracy"
    assert fitted["steps"] == 2
    written = (entry / "model.safetensors").stat().st_mtime_ns
    again = plan(cache, checkpoint_folder)
    assert (again.status, again.key) == ("found in the cache", planned.key)
    assert torch.equal(obtain(again, cache).classify(batch), teacher.classify(batch))
    assert (entry / "model.safetensors").stat().st_mtime_ns == written
    start = tiny_encoder(layers=4).model.bert.encoder.layer[0].output.dense.weight
    assert not torch.equal(teacher.model.bert.encoder.layer[0].output.dense.weight, start)


def test_a_damaged_teacher_is_made_again_and_is_the_same(cache, checkpoint_folder):
    planned, batch = plan(cache, checkpoint_folder), tiny_batch()
    before = obtain(planned, cache).classify(batch)
    file = cache.find("teacher", planned.key) / "model.safetensors"
    content = bytearray(file.read_bytes())
    content[-9] ^= 1
    file.write_bytes(bytes(content))
    assert plan(cache, checkpoint_folder).status == "to be fine-tuned"
    assert torch.equal(obtain(planned, cache).classify(batch), before)
    assert "damaged" in cache.said[0]


def test_the_fingerprint_changes_with_everything_that_shapes_a_teacher(cache, checkpoint_folder, tmp_path):
    plans = {
        "as it was": plan(cache, checkpoint_folder),
        "weights": plan(cache, changed(checkpoint_folder, tmp_path / "a", "model.safetensors")),
        "tokenizer": plan(cache, changed(checkpoint_folder, tmp_path / "b", "tokenizer.json")),
        "data": plan(cache, checkpoint_folder, data_fingerprint="other"),
        "seed": plan(cache, checkpoint_folder, seed=1),
        "max_length": plan(cache, checkpoint_folder, max_length=16),
        "arithmetic": plan(cache, checkpoint_folder, arithmetic="bf16-mixed"),
    }
    for field in ("epochs", "max_steps", "batch_size", "learning_rate", "weight_decay", "warmup", "clip", "accumulate"):
        value = getattr(TRAINING, field) * 2 + 2
        plans[field] = plan(cache, checkpoint_folder, training=dataclasses.replace(TRAINING, **{field: value}))
    assert len({p.key for p in plans.values()}) == len(plans)
    assert plan(cache, checkpoint_folder).key == plans["as it was"].key
    assert plan(cache, changed(checkpoint_folder, tmp_path / "c", "config.json")).key != plans["as it was"].key


def asked(teacher, key, size, cache, outputs=2) -> CachedTeacher:
    return CachedTeacher(LazyTeacher(lambda: teacher, key, outputs), size, CPU, cache, "tiny")


def test_clean_answers_are_the_teachers_in_the_splits_order(cache):
    teacher, data = tiny_encoder(dropout=0.5, seed=3).train(), tiny_data(cache)
    split = data.split("train")
    found = asked(teacher, "a teacher", 5, cache)(split)
    direct = torch.cat([teacher.eval().classify(split.collate([i])) for i in range(16)]).detach()
    assert found.dtype == np.float32
    torch.testing.assert_close(torch.from_numpy(np.array(found)), direct, atol=1e-5, rtol=0)
    assert torch.equal(asked(None, "a teacher", 5, cache).prediction(split).logits, torch.from_numpy(np.array(found)))
    data.hand_out_logits(asked(teacher, "a teacher", 5, cache))
    for batch in data.train_dataloader():
        torch.testing.assert_close(batch.soft_labels(), direct[batch.index], atol=1e-5, rtol=0)


def test_answers_are_computed_once_and_two_teachers_never_share(cache):
    data, loads = tiny_data(cache), []

    def teacher(key):
        loads.append(key)
        return tiny_encoder(seed=int(key))

    def answers(key, split):
        source = CachedTeacher(LazyTeacher(lambda: teacher(key), key, 2), 16, CPU, cache, "tiny")
        return source.prediction(split), source.made

    split = data.split("train")
    first = {key: answers(key, split) for key in ("1", "2")}
    assert loads == ["1", "2"]
    assert (first["1"][0].logits - first["2"][0].logits).abs().max() > 1e-2
    again, made = answers("1", split)
    assert torch.equal(again.logits, first["1"][0].logits)
    assert (loads, made, first["1"][1]) == (["1", "2"], set(), {split.fingerprint})
    answers("1", tiny_data(cache, train=12).split("train"))
    assert loads == ["1", "2", "1"]


def test_answers_keep_what_they_cost_on_the_same_hardware(cache):
    split = tiny_data(cache).split("train")
    made = asked(tiny_encoder(), "t", 16, cache).prediction(split)
    assert 0 < made.cost.seconds < 60
    assert 0 < made.cost.cpu_seconds < 60
    assert asked(None, "t", 16, cache).prediction(split).cost == made.cost
    elsewhere = dataclasses.replace(CPU, precision="bf16-mixed")
    source = CachedTeacher(LazyTeacher(lambda: None, "t", 2), 16, elsewhere, cache, "tiny")
    there = source.prediction(split)
    assert torch.equal(there.logits, made.logits)
    assert np.isnan(there.cost.seconds)
    assert np.isnan(there.samples_per_second)


def cut_short(folder):
    np.save(folder / "logits.npy", np.zeros((3, 2), np.float32))


def of_another_head(folder):
    np.save(folder / "logits.npy", np.zeros((16, 3), np.float32))


def without_its_cost(folder):
    (folder / "cost.json").write_text("{}")


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (cut_short, "it holds (3, 2) numbers where 16 × 2 belong"),
        (of_another_head, "it holds (16, 3) numbers where 16 × 2 belong"),
        (without_its_cost, "hardware"),
    ],
)
def test_answers_that_do_not_fit_their_split_are_made_anew_and_it_is_said(cache, spoil, reason):
    split = tiny_data(cache).split("train")
    before = asked(tiny_encoder(), "t", 16, cache).prediction(split).logits
    (folder,) = (f for f in (cache.root / "logits").iterdir() if f.is_dir())
    spoil(folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"] = {name: file_digest(folder / name) for name in manifest["files"]}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    source = asked(tiny_encoder(), "t", 16, cache)
    assert torch.equal(source.prediction(split).logits, before)
    assert source.made == {split.fingerprint}
    assert reason in cache.said[0]
    assert cache.said[0].endswith("it is made again.")


def test_one_seed_makes_one_teacher_and_another_another(cache, checkpoint_folder, tmp_path):
    from kdlab.system.cache import Cache

    batch, answers = tiny_batch(), []
    for i, seed in enumerate((0, 0, 1)):
        own = Cache(tmp_path / str(i))
        torch.manual_seed(i)
        answers.append(obtain(plan(own, checkpoint_folder, seed=seed), own, seed).classify(batch))
    assert torch.equal(answers[0], answers[1])
    assert not torch.equal(answers[0], answers[2])


def test_a_head_of_other_labels_is_never_taken(cache, checkpoint_folder):
    assert Checkpoint(checkpoint_folder, "").head_labels == PAIRS.labels
    assert plan(cache, checkpoint_folder).order is None
