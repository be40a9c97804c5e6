"""What GAN-BERT's two objectives must satisfy, as functions: proper tests call them, and wrong copies must fail them.

The references are written from the formulas, on the Hugging Face modules: they call nothing of ``kdlab.losses`` and
nothing of ``kdlab.models.heads``.
"""

from __future__ import annotations

import dataclasses

import torch
from helpers import PAIRS, tiny_batch, tiny_examples, tiny_method, tiny_tokenizer, train

from kdlab.data.module import GLUEDataModule
from kdlab.methods.base import PhaseContext
from kdlab.types import Batch

LABELLED = (True, False, True, True, False, False)


def half_labelled(cache, labelled: int = 6, unlabelled: int = 10, batch_size: int = 8, seed: int = 0, task=PAIRS):
    """Tiny data of which some rows have no label."""
    whole = tiny_examples(labelled + unlabelled, task)
    splits = {
        "train": whole.take(range(labelled)),
        "train/unlabelled": dataclasses.replace(whole.take(range(labelled, len(whole))), labels=None),
        "dev": tiny_examples(10, task, seed=1),
    }
    return GLUEDataModule(task, splits, tiny_tokenizer(), "tiny", 32, batch_size, 8, "dev", seed, cache)


def mixed_batch(labelled=LABELLED, labels=(1, 1, 0, 1, 1, 1)) -> Batch:
    """Six rows of which some have no label; what stands in the place of theirs is a label that nobody may use."""
    return dataclasses.replace(tiny_batch(), labels=torch.tensor(labels), labelled=torch.tensor(labelled))


def begun(**settings):
    """The method as a phase begins, without dropout."""
    module = tiny_method("ganbert", **settings).eval()
    module.begin_phase(PhaseContext(seed=3))
    if module.config.game:
        with torch.no_grad():
            for weight in module.generator.parameters():
                weight.mul_(20)  # features as large as real ones
    return module


def drawn(module, batch):
    """The next features of the generator, by hand; the method's generator of random numbers is put back."""
    module.shared_rng = torch.Generator().manual_seed(7)
    noise = torch.rand(len(batch), 100, generator=module.shared_rng)
    module.shared_rng.manual_seed(7)
    g = module.generator
    hidden = noise @ g.inner.weight.T + g.inner.bias
    hidden = torch.where(hidden > 0, hidden, 0.2 * hidden)
    return hidden @ g.outer.weight.T + g.outer.bias


def by_hand_hidden(module, features):
    pooler = module.student.model.bert.pooler.dense
    return torch.tanh(features @ pooler.weight.T + pooler.bias)


def by_hand_probabilities(module, features):
    """Probabilities of [no, yes, UNK?, FAKE] of features ``(B, F)``."""
    hidden, last, more = by_hand_hidden(module, features), module.student.model.classifier, module.further
    logits = torch.cat([hidden @ last.weight.T + last.bias, hidden @ more.weight.T + more.bias], dim=1)
    return logits.exp() / logits.exp().sum(1, keepdim=True)


def by_hand_features(module, batch):
    inputs = {"attention_mask": batch.attention_mask, "token_type_ids": batch.token_type_ids}
    return module.student.model.bert(batch.input_ids, **inputs).last_hidden_state[:, 0]


def check_discriminator():
    """CE of labelled rows over the real classes, and the two parts of the game, example by example."""
    for unknown in (True, False):
        module, batch = begun(unknown=unknown), mixed_batch()
        made = by_hand_probabilities(module, drawn(module, batch))
        losses = module.compute_loss(batch)
        real = by_hand_probabilities(module, by_hand_features(module, batch))
        ce = 0.0
        for i in (0, 2, 3):  # the labelled ones
            ce = ce - (real[i, batch.labels[i]] / real[i, :-1].sum()).log() / 3
        _close(losses.terms["ce"], ce)
        _close(losses.terms["real"], -(1 - real[:, -1]).log().mean())
        _close(losses.terms["fake"], -made[:, -1].log().mean())
        _close(losses.total, ce - (1 - real[:, -1]).log().mean() - made[:, -1].log().mean())
        _close(losses.terms["p_fake_real"], real[:, -1].mean())
        _close(losses.terms["p_fake_made"], made[:, -1].mean())
        _close(losses.terms["log_p_fake_real"], real[:, -1].log().mean())
        _close(losses.terms["log_p_fake_made"], made[:, -1].log().mean())
        right = [int(real[i, :2].argmax() == batch.labels[i]) for i in (0, 2, 3)]
        _close(losses.terms["right_label"], sum(right) / 3)
        told = [*(real[:, -1] < 0.5).tolist(), *(made[:, -1] > 0.5).tolist()]
        _close(losses.terms["right_real"], sum(told) / 12)


