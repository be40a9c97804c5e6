"""Answers of a whole split: the same from one thread and from two, each example once, in the split's order."""

from __future__ import annotations

import threading
import time

import pytest
import torch
from helpers import CPU, tiny_data, tiny_encoder

from kdlab.evaluation.predict import predict
from kdlab.types import Batch


def test_two_threads_answer_what_one_answers(cache, two_threads):
    encoder, split = tiny_encoder(dropout=0.1), tiny_data(cache).split("train")
    encoder.train()
    seen: dict[int, int] = {}
    encoder.register_forward_hook(
        lambda *_: seen.update({threading.get_ident(): torch.get_num_threads()})  # per thread
    )
    both = predict(encoder, split, 4, CPU.device)
    assert set(seen.values()) == {1}
    assert threading.get_ident() not in seen
    assert torch.get_num_threads() == 2
    assert encoder.training
    assert not both.logits.requires_grad
    torch.set_num_threads(1)
    one = predict(encoder, split, 4, CPU.device)
    assert torch.allclose(both.logits, one.logits, atol=1e-6)
    encoder.eval()
    alone = torch.cat([encoder.classify(split.collate([i])) for i in range(len(split))])
    assert torch.allclose(both.logits, alone, atol=1e-5)


def test_what_one_thread_raises_ends_the_answers(cache, two_threads):
    encoder, split = tiny_encoder(), tiny_data(cache).split("train")
    answered = []

    def classify(batch: Batch) -> torch.Tensor:
        answered.append(len(batch))
        time.sleep(0.02)
        raise RuntimeError("no memory")

    encoder.classify = classify
    with pytest.raises(RuntimeError, match="no memory"):
        predict(encoder, split, 1, CPU.device)
    assert len(answered) < len(split)
    assert torch.get_num_threads() == 2
