"""A classifier that only answers: what its logits don't depend on is left out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from kdlab.models.encoder import TextEncoder
from kdlab.models.last_layer import first_token_alone
from kdlab.models.packed import packed


@contextmanager
def answering(encoder: TextEncoder) -> Iterator[None]:
    """A classifier in eval mode that gives logits at the least cost, for as long as this lasts.

    Its last layer answers for the first token alone, and linear layers are packed where that is of use. A compiled one
    stays as it is.
    """
    if encoder.compiled is not None:
        yield
        return
    with packed(encoder), first_token_alone(encoder):
        yield