def check_unlabelled_rows_teach_no_class():
    """Without labelled rows CE is 0, and so is its gradient; whatever labels are said to be there."""
    for labels in ((0, 0, 0, 0, 0, 0), (1, 1, 1, 1, 1, 1)):
        module, batch = begun(), mixed_batch((False,) * 6, labels)
        drawn(module, batch)
        losses = module.compute_loss(batch)
        assert losses.terms["ce"].item() == 0.0
        assert "right_label" not in losses.terms
        (slope,) = torch.autograd.grad(losses.terms["ce"], module.further.weight, retain_graph=True)
        assert not slope.any()
    first, second = (begun(), begun())
    totals = []
    for module, labels in ((first, (1, 1, 0, 1, 1, 1)), (second, (1, 0, 0, 1, 0, 0))):  # of labelled rows alike
        batch = mixed_batch(labels=labels)
        drawn(module, batch)
        totals.append(module.compute_loss(batch).total)
    assert torch.equal(*totals)


def check_generator():
    """``-log(1 - p_fake + ε)`` of made features, and the squared distance of mean hidden states."""
    for weight in (1.0, 0.3, 0.0):
        module, batch = begun(matching_weight=weight, epsilon=0.01), mixed_batch()
        features = drawn(module, batch)
        losses = module.loss_of("generator", batch)
        p_fake = by_hand_probabilities(module, features)[:, -1]
        fooling = -(1 - p_fake + 0.01).log().mean()
        real = by_hand_hidden(module, by_hand_features(module, batch)).mean(0)
        gap = real - by_hand_hidden(module, features).mean(0)
        _close(losses.terms["fooling"], fooling)
        _close(losses.terms["matching"], (gap**2).sum() / len(gap))
        _close(losses.total, fooling + weight * (gap**2).sum() / len(gap))


def check_gradients_are_apart():
    """L_D has no gradient in the generator, L_G none in the encoder, on features that L_D's step had."""
    module, batch = begun(), mixed_batch()
    drawn(module, batch)
    discriminator = module.loss_of("student", batch)
    generator = module.loss_of("generator", batch)
    discriminator.total.backward()
    assert all(p.grad is None for p in module.generator.parameters()), "L_D reaches the generator"
    assert module.student.word_table.grad.any()
    module.student.zero_grad(set_to_none=True)
    generator.total.backward()
    below = [p for n, p in module.student.named_parameters() if "encoder" in n or "embeddings" in n]
    assert all(p.grad is None for p in below), "L_G reaches the encoder"
    assert all(p.grad.any() for n, p in module.generator.named_parameters() if "weight" in n)


def check_steps_are_apart(cache, folder):
    """In training each player's step moves its own weights, and not one of the other's."""
    module = tiny_method("ganbert", dropout=0.1)
    plain, moved = type(module).step, []
    owners = {"student": (module.student, module.further), "generator": (module.generator,)}

    def weights(player):
        return torch.cat([p.detach().flatten() for part in owners[player] for p in part.parameters()])

    def watched(player, losses):
        before = {name: weights(name) for name in owners}
        plain(module, player, losses)
        moved.append(player)
        for name in owners:
            assert torch.equal(before[name], weights(name)) == (name != player), f"{name} in the {player}'s step"

    module.step = watched
    train(module, half_labelled(cache), folder, epochs=1)
    assert moved == ["student", "generator"] * 2


def check_answer():
    """What is validated are probabilities of the labels alone: those of the head, brought to a sum of 1."""
    for unknown in (True, False):
        module, batch = begun(unknown=unknown), mixed_batch()
        p = by_hand_probabilities(module, by_hand_features(module, batch))[:, :2]
        _close(module.answer(batch).softmax(-1), p / p.sum(1, keepdim=True))
        _close(module.finished_student().classify(batch).softmax(-1), p / p.sum(1, keepdim=True))
        hidden = by_hand_hidden(module, by_hand_features(module, batch))
        _close(module.discriminate(hidden).softmax(-1)[:, :2], p)


def check_repetition(cache):
    """A fifth of the rows stands in train twice, a half and more once, a tenth three times: log2, rounded down."""
    for labelled, unlabelled, times in ((4, 16, 2), (8, 8, 1), (7, 3, 1), (3, 27, 3), (2, 6, 2), (6, 0, 1), (1, 2, 1)):
        module, data = tiny_method("ganbert"), half_labelled(cache, labelled, unlabelled)
        if not unlabelled:
            del data.examples["train/unlabelled"]
        module.begin_epoch(0, data)
        rows = data.training_split
        assert len(rows) == module.rows_of(module.config, data.sizes) == times * labelled + unlabelled
        known = rows.labelled.sum() if rows.labelled is not None else len(rows)
        assert known == times * labelled
        own = data.split("train")
        repeated = [rows.ids[a:b].tolist() for a, b in zip(rows.offsets[:-1], rows.offsets[1:], strict=True)]
        for a, b in zip(own.offsets[:-1], own.offsets[1:], strict=True):
            assert repeated.count(own.ids[a:b].tolist()) >= times


def _close(found, expected):
    torch.testing.assert_close(found, torch.as_tensor(expected, dtype=torch.float32), atol=1e-5, rtol=1e-4)
