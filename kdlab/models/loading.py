"""How the weights of a file fit the model that a configuration describes: checked before loading, reported after it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from kdlab.errors import KdlabError
from kdlab.models.configuration import FILE as CONFIG
from kdlab.models.encoder import depth_of, get_family, parameter_shapes
from kdlab.models.weights import Stored
from kdlab.system.foreign import door
from kdlab.system.shown import clipped, shown

_LAYER = re.compile(r"\.layer\.(\d+)\.")
_IN_ENCODER = re.compile(r"(^|\.)(embeddings|encoder|transformer|layer|lstm)\.")
# what a file may hold besides the encoder and its classifier: other heads of the same encoder, and counters
LEFT_OVER = re.compile(
    r"(^|\.)position_ids$|^cls\.|^lm_head\.|^vocab_(transform|layer_norm|projector)\.|^qa_outputs\.|(^|\.)pooler\."
)


@dataclass(frozen=True)
class Fit:
    """How the weights of a file fit a model, as the library that loaded them reports it.

    Attributes:
        missing: Weights of the model that the file lacks, or has in another shape; they are drawn.
        unexpected: Weights of the file for which the model has no place.
    """

    missing: tuple[str, ...]
    unexpected: tuple[str, ...]


def check_shapes(folder: Path, config: Any, headers: Mapping[str, Stored]) -> None:
    """Checks from the files' headers that the encoder's matrices are all there, and as large as the configuration says.

    A library that loads the weights would first allocate what is missing, in any size that the configuration names.

    Args:
        folder: Of the checkpoint, for messages.
        config: Its configuration.
        headers: Its tensors by name.

    Raises:
        KdlabError: The file has another number of layers, lacks a matrix, or has it in another shape.
    """
    numbers = {int(match[1]) for name in headers if (match := _LAYER.search(name))}
    depth = depth_of(config)
    if len(numbers) != depth:
        raise KdlabError(
            f"{folder}/{CONFIG} says num_hidden_layers={depth}, and its weights are those of {len(numbers)} layers: "
            "correct the number, or save the checkpoint again."
        )
    backbone = get_family(config.model_type, "").backbone
    for name, shape in parameter_shapes(config).items():
        if not _is_of_encoder(name) or len(shape) < 2:
            continue
        stored = headers.get(name) or headers.get(name.removeprefix(f"{backbone}."))
        if stored is None or stored.shape != shape:
            what = "is missing" if stored is None else f"is {_by(stored.shape)} and not {_by(shape)}"
            raise KdlabError(
                f"The weights in {folder} do not fit its {CONFIG}: {name} {what}; {_remedy(name, shape, headers)}."
            )


def _remedy(name: str, shape: tuple[int, ...], headers: Mapping[str, Stored]) -> str:
    """What to do about a matrix that is not there under its name."""
    part = name.partition(".")[2]
    other = next((n for n, stored in headers.items() if n.endswith(part) and n != name and stored.shape == shape), None)
    if other is None:
        return "give configuration and weights that save_pretrained wrote together"
    return (
        f"its names are others ({clipped(shown(other), 80)}), as a wrapper around the model makes them (DataParallel, "
        "torch.compile, Lightning) or another architecture: save the model inside with save_pretrained"
    )


def _is_of_encoder(name: str) -> bool:
    return any(part in name for part in (".layer.", ".embeddings.", ".lstm."))


def _by(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape))


def place(folder: Path, config: Any, kind: str, weights: Mapping[str, Tensor]) -> tuple[Any, Fit]:
    """A model in float32 with weights where they belong; those of a head that are missing are drawn.

    Args:
        folder: Of the checkpoint, for messages.
        config: Of the model.
        kind: ``SEQUENCE_CLASSIFICATION`` or ``MASKED_LM``.
        weights: From ``read_weights``.

    Returns:
        The model, and what fitted.

    Raises:
        KdlabError: No model can be built, or a weight of the encoder is missing, left over, or of another shape.
    """
    from transformers.models.auto import modeling_auto

    with door(folder, "config.json and weights must be those of one model that save_pretrained wrote"):
        built = getattr(modeling_auto, f"MODEL_FOR_{kind}_MAPPING")[type(config)]
        model, report = built.from_pretrained(
            None,
            config=config,
            state_dict=dict(weights),
            dtype=torch.float32,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
        )
    mismatched = [name for name, *_ in report["mismatched_keys"]]
    missing = tuple(sorted([*report["missing_keys"], *mismatched]))
    unexpected = tuple(sorted(report["unexpected_keys"]))
    for name in filter(_is_of_encoder, missing):
        raise KdlabError(f"The weights in {folder} do not fit its {CONFIG}: {name} is missing or has another shape.")
    for name in (n for n in unexpected if _IN_ENCODER.search(n) and not LEFT_OVER.search(n)):
        hint = "give a checkpoint of a plain encoder"
        if "lora_" in name:
            hint = "merge the adapter (merge_and_unload) and save again"
        elif "distance_embedding" in name:
            hint = "it was trained with relative positions, which this version of transformers does not compute"
        raise KdlabError(
            f"The weights in {folder} hold {clipped(shown(name), 120)}, for which the encoder that its "
            f"{CONFIG} describes has no place: {hint}."
        )
    return model, Fit(missing, unexpected)
