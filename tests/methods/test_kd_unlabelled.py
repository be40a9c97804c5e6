"""``kd`` on rows without labels: the soft loss of all of them, the gold loss of those that have a label."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from ganbert_checks import half_labelled
from helpers import PAIRS, SCORES, tiny_batch, tiny_method, train
from objective_checks import by_hand_ce, by_hand_kl

from kdlab.methods.shared.labelled import gold_loss

LABELLED = torch.tensor([True, False, True, True, False, False])


def mixed(task=PAIRS, labelled=LABELLED):
    return dataclasses.replace(tiny_batch(task=task, logits=True), labelled=labelled)


def test_soft_loss_on_all_rows_and_gold_loss_on_labelled_ones():
    module, batch = tiny_method("kd", alpha=0.3, temperature=2.0), mixed()
    losses, logits = module.compute_loss(batch), module.student.classify(batch)
    ce = by_hand_ce(logits[LABELLED], batch.labels[LABELLED])
    soft = 4 * by_hand_kl(batch.teacher_logits, logits, 2.0)
    torch.testing.assert_close(losses.terms["ce"], ce)
    torch.testing.assert_close(losses.terms["kd"], soft)
    torch.testing.assert_close(losses.total, 0.7 * ce + 0.3 * soft)


def test_scores_too():
    module, batch = tiny_method("kd", task=SCORES), mixed(SCORES)
    gap = module.student.classify(batch).squeeze(-1)[LABELLED] - batch.labels[LABELLED]
    torch.testing.assert_close(module.compute_loss(batch).terms["ce"], gap.square().mean())


def test_what_stands_in_the_place_of_a_missing_label_is_not_read():
    module, batch = tiny_method("kd"), mixed()
    other = dataclasses.replace(batch, labels=torch.where(LABELLED, batch.labels, 1 - batch.labels))
    assert torch.equal(module.compute_loss(batch).total, module.compute_loss(other).total)


@pytest.mark.parametrize("task", [PAIRS, SCORES])
def test_without_a_label_there_is_no_gold_loss(task):
    batch = mixed(task, torch.zeros(6, dtype=torch.bool))
    logits = torch.randn(6, task.num_outputs, requires_grad=True)
    loss = gold_loss(logits, batch, task.regression)
    assert loss.item() == 0
    loss.backward()
    assert not logits.grad.any()
    none = dataclasses.replace(batch, labels=None, labelled=None)
    assert gold_loss(logits, none, task.regression).item() == 0


def test_a_wholly_labelled_batch_is_as_it_was():
    batch, module = tiny_batch(logits=True), tiny_method("kd")
    every = dataclasses.replace(batch, labelled=torch.ones(6, dtype=torch.bool))
    one, other = (module.compute_loss(b).terms["ce"] for b in (batch, every))
    assert torch.equal(one, torch.nn.functional.cross_entropy(module.student.classify(batch), batch.labels))
    torch.testing.assert_close(one, other)


def test_processes_weigh_labelled_rows_as_one_does():
    whole, logits = mixed(), torch.randn(6, 2)
    parts = []
    for rank in (0, 1):
        rows = torch.arange(rank, 6, 2)
        own = dataclasses.replace(whole.take(rows), whole=whole, rows=rows)
        parts.append(gold_loss(logits[rows], own) * own.fraction)
    torch.testing.assert_close(sum(parts), gold_loss(logits, whole))


def test_it_trains_on_both(cache, tmp_path):
    module, data = tiny_method("kd"), half_labelled(cache, 5, 19)
    fitted = train(module, data, tmp_path)
    assert fitted.steps == 2 * 3  # 24 rows in batches of 8
    assert module.rows_of(module.config, data.sizes) == 24
