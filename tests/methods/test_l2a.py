"""L2A: its formula, its reward and its selector's steps; what it refuses; what its record says."""

from __future__ import annotations

import csv
import dataclasses

import numpy as np
import pytest
import torch
from cli_fixtures import Lab, metrics, write_checkpoint, write_rte
from helpers import SCORES, tiny_batch, tiny_examples, tiny_method, train, two_domains
from hidden_checks import check_l2a
from selector_checks import begun, check_reward, check_selector_steps

import kdlab.methods.l2a
from kdlab.augmentation.base import Source
from kdlab.augmentation.filling import replaced
from kdlab.data.tasks import SOURCE_ROWS
from kdlab.errors import KdlabError
from kdlab.methods.l2a import L2A, L2AConfig
from kdlab.methods.shared.candidates import Pool
from kdlab.transformations.words import Words


def test_l2a_is_its_formula(monkeypatch):
    check_l2a(monkeypatch)


def test_l2a_is_rewarded_by_what_a_step_adds(monkeypatch):
    check_reward(monkeypatch)


def test_the_selector_steps_behind_each_epoch(monkeypatch):
    check_selector_steps(monkeypatch)


def history(folder):
    with (folder / "history" / "metrics.csv").open() as f:
        return list(csv.DictReader(f))


def test_the_pool_has_as_many_candidates_of_each_domain_as_asked(cache, tmp_path):
    module, data = tiny_method("l2a", samples=3, source_samples=1), two_domains(cache)
    assert module.rows_of(module.config, data.sizes) == 8 * 3 + 16
    train(module, data, tmp_path)
    assert module.pool.origin.tolist() == [i for i in range(8) for _ in range(3)] + list(range(8, 24))
    assert module.pool.split.domain.tolist() == [0] * 24 + [1] * 16
    rows = [row for row in history(tmp_path) if row["train/loss"]]
    assert any(row["train/kept_source"] for row in rows)
    assert all(0 <= float(row["train/kept"]) <= 1 and 0 <= float(row["train/edited"]) <= 1 for row in rows)
    assert any(float(row["train/reward"]) for row in rows)
    behind = [row for row in history(tmp_path) if row["train/entropy"]]
    assert len(behind) == 2
    assert 1 <= float(behind[0]["train/effective_samples"]) <= 3


def test_a_seed_has_a_pool_of_its_own_and_keeps_it(cache, tmp_path):
    texts = {}
    for seed in (0, 1, 0):
        module = tiny_method("l2a", samples=3)
        train(module, two_domains(cache), tmp_path / f"{seed}{len(texts)}", seed=seed)
        assert texts.setdefault(seed, module.pool.texts) == module.pool.texts
    assert texts[0] != texts[1]
    assert len(list((cache.root / "pool").glob("[!.]*"))) == 2


def test_candidates_learn_from_the_teacher_alone(cache, tmp_path):
    ends = []
    for flip in (False, True):
        data = two_domains(cache)
        if flip:
            examples = data.examples["train"]
            labels = tuple(1 - label for label in examples.labels)
            data.examples["train"] = dataclasses.replace(examples, labels=labels)
        module = tiny_method("l2a", samples=2, selector="all")
        train(module, data, tmp_path / str(flip))
        ends.append({k: v.clone() for k, v in module.student.state_dict().items()})
    assert all(torch.equal(v, ends[1][k]) for k, v in ends[0].items())


@pytest.mark.parametrize(("rate", "low", "high"), [(0.25, 0.1, 0.4), (1.0, 1.0, 1.0)])
def test_a_random_selector_keeps_by_chance(rate, low, high, cache, tmp_path):
    module = tiny_method("l2a", samples=4, selector="random", keep_rate=rate)
    assert module.players_of(module.config) == ("student",)
    config = L2AConfig(selector="random", reward="validation")
    assert module.splits_of(config) == {}  # none is carved, so other selectors have the same rows
    train(module, two_domains(cache), tmp_path, epochs=4)
    kept = [float(row["train/kept"]) for row in history(tmp_path) if row["train/loss"]]
    assert low <= sum(kept) / len(kept) <= high
    assert module.findings(two_domains(cache)) == {}


