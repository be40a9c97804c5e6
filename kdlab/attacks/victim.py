"""Who is attacked: an encoder with its tokenizer, or anything that gives logits of texts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from kdlab.attacks.passes import Inputs, Passes
from kdlab.errors import KdlabError
from kdlab.models.answering import answering
from kdlab.models.encoder import TextEncoder


class Victim(ABC):
    """Answers texts with logits.

    Attributes:
        labels: Names of its outputs, in their order.
    """

    labels: tuple[str, ...]

    @abstractmethod
    def logits(self, texts: Sequence[tuple[str, ...]]) -> Tensor:
        """Logits of examples, ``(N, C)`` on the CPU.

        Args:
            texts: N examples, each one text or two.
        """

    @contextmanager
    def many_questions(self) -> Iterator[None]:
        """Many are asked while this lasts, and weights stay as they are."""
        yield


class EncoderVictim(Victim):
    """An encoder in eval mode.

    Args:
        encoder: The model, whose outputs stand in the order of ``labels``.
        labels: Names of its outputs.
        tokenizer: Its own.
        max_length: Longest input in tokens.
        device: Where it runs.
        budget: Of a batch; see ``Passes``.
    """

    def __init__(
        self,
        encoder: TextEncoder,
        labels: Sequence[str],
        tokenizer: Any,
        max_length: int,
        device: torch.device | str = "cpu",
        budget: tuple[int, int] | None = None,
    ) -> None:
        self.labels = tuple(labels)
        self.encoder = encoder.to(device).eval()
        self._passes = Passes(tokenizer, max_length, torch.device(device), budget)
        self._dtype = next(encoder.parameters()).dtype

    def logits(self, texts: Sequence[tuple[str, ...]]) -> Tensor:
        """See ``Victim.logits``."""
        with answering(self.encoder):
            rows = self._passes.run(texts, self._answer, self.encoder.num_outputs, self._dtype)
        if not rows.isfinite().all():
            raise KdlabError("The model that is attacked gives logits that are no numbers: its training has diverged.")
        return rows

    @contextmanager
    def many_questions(self) -> Iterator[None]:
        """See ``Victim.many_questions``: weights are packed once."""
        with answering(self.encoder):
            yield

    def _answer(self, inputs: Inputs) -> Tensor:
        return self.encoder(inputs.ids, inputs.mask, inputs.types).logits  # type: ignore[no-any-return]


Call = Callable[[list[Any]], Any]


class CallableVictim(Victim):
    """Any function of a list of texts that gives a row of logits for each.

    Args:
        call: Called with a list of texts, or of pairs of texts; its answer is a tensor, an array or lists of numbers.
        labels: Names of its outputs.
        batch_size: Texts at a time.
    """

    def __init__(self, call: Call, labels: Sequence[str], batch_size: int = 256) -> None:
        self.labels = tuple(labels)
        self._call = call
        self._batch = batch_size

    def logits(self, texts: Sequence[tuple[str, ...]]) -> Tensor:
        """See ``Victim.logits``.

        Raises:
            KdlabError: It gives another number of rows or columns, or what is no number.
        """
        items = [text[0] if len(text) == 1 else text for text in texts]
        parts = [self._rows(items[i : i + self._batch]) for i in range(0, len(items), self._batch)]
        return torch.cat(parts) if parts else torch.empty(0, len(self.labels))

    def _rows(self, items: list[Any]) -> Tensor:
        answer = self._call(items)
        try:
            rows = torch.as_tensor(answer).detach().cpu()
        except (TypeError, ValueError, RuntimeError) as error:
            raise KdlabError(
                f"The victim's answer to {len(items)} texts is no table of numbers ({error}): have it give a row of "
                f"{len(self.labels)} logits for each text."
            ) from error
        if rows.ndim != 2 or rows.shape != (len(items), len(self.labels)):
            raise KdlabError(
                f"The victim answers {len(items)} texts with numbers of shape {tuple(rows.shape)}, and "
                f"{(len(items), len(self.labels))} is needed: have it give a row of {len(self.labels)} logits for each."
            )
        if rows.dtype not in (torch.float32, torch.float64):
            rows = rows.float()
        if not rows.isfinite().all():
            at = int((~rows.isfinite().all(1)).nonzero()[0])
            raise KdlabError(f"The victim's answer to '{str(items[at])[:60]}' is no number: {rows[at].tolist()}.")
        return rows
