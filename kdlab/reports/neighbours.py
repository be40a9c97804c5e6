"""Where students put sentences and their mixed neighbours: MixKD's second figure.

Some examples of two classes are paired, and each pair mixed in steps, as training mixes them. A student's last state
at ``[CLS]`` is drawn in the plane by t-SNE (van der Maaten & Hinton 2008), all examples and mixtures together.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from kdlab.data.batches import EncodedSplit
from kdlab.errors import KdlabError
from kdlab.models.encoder import TextEncoder
from kdlab.ops.mixup import MixPlan, mix_embeddings, mix_mask
from kdlab.types import Taps

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STEPS = (0.75, 0.5, 0.25)
PER_CLASS = 50


def choose_pairs(labels: NDArray[np.int64], per_class: int, seed: int) -> tuple[list[int], list[int]]:
    """Positions of as many examples of the two most frequent classes, partners at the same places.

    Args:
        labels: ``(N,)`` class indices.
        per_class: At most so many of each.
        seed: Draws them.

    Raises:
        KdlabError: There are not two classes.
    """
    classes, counts = np.unique(labels, return_counts=True)
    if len(classes) < 2:
        raise KdlabError("A picture of mixed neighbours needs examples of two classes: take a classification task.")
    most = classes[np.argsort(-counts, kind="stable")[:2]]
    draw = np.random.default_rng(seed)
    drawn = [draw.permutation(np.flatnonzero(labels == label)) for label in sorted(most)]
    size = min(per_class, *(len(each) for each in drawn))
    return drawn[0][:size].tolist(), drawn[1][:size].tolist()


@torch.no_grad()
def cls_states(encoder: TextEncoder, split: EncodedSplit, first: list[int], second: list[int]) -> NDArray[np.float32]:
    """Last states at ``[CLS]``: of the first examples, the second ones, and the mixtures of each pair at ``STEPS``.

    Args:
        encoder: In eval mode, on the CPU.
        split: N tokenised examples.
        first: B positions.
        second: B positions.

    Returns:
        ``(B·(2 + len(STEPS)), D)``.
    """
    taps, count = Taps(hidden=(encoder.depth,)), len(first)
    batch = split.collate([*first, *second])
    embeddings = encoder.embed(batch.input_ids, batch.token_type_ids)  # (2B, T, D)
    clean = encoder(attention_mask=batch.attention_mask, embeddings=embeddings, taps=taps)
    states = [clean.hidden[encoder.depth][:, 0].float().numpy()]
    for weight in STEPS:
        plan = MixPlan(torch.full((count,), weight), torch.arange(count) + count, torch.arange(count))
        mixed = mix_embeddings(embeddings, batch.attention_mask, plan)
        out = encoder(attention_mask=mix_mask(batch.attention_mask, plan), embeddings=mixed, taps=taps)
        states.append(out.hidden[encoder.depth][:, 0].float().numpy())
    return np.concatenate(states)


def picture(states: Mapping[str, NDArray[np.float32]], count: int, names: tuple[str, str], stamp: str = "") -> Figure:
    """One panel for each student: squares and circles are examples of the two classes, triangles their mixtures.

    Args:
        states: Name of a student to its states, from ``cls_states``.
        count: B.
        names: Of the two classes.
        stamp: What must be said of the data.
    """
    from matplotlib.figure import Figure
    from sklearn.manifold import TSNE

    figure = Figure(figsize=(4.2 * len(states), 4.2), layout="constrained")
    panels = figure.subplots(1, len(states), squeeze=False)[0]
    for axes, (name, each) in zip(panels, states.items(), strict=True):
        near = min(30.0, (len(each) - 1) / 3)
        at = TSNE(n_components=2, perplexity=near, init="pca", random_state=0).fit_transform(each)
        for i, step in enumerate(STEPS):
            mixed = at[(2 + i) * count : (3 + i) * count]
            grey, label = str(1 - step), f"mixed, {step:.0%} {names[0]}"
            axes.scatter(*mixed.T, s=14, marker="^", c=grey, edgecolors="0.0", linewidths=0.4, label=label)
        axes.scatter(*at[:count].T, s=22, marker="s", c="0.0", label=names[0])
        axes.scatter(*at[count : 2 * count].T, s=22, marker="o", c="1.0", edgecolors="0.0", label=names[1])
        axes.set_title(f"{name}{stamp}", fontsize=10)
        axes.set_xticks([])
        axes.set_yticks([])
    panels[-1].legend(fontsize=7, frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure
