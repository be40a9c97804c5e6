"""Weights of a checkpoint: the files they are in, what those hold, and the tensors. Safetensors only, no pickles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from kdlab.errors import KdlabError
from kdlab.system.foreign import MIB, check_regular, door, read_fields
from kdlab.system.shown import clipped, listed, shown

SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"
_LIMIT = 1024 * 1024 * MIB
_DAMAGED = "the file is damaged, so fetch or save it again"
_FLOATS = ("F64", "F32", "F16", "BF16")


@dataclass(frozen=True)
class Stored:
    """A tensor as a file's header describes it: how its numbers are stored, and its shape."""

    dtype: str
    shape: tuple[int, ...]


def weight_files(folder: Path) -> tuple[Path, ...]:
    """The files with a checkpoint's weights: the single one, or those that the index names.

    Raises:
        KdlabError: There is neither, the index is none, or it names what is no safetensors file in this folder.
    """
    if (folder / SINGLE).is_file():
        return (folder / SINGLE,)
    index = folder / INDEX
    if not index.is_file():
        if (folder / "adapter_config.json").exists():
            raise KdlabError(f"{folder} holds an adapter without its model: merge the two (merge_and_unload) and save.")
        raise KdlabError(
            f"{folder} has no {SINGLE} (kdlab loads no pickles, which can run foreign code): "
            "convert it with transformers' save_pretrained."
        )
    return tuple(folder / name for name in sorted(set(_weight_map(index).values())))


def _weight_map(index: Path) -> dict[str, str]:
    advice = "save the checkpoint again"
    where = read_fields(index, advice, limit=64 * MIB).get("weight_map")
    if not isinstance(where, dict) or not where:
        raise KdlabError(f"{index} maps no weights to files (weight_map): {advice}.")
    for name, file in where.items():
        plain = isinstance(file, str) and file.endswith(".safetensors") and "/" not in file and "\\" not in file
        if not plain or not file.isprintable():
            raise KdlabError(
                f"{index} has {clipped(shown(name), 80)} in {clipped(shown(str(file)), 80)}: it may name safetensors "
                f"files of its own folder only: {advice}."
            )
    return where


def read_headers(files: Sequence[Path]) -> dict[str, Stored]:
    """Every tensor of the files by name, from their headers alone.

    Raises:
        KdlabError: A file is damaged, or files and index don't say the same.
    """
    from safetensors import safe_open

    found: dict[str, Stored] = {}
    for file in files:
        check_regular(file, _LIMIT)
        with door(file, _DAMAGED), safe_open(file, framework="pt") as f:
            for name in f.keys():  # noqa: SIM118  (it is no mapping)
                if name in found:
                    raise KdlabError(
                        f"{file} holds {clipped(shown(name), 80)}, which another file holds too: save it again."
                    )
                stored = f.get_slice(name)
                found[name] = Stored(str(stored.get_dtype()), tuple(stored.get_shape()))
    if not found:
        raise KdlabError(f"{files[0]} holds no weights: {_DAMAGED}.")
    index = files[0].with_name(INDEX)
    if files[0].name != SINGLE:
        named = _weight_map(index)
        if odd := sorted(named.keys() ^ found.keys()):
            raise KdlabError(f"{index} and the files that it names differ ({listed(odd)}): save the checkpoint again.")
    return found


def check_stored(headers: Mapping[str, Stored], folder: Path) -> None:
    """Raises ``KdlabError`` where weights are stored as something else than floating-point numbers."""
    for name, stored in headers.items():
        if stored.dtype not in _FLOATS and not name.endswith("position_ids"):
            raise KdlabError(
                f"The weights in {folder} are stored in a form that kdlab does not read ({clipped(shown(name), 80)} is "
                f"{stored.dtype}): give full weights in 32 or 16 bits."
            )


def read_weights(files: Sequence[Path]) -> dict[str, Tensor]:
    """The tensors of the files by name, on the CPU, as they are stored."""
    from safetensors.torch import load_file

    weights: dict[str, Tensor] = {}
    for file in files:
        with door(file, _DAMAGED):
            weights |= load_file(file)
    return weights


def check_finite(weights: Mapping[str, Tensor], folder: Path) -> None:
    """Raises ``KdlabError`` where a weight is NaN or infinite in 32 bits."""
    for name, weight in weights.items():
        if not weight.is_floating_point() or not weight.numel():
            continue
        ends = torch.stack(weight.float().aminmax())  # NaN, where one is in it
        if not bool(torch.isfinite(ends).all()):
            bad = int((~torch.isfinite(weight.float())).sum())
            raise KdlabError(
                f"The weights in {folder} hold NaN or infinity ({bad:,} numbers of {clipped(shown(name), 80)}), as "
                "after a training that diverged: give a checkpoint from before that."
            )
