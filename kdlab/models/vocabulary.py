"""Whether two checkpoints read and write the same ids."""

from __future__ import annotations

from kdlab.errors import KdlabError
from kdlab.models.checkpoint import Checkpoint


def check_one_vocabulary(first: tuple[str, Checkpoint], second: tuple[str, Checkpoint], why: str) -> None:
    """One tokenised input feeds several networks, so their vocabularies must be one.

    Args:
        first: What it is in the run, and the checkpoint.
        second: The other one.
        why: Ends the sentence: what depends on it and what to take instead.

    Raises:
        KdlabError: They differ; it names both sizes and an odd word.
    """
    (who, one), (other_who, other) = first, second
    ours, theirs = one.tokenizer.get_vocab(), other.tokenizer.get_vocab()
    if ours != theirs:
        odd = next(word for word in [*ours, *theirs] if ours.get(word) != theirs.get(word))
        raise KdlabError(
            f"{who} {one.source} ({len(ours)} tokens) and {other_who} {other.source} ({len(theirs)} tokens) have "
            f"different vocabularies (for one, '{odd}'): {why}."
        )
