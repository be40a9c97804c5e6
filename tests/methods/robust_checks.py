"""What ``robust`` must do, checked by hand; each check is run on the library and on wrong copies of it."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import torch
from helpers import PAIRS, tiny_batch, tiny_data, tiny_examples, tiny_method

from kdlab.data.examples import joined
from kdlab.methods.base import PhaseContext
from kdlab.methods.shared.attacked import Attacked
from kdlab.methods.shared.randomness import seed_step

NEW, OWN = 6, 16


def data_with(cache, new: int = NEW, task=PAIRS, seed: int = 0):
    """Tiny data, ``new`` of whose training rows were made of others."""
    data = tiny_data(cache, task, train=OWN, seed=seed)
    more = tiny_examples(new, task, seed=7)
    more = dataclasses.replace(more, ids=tuple(-1 - i for i in range(new)), augmented=(True,) * new)
    if new:
        data.examples["train"] = joined(data.examples["train"], more)
    return data


def begun(data, phase: int = -1, epoch: int = 0, module=None, seed: int = 0, dropout: float = 0.0, **settings):
    """A method that has put an epoch's rows together."""
    module = module or tiny_method("robust", dropout=dropout, **settings)
    if module.config.alpha:
        data.hand_out_logits(lambda split: teachers(module, split))
    module.begin_phase(PhaseContext(module.phases()[phase], seed=seed, data=data, total_steps=9))
    module.start_epoch(epoch, data)
    return module


def teachers(module, split) -> np.ndarray:
    """What a teacher says of clean rows: the module's own, or for one without it what another encoder says."""
    encoder = module.teacher or tiny_method("mixkd").teacher
    with torch.no_grad():
        return encoder.classify(split.collate(range(len(split)))).numpy()


def rows(split) -> list[tuple[tuple[int, ...], float]]:
    """Ids and label of each row."""
    ids = [tuple(split.ids[a:b].tolist()) for a, b in itertools.pairwise(split.offsets)]
    return list(zip(ids, split.labels.tolist(), strict=True))


@torch.no_grad()
def said(encoder, split) -> torch.Tensor:
    """The labels that an encoder gives the rows of a split, in eval mode."""
    was = encoder.training
    answers = encoder.eval().classify(split.collate(range(len(split)))).argmax(1)
    encoder.train(was)
    return answers


def of_file(data) -> tuple[list, list]:
    """Train's own rows, and those that were made of others."""
    every = rows(data.split("train"))
    return every[:OWN], every[OWN:]


# --- rows ------------------------------------------------------------------------------------------------------------


def check_append(cache):
    """One phase on train and what was added; with attacks, these stand behind both."""
    data = data_with(cache)
    own, new = of_file(data)
    plain = begun(data, online=None, attacked=0.1, alpha=0.0)
    assert [phase.name for phase in plain.phases()] == ["train"]
    assert rows(data.training_split) == own + new
    attacked = begun(data, alpha=0.0)
    trained = rows(data.training_split)
    assert trained[: OWN + NEW] == own + new
    assert len(trained) == OWN + NEW + 8  # half of the own rows
    assert len(attacked.attacked.rows) == 8


def check_continue(cache):
    """Train's own rows, then those that were added alone."""
    data = data_with(cache)
    own, new = of_file(data)
    plain = {"use": "continue", "online": None, "attacked": 0.1, "alpha": 0.0}
    assert [phase.name for phase in tiny_method("robust", **plain).phases()] == ["finetune", "augmented"]
    begun(data, phase=0, **plain)
    assert rows(data.training_split) == own
    begun(data, phase=1, **plain)
    assert rows(data.training_split) == new
    begun(data, phase=0, use="continue")
    assert rows(data.training_split) == own  # attacks belong to the second phase
    begun(data, phase=1, use="continue")
    trained = rows(data.training_split)
    assert trained[:NEW] == new
    assert len(trained) == NEW + 8


# --- attacks ---------------------------------------------------------------------------------------------------------


def check_attacked(cache):
    """Each attacked row fools the student, or doesn't, as is said of it, and has the gold label of its source."""
    data = data_with(cache)
    module = begun(data, attacked=1.0, dropout=0.3)
    check_against_student(module, data)
    assert {0, 1, 2} == set(module.attacked.ended.tolist())  # the check has something to look at


