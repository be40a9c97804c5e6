"""Whether two checkpoints use the same token ids."""

from __future__ import annotations

from kdlab.errors import KdlabError
from kdlab.models.checkpoint import Checkpoint


def check_one_vocabulary(first: tuple[str, Checkpoint], second: tuple[str, Checkpoint], why: str) -> None:
    """Checks that two checkpoints share one vocabulary, because one tokenised input feeds several networks.

    Args:
        first: Its role in the run, and the checkpoint.
        second: The same of the other one.
        why: End of the message: why they must agree and what to use instead.

    Raises:
        KdlabError: They differ; the message names both sizes and one word that differs.
    """
    (who, one), (other_who, other) = first, second
    ours, theirs = one.tokenizer.get_vocab(), other.tokenizer.get_vocab()
    if ours != theirs:
        odd = next(word for word in [*ours, *theirs] if ours.get(word) != theirs.get(word))
        raise KdlabError(
            f"{who} {one.source} ({len(ours)} tokens) and {other_who} {other.source} ({len(theirs)} tokens) have "
            f"different vocabularies (for one, '{odd}'): {why}."
        )
