"""Training rows under attack: texts that a recipe makes against the student as it stands, as an epoch's rows."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kdlab.attacks.attempt import FAILED, SKIPPED, SUCCEEDED, Attack
from kdlab.attacks.engine import Models
from kdlab.attacks.study import Target, run_study
from kdlab.attacks.victim import Victim
from kdlab.data.batches import EncodedSplit
from kdlab.data.encoding import tokenise
from kdlab.data.examples import Examples
from kdlab.system.console import duration
from kdlab.system.cost import Meter
from kdlab.system.distributed import gather, rank, world_size
from kdlab.system.files import fingerprint

_STATES = (SKIPPED, FAILED, SUCCEEDED)
_EVERY = 10.0  # seconds between two lines of progress


@dataclass(frozen=True)
class Made:
    """What became of a row.

    Attributes:
        texts: The worst text that was found, one or two; the row's own where the student was wrong from the start.
        status: How the attack ended, as ``kdlab.attacks`` says it.
    """

    texts: tuple[str, ...]
    status: str


@dataclass(frozen=True)
class Attacked:
    """What attacks made of n training rows, as tokens.

    Attributes:
        place: Phase and epoch for which they were attacked.
        rows: Positions of the rows in train, ``(n,)`` int64.
        ids: Token ids of all texts, one after the other, ``(tokens,)`` int32.
        types: Their segments, ``(tokens,)`` uint8.
        lengths: Tokens of each text, ``(n,)`` int64.
        ended: How each attack did, ``(n,)`` int64: 0 the student was wrong from the start, 1 it stood, 2 it was fooled.
        logits: The teacher's on the texts, ``(n, C)`` float32; None where it is not asked.
    """

    place: str
    rows: Tensor
    ids: Tensor
    types: Tensor
    lengths: Tensor
    ended: Tensor
    logits: Tensor | None = None

    def split(self, train: EncodedSplit) -> EncodedSplit:
        """The texts as a split, with the gold labels of the rows that they were made of.

        Args:
            train: The training rows as they are tokenised.
        """
        rows, ids, types = self.rows.numpy(), self.ids.numpy(), self.types.numpy()
        digest = hashlib.sha256(ids.tobytes() + types.tobytes() + self.lengths.numpy().tobytes()).hexdigest()
        split = EncodedSplit(
            ids=ids,
            types=types,
            offsets=np.concatenate([[0], np.cumsum(self.lengths.numpy())]).astype(np.int64),
            pad_id=train.pad_id,
            labels=None if train.labels is None else train.labels[rows],
            fingerprint=fingerprint("attacked", train.fingerprint, rows.tolist(), digest),
            names=[train.names[i] for i in rows.tolist()],
        )
        split.teacher_logits = None if self.logits is None else self.logits.numpy()
        return split

    def figures(self) -> dict[str, Tensor]:
        """``right``: part of the rows that the student got right; ``fooled``: part of those that an attack turned."""
        right = self.ended > 0
        found = {"right": right.float().mean()}
        return found | ({"fooled": (self.ended[right] == 2).float().mean()} if bool(right.any()) else {})

    def state_dict(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {f.name: getattr(self, f.name) for f in fields(self)}

    @classmethod
    def of(
        cls, place: str, rows: Sequence[int], made: Sequence[Made], examples: Examples, tokenizer: Any, max_length: int
    ) -> Attacked:
        """Attacked texts, tokenised; they are kept in no cache, for no other epoch has them.

        Args:
            place: Phase and epoch.
            rows: Positions in train.
            made: What became of each row.
            examples: The training rows.
            tokenizer: The student's.
            max_length: Longest input in tokens.

        Raises:
            KdlabError: The tokenizer can't read a text.
        """
        texts = replace(
            examples.take(rows),
            text=tuple(one.texts[0] for one in made),
            text_pair=None if examples.text_pair is None else tuple(one.texts[1] for one in made),
        )
        encoded = tokenise(texts, tokenizer, max_length)
        return cls(
            place=place,
            rows=torch.tensor(rows, dtype=torch.int64),
            ids=torch.tensor([i for row in encoded["input_ids"] for i in row], dtype=torch.int32),
            types=torch.tensor([i for row in encoded["token_type_ids"] for i in row], dtype=torch.uint8),
            lengths=torch.tensor([len(row) for row in encoded["input_ids"]], dtype=torch.int64),
            ended=torch.tensor([_STATES.index(one.status) for one in made], dtype=torch.int64),
        )


def attack_rows(
    rows: Sequence[int], examples: Examples, attack: Attack, victim: Victim, seed: int, say: Callable[[str], None]
) -> list[Made]:
    """Attacks training rows; each process attacks a part of them, and all know of all.

    What becomes of a row depends on the row, the victim and the seed, not on who attacks it nor beside which others.

    Args:
        rows: Positions in train, each once.
        examples: The training rows, with labels.
        attack: A recipe's.
        victim: Who is attacked.
        seed: Of random choices, together with a row's position.
        say: Told now and then how far it is.

    Returns:
        What became of each row, in the order of ``rows``.
    """
    labels: Any = examples.labels
    own = list(rows)[rank() :: world_size()]
    targets = [Target(i, texts_of(examples, i), int(labels[i])) for i in own]
    found: dict[int, Made] = {}
    meter, said = Meter(), 0.0
    for one in run_study(targets, attack, Models(victim), seed):
        found[one.id] = Made(one.attacked, one.status)
        seconds = meter.cost().seconds
        if seconds - said > _EVERY:
            said, left = seconds, seconds / len(found) * (len(own) - len(found))
            say(f"  attacks: {len(found):,} of {len(own):,} rows in {duration(seconds)}, about {duration(left)} left")
    every = {i: made for part in gather(found) for i, made in part.items()}
    return [every[i] for i in rows]


def texts_of(examples: Examples, position: int) -> tuple[str, ...]:
    """The one or two texts of an example."""
    pairs = examples.text_pair
    return (examples.text[position],) if pairs is None else (examples.text[position], pairs[position])
