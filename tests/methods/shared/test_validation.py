"""Scores on a split in training: every row once, in batches of little padding, from one thread and from two."""

from __future__ import annotations

import threading

import pytest
import torch
from helpers import CPU, tiny_data, tiny_encoder, tiny_method

from kdlab.methods.base import PhaseContext
from kdlab.methods.finetune import FineTune
from kdlab.methods.shared.validation import answers_on
from kdlab.types import Batch, Taps


@pytest.mark.parametrize("threaded", [False, True])
@torch.no_grad()
def test_every_row_is_answered_once_whatever_the_batches(cache, two_threads, threaded: bool):
    data, encoder = tiny_data(cache, train=40), tiny_encoder().eval()
    data.eval_batch_size = 40
    split, shapes, threads = data.split("train"), [], set()

    def answer(batch):
        shapes.append(tuple(batch.input_ids.shape))
        threads.add(threading.get_ident())
        return encoder.classify(batch)

    answers = answers_on(data, "train", answer, CPU.device, threaded)
    assert (threading.get_ident() in threads) is not threaded
    assert sum(rows * longest for rows, longest in shapes) < 0.85 * 40 * max(split.lengths)  # in one batch
    positions = torch.cat([part[0] for part in answers])
    assert sorted(positions.tolist()) == list(range(40))
    alone = torch.cat([encoder.classify(split.collate([i])) for i in positions.tolist()])
    torch.testing.assert_close(torch.cat([part[1] for part in answers]), alone, atol=1e-5, rtol=0)
    assert torch.cat([part[2] for part in answers]).tolist() == [data.examples["train"].labels[i] for i in positions]


def test_a_score_is_of_the_weights_that_the_student_has(cache, two_threads):
    module, data = tiny_method("finetune"), tiny_data(cache)
    module.begin_phase(PhaseContext(data=data))
    before = module.score("dev", "loss")
    with torch.no_grad():
        for weight in module.student.parameters():
            weight.mul_(1.5)
    assert module.score("dev", "loss") != before
    with torch.no_grad():
        for weight in module.student.parameters():
            weight.div_(1.5)
    assert module.score("dev", "loss") == pytest.approx(before, abs=1e-5)
    assert not any("forward" in vars(part) for part in module.modules())


class Averaged(FineTune):
    """Answers by the mean of all tokens' last states."""

    name = "averaged"

    def answer(self, batch: Batch) -> torch.Tensor:
        return self.student.read(batch, Taps(hidden=(2,))).hidden[2].mean(1)[:, :2]


def test_a_method_with_an_answer_of_its_own_sees_every_token(cache, two_threads):
    module, data = tiny_method(Averaged), tiny_data(cache)
    module.begin_phase(PhaseContext(data=data))
    widths: list[int] = []
    module.student.encoder_layers()[-1].register_forward_hook(lambda _module, _in, out: widths.append(out.shape[1]))
    module.score("dev")
    assert min(widths) > 1
