"""The gold label's loss on batches in which some rows have no label."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from kdlab.losses.soft_targets import supervised
from kdlab.types import Batch


def gold_loss(logits: Tensor, batch: Batch, regression: bool = False) -> Tensor:
    """Cross-entropy with the gold label, or squared error for scores, of the rows that have one.

    Args:
        logits: ``(B, C)``; C = 1 for scores.
        batch: B rows, of which some or all are labelled.
        regression: Whether labels are scores.

    Returns:
        The mean over the labelled rows of the batch that processes share, as the base weighs it; 0, with a gradient of
        0, where there are none. A scalar.
    """
    if batch.labelled is None and batch.labels is not None:
        return supervised(logits, batch.gold(), regression)
    rows = batch.labelled_rows()
    own = (logits[:0] if batch.labelled is None else logits[batch.labelled]).float()  # (n, C)
    if regression:
        return batch.labelled_mean(F.mse_loss(own.squeeze(-1), rows.gold().float(), reduction="none"))
    return batch.labelled_mean(F.cross_entropy(own, rows.gold(), reduction="none"))
