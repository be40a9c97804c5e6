"""Students: a checkpoint, some layers of a donor (``[DONOR:]layers:bottom:3``), or a new BiLSTM (``bilstm``).

The donor ``finetuned`` is the teacher's checkpoint as plain fine-tuning makes it, whatever makes the teacher.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from kdlab.errors import KdlabError
from kdlab.models.bilstm import HIDDEN
from kdlab.models.encoder import TextEncoder

_HOWS = ("bottom", "top", "skip")
_HELP = "write layers:bottom:3, layers:top:3, layers:skip:3 or a list such as layers:0,2,4"
FINETUNED = "finetuned"
_WIDEST = 4096  # hidden units of a BiLSTM


@dataclass(frozen=True)
class StudentSpec:
    """The parsed value of ``--student``.

    Attributes:
        checkpoint: A folder or name on the hub whose weights the student starts from as they are; None for the others.
        donor: Where layers come from; None is the teacher, or its checkpoint as plain fine-tuning makes it.
        how: ``bottom``, ``top``, ``skip`` or ``list``.
        count: Number of layers for bottom, top and skip.
        layers: The explicit list.
        bilstm: Hidden units a direction of a new BiLSTM over the teacher's token ids; 0 for the others.
        finetuned: Whether the donor is what plain fine-tuning makes of the teacher's checkpoint.
    """

    checkpoint: str | None = None
    donor: str | None = None
    how: str = ""
    count: int = 0
    layers: tuple[int, ...] = ()
    bilstm: int = 0
    finetuned: bool = False

    @property
    def from_teacher(self) -> bool:
        """Whether the student is built from the fine-tuned teacher's layers, embeddings and head."""
        return self.checkpoint is None and self.donor is None and not self.bilstm and not self.finetuned

    @property
    def reads_as_teacher(self) -> bool:
        """Whether the teacher's checkpoint says how texts become ids, for the student has no tokenizer of its own."""
        return self.from_teacher or self.finetuned or bool(self.bilstm)


def parse_student(text: str) -> StudentSpec:
    """Reads a student specification.

    A folder that is called ``bilstm`` is written ``./bilstm``, and one called ``finetuned`` ``./finetuned``.

    Raises:
        KdlabError: What follows ``layers:`` is not a choice of layers, or what follows ``bilstm:`` no number of units.
    """
    word, _, units = text.partition(":")
    if word == "bilstm":
        hidden = int(units) if re.fullmatch(r"[0-9]{1,4}", units) else 0 if ":" in text else HIDDEN
        if not 1 <= hidden <= _WIDEST:
            raise KdlabError(
                f"Student '{text}': '{units}' is no number of hidden units a direction, 1 to {_WIDEST}; write bilstm "
                f"for {HIDDEN}, or bilstm:300."
            )
        return StudentSpec(bilstm=hidden)
    match = re.fullmatch(r"(?:(?P<donor>.+):)?layers:(?P<choice>.*)", text)
    if not match:
        return StudentSpec(checkpoint=text)
    choice, finetuned = match["choice"].strip(), match["donor"] == FINETUNED
    donor = None if finetuned else match["donor"]
    if how := re.fullmatch(r"([a-z]+):(\d+)", choice):
        if how[1] not in _HOWS or int(how[2]) < 1:
            raise KdlabError(f"Student '{text}': '{choice}' is no choice of layers; {_HELP}.")
        return StudentSpec(donor=donor, how=how[1], count=int(how[2]), finetuned=finetuned)
    if re.fullmatch(r"\[?\s*\d+(\s*,\s*\d+)*\s*\]?", choice):
        layers = tuple(int(n) for n in re.findall(r"\d+", choice))
        return StudentSpec(donor=donor, how="list", layers=layers, finetuned=finetuned)
    raise KdlabError(f"Student '{text}': '{choice}' is no choice of layers; {_HELP}.")


def select_layers(spec: StudentSpec, depth: int) -> tuple[int, ...]:
    """Which of a donor's layers the student takes, counted from 0 at the embeddings.

    ``skip`` spreads them evenly from the first: 12 to 6 gives 0, 2, …, 10 and 6 to 3 gives 0, 2, 4.

    Args:
        spec: A layer specification.
        depth: Number of layers of the donor.

    Raises:
        KdlabError: The donor has no such layers.
    """
    if spec.how == "list":
        missing = [n for n in spec.layers if n >= depth]
        if missing:
            raise KdlabError(
                f"The student asks for layer {missing[0]}, but its donor has {depth}, numbered 0 to {depth - 1}."
            )
        if list(spec.layers) != sorted(set(spec.layers)):
            raise KdlabError(f"The student's layers {list(spec.layers)} must rise, each one once.")
        return spec.layers
    if spec.count > depth:
        raise KdlabError(f"The student asks for {spec.count} layers, but its donor has {depth}.")
    if spec.how == "bottom":
        return tuple(range(spec.count))
    if spec.how == "top":
        return tuple(range(depth - spec.count, depth))
    return tuple(i * depth // spec.count for i in range(spec.count))


def shallow_config(config: Any, layers: Sequence[int]) -> Any:
    """A copy of a Hugging Face configuration with as many layers as ``layers`` names."""
    new = copy.deepcopy(config)
    new.num_hidden_layers = len(layers)
    return new


def take_layers(donor: TextEncoder, layers: Sequence[int]) -> TextEncoder:
    """A student with the donor's embeddings, some of its layers, its pooler and its head (MixKD, section 4.1).

    Args:
        donor: The fine-tuned teacher, or another encoder of a known family.
        layers: From ``select_layers``.

    Returns:
        A new encoder; no weight is shared with the donor.
    """
    from transformers import AutoModelForSequenceClassification

    with torch.random.fork_rng():  # building draws weights that are overwritten at once
        model = AutoModelForSequenceClassification.from_config(shallow_config(donor.config, layers))
    prefix = f"{donor.family.backbone}.{donor.family.layers}."
    place = {f"{prefix}{old}.": f"{prefix}{new}." for new, old in enumerate(layers)}
    state = {}
    for name, value in donor.model.state_dict().items():
        if not name.startswith(prefix):
            state[name] = value.clone()
            continue
        layer = prefix + name[len(prefix) :].split(".", 1)[0] + "."
        if layer in place:
            state[place[layer] + name[len(layer) :]] = value.clone()
    model.load_state_dict(state)
    return TextEncoder(model.float())