def check_against_student(module, data):
    found, train = module.attacked, data.split("train")
    source, made = train.take(found.rows.tolist()), found.split(train)
    gold = torch.from_numpy(np.asarray(source.labels))
    assert torch.equal(torch.from_numpy(np.asarray(made.labels)), gold)
    assert len(set(found.rows.tolist())) == len(found.rows)
    assert max(found.rows.tolist()) < OWN  # train's own, none that was made of another
    before, after = said(module.student, source) == gold, said(module.student, made) == gold
    assert torch.equal(before, found.ended > 0)
    assert torch.equal(after, found.ended == 1)
    unchanged = [a == b for a, b in zip(rows(source), rows(made), strict=True)]
    assert all(same for same, ended in zip(unchanged, found.ended.tolist(), strict=True) if ended == 0)
    assert not any(same for same, ended in zip(unchanged, found.ended.tolist(), strict=True) if ended)
    figures = module.attacked.figures()
    torch.testing.assert_close(figures["right"], before.float().mean())
    torch.testing.assert_close(figures["fooled"], (~after[before]).float().mean())
    kept = rows(data.training_split)[-len(found.rows) :]
    assert kept == rows(made)


def check_redrawn(cache):
    """The next epoch attacks the student as it is by then, on other rows; the draw is the seed's."""
    data = data_with(cache)
    module = begun(data)
    first = module.attacked
    with torch.no_grad():  # it has changed its mind
        module.student.model.classifier.weight.neg_()
        module.student.model.classifier.bias.neg_()
    module.start_epoch(1, data)
    assert module.attacked.rows.tolist() != first.rows.tolist()
    check_against_student(module, data)
    drawn = [begun(data_with(cache), seed=seed).attacked.rows.tolist() for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] == first.rows.tolist()
    assert drawn[2] != drawn[0]


def check_teachers_answers(cache):
    """Clean rows have the teacher's cached logits, attacked ones what it says of the attacked text."""
    data = data_with(cache)
    module = begun(data)
    split = data.training_split
    with torch.no_grad():
        wanted = module.teacher.classify(split.collate(range(len(split))))
    torch.testing.assert_close(torch.from_numpy(np.asarray(split.teacher_logits)), wanted, atol=1e-5, rtol=1e-5)
    batch = split.collate(range(len(split)))
    assert batch.soft_labels().shape == (OWN + NEW + 8, 2)


def check_nothing_moves(cache):
    """An attack leaves weights, gradients, modes and random numbers of the training as they are."""
    data = data_with(cache)
    module = tiny_method("robust", dropout=0.3, alpha=0.0)
    module.student.encoder_layers()[0].eval()
    weights = {k: v.clone() for k, v in module.state_dict().items()}
    modes = [part.training for part in module.modules()]
    begun(data, module=module)
    seed_step("0/train/epoch 0", 0, torch.device("cpu"))
    wanted = torch.get_rng_state()
    module.epoch_begun = -1
    module.attacked = None
    module.start_epoch(0, data)
    assert torch.equal(torch.get_rng_state(), wanted)
    assert all(torch.equal(v, weights[k]) for k, v in module.state_dict().items())
    assert all(p.grad is None for p in module.parameters())
    assert [part.training for part in module.modules()] == modes
    assert not any("forward" in vars(part) for part in module.modules())  # no layer stays packed


def check_kept_within_an_epoch(cache):
    """What a checkpoint holds is what goes on, though the student has moved; a later epoch is attacked anew."""
    data = data_with(cache)
    module = begun(data)
    trained, state = rows(data.training_split), module.method_state()
    for epoch, same in ((0, True), (1, False)):
        again, other = data_with(cache), tiny_method("robust")
        with torch.no_grad():
            other.student.model.classifier.weight.neg_()
        other.restore_method_state(state)
        begun(again, module=other, epoch=epoch)
        assert (rows(again.training_split) == trained) == same
        check_against_answers(again, other)


def check_against_answers(data, module):
    logits = torch.from_numpy(np.asarray(data.training_split.teacher_logits))
    batch = data.training_split.collate(range(len(data.training_split)))
    with torch.no_grad():
        torch.testing.assert_close(logits, module.teacher.classify(batch), atol=1e-5, rtol=1e-5)


# --- the loss --------------------------------------------------------------------------------------------------------


def check_loss():
    """(1-α)·CE + α·t²·KL, written out."""
    for alpha, t, scaled in ((0.3, 3.0, True), (0.7, 2.0, False), (0.0, 4.0, True)):
        module = tiny_method("robust", alpha=alpha, temperature=t, scale_t2=scaled).eval()
        module.begin_phase(PhaseContext())
        batch = tiny_batch(logits=True)
        losses = module.compute_loss(batch)
        with torch.no_grad():
            log_p = module.student.classify(batch).log_softmax(1)
            log_s = (module.student.classify(batch) / t).log_softmax(1)
        p = (batch.teacher_logits / t).softmax(1)
        ce = -log_p[torch.arange(len(batch)), batch.labels].mean()
        kl = (p * (p.log() - log_s)).sum(1).mean() * (t**2 if scaled else 1)
        torch.testing.assert_close(losses.total.detach(), (1 - alpha) * ce + alpha * kl)
        assert set(losses.terms) == ({"ce", "kd"} if alpha else {"ce"})


right_split = Attacked.split
