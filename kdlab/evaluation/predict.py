"""Logits of a whole split, in its order."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from kdlab.data.batches import EncodedSplit
from kdlab.data.module import eval_loader
from kdlab.evaluation.halves import in_halves, shares_cores
from kdlab.models.answering import answering
from kdlab.models.encoder import TextEncoder
from kdlab.system.cost import Cost, Meter
from kdlab.system.distributed import gather


@dataclass(frozen=True)
class Prediction:
    """Logits of a split and what they cost.

    Attributes:
        logits: ``(N, C)`` float32 on the CPU, in the split's order.
        cost: Of the forward passes; NaN where it is not known.
    """

    logits: Tensor
    cost: Cost

    @property
    def samples_per_second(self) -> float:
        """Throughput of inference."""
        return len(self.logits) / max(self.cost.seconds, 1e-9)


def predict(encoder: TextEncoder, split: EncodedSplit, batch_size: int, device: torch.device) -> Prediction:
    """The encoder's logits on a split, in float32 and eval mode, each example once.

    Args:
        encoder: Moved to the device and left there; its train or eval mode is restored.
        split: N tokenised examples.
        batch_size: Examples a forward pass.
        device: Where it runs.
    """
    encoder = encoder.to(device)
    was_training = encoder.training
    encoder.eval()
    meter = Meter()
    loader = eval_loader(split, batch_size)
    with answering(encoder):
        if encoder.compiled is None and shares_cores(device):
            own_batches = in_halves(lambda batch: (batch.index, encoder.classify(batch).float()), loader)
        else:
            with torch.no_grad():
                answered = [(batch.index, encoder.classify(batch.to(device)).float()) for batch in loader]
            own_batches = [(positions, rows.cpu()) for positions, rows in answered]
    cost = meter.cost()
    encoder.train(was_training)
    logits = torch.empty(len(split), encoder.num_outputs)
    for part in gather(own_batches):
        for positions, rows in part:
            logits[positions] = rows
    return Prediction(logits, cost)