@pytest.mark.parametrize(
    "words",
    [("l2a.selector=all", "l2a.dark_weight=0"), ("l2a.selector=random", "l2a.keep_rate=.05", "training.batch_size=4")],
    ids=["no soft labels", "processes without candidates"],
)
def test_two_processes_without_a_learning_selector_end(words, tmp_path):
    lab = Lab(tmp_path)
    write_checkpoint(lab.teacher)
    write_rte(lab.data / "RTE", train=33, dev=10)
    run = ("l2a.samples=1", "l2a.head_steps=3", "training.epochs=1", *words)
    one, two = (metrics(lab.run_on(devices, "l2a", *run)) for devices in (1, 2))
    assert one["training"]["steps"] == two["training"]["steps"]
    assert two["student"]["metrics"]["dev"]["accuracy"] == pytest.approx(
        one["student"]["metrics"]["dev"]["accuracy"], abs=0.11
    )


def test_of_a_batch_one_candidate_is_kept_at_least():
    module = begun(selector="learned")
    batch = tiny_batch(logits=True)
    with torch.no_grad():
        module.selector.keep.bias.fill_(-30.0)
    kept = module._keep(batch, torch.zeros(6, 2))
    assert int(kept.sum()) == 1
    assert module.episode.actions[0].equal(kept.float())  # the selector answers for what was done


def test_the_pool_is_drawn_anew_from_a_generator_that_learns(cache, tmp_path):
    pools = []

    class Watched(L2A):
        def begin_epoch(self, epoch, data):
            super().begin_epoch(epoch, data)
            pools.append([*self.pool.texts])

    module = tiny_method(Watched, samples=3, sample_from="generator", generator_learning_rate=1e-2, head_steps=3)
    before = {k: v.clone() for k, v in module._masked_lm[0].state_dict().items()}
    start = {k: v.clone() for k, v in module.generator.state_dict().items()}
    train(module, two_domains(cache), tmp_path, epochs=3)
    assert len(pools) == 3
    assert pools[0] != pools[1] != pools[2]
    assert all(torch.equal(v, before[k]) for k, v in module._masked_lm[0].state_dict().items())  # P_s stays
    assert not all(torch.equal(v, start[k]) for k, v in module.generator.state_dict().items())
    assert all(row["train/generator_loss"] for row in history(tmp_path) if row["train/entropy"])


class StoppedError(Exception):
    """What ends a training below."""


@pytest.mark.parametrize("stop", [3, 8], ids=["first epoch", "second epoch"])
def test_a_training_with_a_generator_goes_on_with_the_pool_that_it_had(stop, cache, tmp_path):
    settings = {"samples": 3, "sample_from": "generator", "generator_learning_rate": 1e-2}
    whole = tiny_method("l2a", dropout=0.1, **settings)
    end = train(whole, two_domains(cache), tmp_path / "whole")
    stopped, begun_steps = tiny_method("l2a", dropout=0.1, **settings), [0]

    def step_and_stop(*arguments):
        begun_steps[0] += 1
        if begun_steps[0] == stop:
            raise StoppedError
        type(stopped).on_train_batch_start(stopped, *arguments)

    stopped.on_train_batch_start = step_and_stop
    with pytest.raises(StoppedError):
        train(stopped, two_domains(cache), tmp_path / "stopped", checkpoint_every=0.0)
    again = tiny_method("l2a", dropout=0.1, **settings)
    fitted = train(again, two_domains(cache), tmp_path / "stopped", checkpoint_every=0.0)
    assert (fitted.value, fitted.steps) == (end.value, end.steps)
    assert again.pool.texts == whole.pool.texts
    wanted = whole.state_dict()
    assert all(torch.equal(v, wanted[k]) for k, v in again.state_dict().items())


