"""Whether two checkpoints read texts to the same token ids."""

from __future__ import annotations

from collections.abc import Sequence

from kdlab.errors import KdlabError
from kdlab.models.checkpoint import Checkpoint
from kdlab.models.tokenizer import behave_alike, first_difference
from kdlab.system.shown import clipped, shown


def check_one_vocabulary(
    first: tuple[str, Checkpoint], second: tuple[str, Checkpoint], why: str, texts: Sequence[str]
) -> None:
    """Checks that two checkpoints read texts alike, because one tokenised input feeds several networks.

    Args:
        first: Its role in the run, and the checkpoint.
        second: The same of the other one.
        why: End of the message: why they must agree and what to use instead.
        texts: Texts of the task, on which tokenizers that are not equal are compared.

    Raises:
        KdlabError: Their vocabularies differ (the message names both sizes and one word that differs), or they split or
            spell one of the texts differently.
    """
    (who, one), (other_who, other) = first, second
    if one.tokenizer_fingerprint == other.tokenizer_fingerprint or behave_alike(one.tokenizer, other.tokenizer):
        return
    ours, theirs = one.tokenizer.get_vocab(), other.tokenizer.get_vocab()
    if ours != theirs:
        odd = next(word for word in [*ours, *theirs] if ours.get(word) != theirs.get(word))
        raise KdlabError(
            f"{who} {one.source} ({len(ours)} tokens) and {other_who} {other.source} ({len(theirs)} tokens) have "
            f"different vocabularies (for one, '{clipped(shown(odd), 60)}'): {why}."
        )
    text = first_difference(one.tokenizer, other.tokenizer, texts)
    if text is not None:
        raise KdlabError(
            f"{who} {one.source} and {other_who} {other.source} have one vocabulary, but their tokenizers read "
            f"'{clipped(shown(text), 60)}' differently (capitals, accents or special tokens; compare their "
            f"tokenizer_config.json): {why}."
        )
