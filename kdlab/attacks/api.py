"""Attacks from Python, on any function of texts."""

from __future__ import annotations

from collections.abc import Sequence

from kdlab.attacks import load_recipe
from kdlab.attacks.attempt import FIXED
from kdlab.attacks.engine import Models
from kdlab.attacks.kit import MASKED_LM, SENTENCE_ENCODER, Kit, kit_for
from kdlab.attacks.masked_words import MaskedWords
from kdlab.attacks.outcome import Outcome
from kdlab.attacks.sentences import SentenceEncoder
from kdlab.attacks.study import Target, replayed, run_study
from kdlab.attacks.victim import Call, CallableVictim, Victim
from kdlab.errors import KdlabError
from kdlab.models.checkpoint import resolve_checkpoint
from kdlab.models.encoder import usable_positions
from kdlab.models.generator import has_mlm_head, load_masked_lm
from kdlab.models.sentences import load_sentence_model
from kdlab.system.cache import Cache
from kdlab.system.quiet import quiet_libraries
from kdlab.transformations.resources import Resources

_LONGEST = 128


def attack(
    model: Call | Victim,
    texts: Sequence[str] | Sequence[tuple[str, str]],
    labels: Sequence[int],
    names: Sequence[str],
    recipe: str = "textfooler",
    *,
    seed: int = 0,
    mode: str = FIXED,
    sides: tuple[int, ...] | None = None,
    columns: tuple[str, ...] = (),
    resources: str | None = None,
    masked_lm: str | None = None,
    sentence_encoder: str | None = None,
    similarity: float | None = None,
) -> list[Outcome]:
    """Attacks texts side by side.

    Args:
        model: Called with a list of texts (or of pairs), gives a row of C logits for each; or a ``Victim``.
        texts: N texts, or pairs of texts.
        labels: Position of each one's label among the names.
        names: Of the C labels.
        recipe: A name of ``kdlab list recipes``, or ``path/to/file.py:Class``.
        seed: Of random choices, together with a text's position.
        mode: ``fixed``, or ``compat`` for TextAttack 0.3.11 with its faults.
        sides: Texts of a pair that may be changed, ``(1,)`` for the second; None leaves it to the recipe.
        columns: Names of the texts of a pair; TextFooler leaves a ``premise`` as it is.
        resources: Folder of lexical resources; None takes ``$KDLAB_RESOURCES``.
        masked_lm: Folder or hub name of a masked LM with its head, for recipes that need one.
        sentence_encoder: Folder or hub name of a BERT-like model, for recipes that need one.
        similarity: The similarity that passes; None takes the recipe's.

    Returns:
        An outcome for each text, in their order.

    Raises:
        KdlabError: Texts and labels don't fit each other, the model's answer is no table of logits, a model that the
            recipe needs isn't named, or anything else a user can get wrong.
    """
    quiet_libraries()
    pairs = [_parts(one) for one in texts]
    if len(pairs) != len(labels):
        raise KdlabError(f"There are {len(pairs)} texts and {len(labels)} labels: give a label for each text.")
    positions = range(len(names))
    wrong = next((label for label in labels if label not in positions), None)
    if wrong is not None:
        raise KdlabError(f"Label {wrong}: it is a position among {', '.join(names)}, from 0 to {len(names) - 1}.")
    kind = load_recipe(recipe)
    compat = mode != FIXED
    words = _masked_words(masked_lm, compat) if MASKED_LM in kind.needs else None
    kit: Kit = kit_for(
        kind.name or kind.__name__.lower(),
        kind.needs,
        pairs,
        Resources(resources, Cache()),
        columns=columns,
        sides=sides,
        similarity=similarity,
        mask="[MASK]" if words is None else words.mask,
    )
    victim = model if isinstance(model, Victim) else CallableVictim(model, names)
    encoder = _sentences(sentence_encoder) if SENTENCE_ENCODER in kind.needs else None
    models = Models(victim, words, encoder)
    targets = [Target(i, pair, int(label)) for i, (pair, label) in enumerate(zip(pairs, labels, strict=True))]
    outcomes = sorted(run_study(targets, kind().build(kit), models, seed, mode), key=lambda one: one.id)
    return replayed(outcomes, models)


def _parts(one: object) -> tuple[str, ...]:
    parts = (one,) if isinstance(one, str) else tuple(one) if isinstance(one, tuple | list) else ()
    texts = tuple(part for part in parts if isinstance(part, str))
    if len(parts) not in (1, 2) or texts != parts:
        raise KdlabError(f"{one!r} is neither a text nor a pair of texts.")
    return texts


def _masked_words(source: str | None, compat: bool) -> MaskedWords:
    if source is None:
        raise KdlabError("The recipe needs a masked LM: name one by masked_lm.")
    checkpoint = resolve_checkpoint(source, offline=False)
    if not has_mlm_head(checkpoint):
        raise KdlabError(f"{source} comes without a masked-LM head: name a pretrained masked LM.")
    length = min(_LONGEST, usable_positions(checkpoint.config))
    return MaskedWords(load_masked_lm(checkpoint, 0), length, compat)


def _sentences(source: str | None) -> SentenceEncoder:
    if source is None:
        raise KdlabError("The recipe needs a sentence encoder: name a BERT-like model by sentence_encoder.")
    checkpoint = resolve_checkpoint(source, offline=False)
    length = min(_LONGEST, usable_positions(checkpoint.config))
    return SentenceEncoder(load_sentence_model(checkpoint), checkpoint.tokenizer, length)