def test_the_generator_comes_to_write_what_counts():
    """Candidates of one row, of which one word counts: its probability rises."""
    module = begun(sample_from="generator", selector="learned")
    writer, rows = module.generator, tiny_examples(1)
    source = Source(0, (rows.text[0], rows.text_pair[0]), (0, 1))
    words = {side: Words(text) for side, text in enumerate(source.texts)}
    made = [replaced(source, words, {(0, 0): word}) for word in ("sa", "so")]
    nothing = np.zeros(2)
    pool = Pool(None, [m.texts for m in made], [m.edits for m in made], np.zeros(2, np.int64), nothing, nothing)
    places = writer.places_of(pool, rows, torch.tensor([0.9, 0.1]), 32)
    assert len(places) == 1
    assert places[0].weights == pytest.approx([0.9, 0.1])
    optimizer, losses = torch.optim.Adam(writer.parameters(), 1e-2), []
    for _ in range(60):
        optimizer.zero_grad()
        loss = writer.loss(places)
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    entropy = -(0.9 * np.log(0.9) + 0.1 * np.log(0.1))
    assert losses[-1] < losses[0]
    assert losses[-1] == pytest.approx(entropy, abs=0.05)  # the distribution is that of the weights


def test_the_record_shows_the_selector_behind_the_last_epoch(cache, tmp_path, monkeypatch):
    """Not the one beside the student that is chosen, which knew less."""
    module, data, ends, shown = tiny_method("l2a", samples=3, selector_learning_rate=1e-2), two_domains(cache), [], []
    module.on_train_end = lambda: ends.append(module.selector.keep.weight.clone())
    fitted = train(module, data, tmp_path, epochs=3)
    monkeypatch.setattr(kdlab.methods.l2a, "candidate_table", lambda selector, *_: shown.append(selector) or "")
    assert module.findings(data) == {"candidates.md": ""}
    assert torch.equal(shown[0].keep.weight, ends[0])
    assert fitted.epoch == 3 or not torch.equal(module.selector.keep.weight, ends[0])


def test_regression_is_rewarded_by_correlation(cache, tmp_path):
    module = tiny_method("l2a", task=SCORES)
    train(module, two_domains(cache, SCORES), tmp_path)
    assert any(float(row["train/reward"] or 0) for row in history(tmp_path))


def test_a_loss_that_falls_is_a_reward(cache, tmp_path):
    """Nearly every step moves the loss, where few tip an answer over."""
    moved, steps = {}, {}
    for by in ("metric", "loss"):
        train(tiny_method("l2a", samples=3, reward_by=by), two_domains(cache), tmp_path / by)
        rewards = [row["train/reward"] for row in history(tmp_path / by) if row["train/loss"]]
        moved[by], steps[by] = sum(float(reward) != 0 for reward in rewards), len(rewards)
    assert moved["loss"] == steps["loss"] == steps["metric"]
    assert moved["metric"] < moved["loss"]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"samples": 0, "source_samples": 0}, ["samples and source_samples are both 0"]),
        ({"samples": -1}, ["l2a.samples is -1"]),
        ({"edit_prior": "uniform"}, ["edit_prior", "binomial"]),
        ({"selector": "random", "keep_rate": 0.0}, ["keep_rate=0 keeps no candidate"]),
        ({"reward": "dev"}, ["l2a.reward", "validation"]),
        ({"reward_by": "gain"}, ["l2a.reward_by", "metric", "loss"]),
        ({"reward_fraction": 1.0}, ["reward_fraction is 1.0"]),
        ({"sample_from": "generator", "selector": "all"}, ["sample_from=generator learns from the selector"]),
        ({"attention_weight": 0, "hidden_weight": 0, "dark_weight": 0}, ["all three losses have weight 0"]),
        ({"discount": 1.5}, ["l2a.discount is 1.5"]),
        ({"weights": "even"}, ["l2a.weights"]),
    ],
)
def test_settings_that_make_no_sense(settings, words):
    with pytest.raises(KdlabError) as error:
        L2AConfig(**settings).validate()
    assert all(word in str(error.value) for word in words), str(error.value)


def test_a_pool_of_nothing_is_refused():
    with pytest.raises(KdlabError, match=r"the pool would be empty, for l2a\.samples=0 and there are 40 such rows"):
        L2A.rows_of(L2AConfig(samples=0), {"train": 40})
    assert L2A.rows_of(L2AConfig(samples=0), {"train": 40, SOURCE_ROWS: 30}) == 30
    assert L2A.rows_of(L2AConfig(), {"train": 40, SOURCE_ROWS: 30}) == 230
    with pytest.raises(KdlabError, match=r"l2a\.source_samples=0 and there are 40"):
        L2A.rows_of(L2AConfig(source_samples=0), {"train": 40, SOURCE_ROWS: 40})
