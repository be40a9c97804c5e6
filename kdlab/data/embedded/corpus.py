"""Splits of every task: balanced, disjoint, and the same for the same seed everywhere."""

from __future__ import annotations

from collections.abc import Callable

from kdlab.data.embedded.acceptability import judged
from kdlab.data.embedded.clauses import sentence
from kdlab.data.embedded.domains import DOMAINS, Row, row_of, size_of
from kdlab.data.embedded.inference import three_way, two_way
from kdlab.data.embedded.lexicon import COUNTRY, TOWN, Lexicon
from kdlab.data.embedded.paraphrase import graded, news
from kdlab.data.embedded.pronouns import resolved
from kdlab.data.embedded.questions import answered_question, same_question
from kdlab.data.embedded.reviews import review
from kdlab.data.examples import Examples
from kdlab.data.tasks import get_task
from kdlab.system.draw import Draw

MakeRow = Callable[[Draw, Lexicon, int], Row]

NLI_LABELS = ("entailment", "neutral", "contradiction")
SCORE_STEPS = 7


def _rte(draw: Draw, lexicon: Lexicon, turn: int) -> Row:
    return *two_way(draw, lexicon, ("entailment", "not_entailment")[turn % 2]), turn % 2


def _mnli(draw: Draw, lexicon: Lexicon, turn: int) -> Row:
    return *three_way(draw, lexicon, NLI_LABELS[turn % 3]), turn % 3


def _mrpc(draw: Draw, lexicon: Lexicon, turn: int) -> Row:
    return *news(draw, lexicon, turn % 2 == 1), turn % 2


def _qqp(draw: Draw, lexicon: Lexicon, turn: int) -> Row:
    return *same_question(draw, lexicon, turn % 2 == 1), turn % 2


def _qnli(draw: Draw, lexicon: Lexicon, turn: int) -> Row:
    return *answered_question(draw, lexicon, turn % 2 == 0), turn % 2


def _wnli(draw: Draw, lexicon: Lexicon, turn: int) -> Row:
    return *resolved(draw, lexicon, turn % 2 == 1), turn % 2


def _stsb(draw: Draw, lexicon: Lexicon, turn: int) -> Row:
    return graded(draw, lexicon, turn % SCORE_STEPS)


def _sst2(draw: Draw, lexicon: Lexicon, turn: int) -> Row:
    return sentence(review(draw, turn % 2 == 1)), "", turn % 2


def _cola(draw: Draw, lexicon: Lexicon, turn: int) -> Row:
    return sentence(judged(draw, lexicon, turn % 2 == 1)), "", turn % 2


ROWS: dict[str, MakeRow] = {
    "cola": _cola,
    "sst2": _sst2,
    "mrpc": _mrpc,
    "stsb": _stsb,
    "qqp": _qqp,
    "mnli": _mnli,
    "qnli": _qnli,
    "rte": _rte,
    "wnli": _wnli,
    "ax": _mnli,
}
TRAIN_SIZES = {"rte": 2500, "wnli": 2500, "mnli": 4002}
SIZES = {"dev": 900, "dev_mm": 900, "test": 300, "test_mm": 300}
DEFAULT_TRAIN_SIZE = 3500


def size(task: str, split: str) -> int:
    """How many examples a split has."""
    if task in DOMAINS:
        return size_of(task, split)
    return SIZES[split] if split in SIZES else TRAIN_SIZES.get(task, DEFAULT_TRAIN_SIZE)


def make_split(task: str, seed: int, split: str, seen: set[str]) -> Examples:
    """One split, without any sentence of ``seen`` and without repeated rows.

    Args:
        task: Task name.
        seed: Seed of the corpus.
        split: Split name; ``dev_mm`` and ``test_mm`` take the other lexicon, the test split of AX takes both.
        seen: Sentences of the splits made before; this split's are added.

    Returns:
        The examples, shuffled, with labels (the caller takes them from unlabelled splits).
    """
    spec, draw = get_task(task), Draw(f"{task}-{seed}-{split}")
    rows: list[Row] = []
    mine: set[str] = set()
    pairs: set[tuple[str, str]] = set()
    while len(rows) < size(task, split):
        lexicon = COUNTRY if split.endswith("_mm") or (task == "ax" and draw.chance(0.3)) else TOWN
        row = row_of(task)(draw, len(rows)) if task in DOMAINS else ROWS[task](draw, lexicon, len(rows))
        if row[0] == row[1] or row[0] in seen or row[1] in seen or (row[0], row[1]) in pairs:
            continue
        rows.append(row)
        pairs.add((row[0], row[1]))
        mine.update(text for text in row[:2] if text)
    seen.update(mine)
    rows = draw.shuffled(rows)
    labels: tuple[int, ...] | tuple[float, ...]
    labels = tuple(float(row[2]) for row in rows) if spec.regression else tuple(int(row[2]) for row in rows)
    return Examples(
        ids=tuple(range(len(rows))),
        text=tuple(row[0] for row in rows),
        text_pair=tuple(row[1] for row in rows) if spec.text_pair else None,
        labels=labels,
    )


def make_task(task: str, seed: int) -> dict[str, Examples]:
    """Every split of a task; test splits have labels where the task's are labelled."""
    spec = get_task(task)
    splits: dict[str, Examples] = {}
    seen: set[str] = set()
    if spec.train_task is not None:
        borrowed = make_task(spec.train_task, seed)
        splits = {split: borrowed[split] for split in spec.splits if not split.startswith("test")}
        for examples in borrowed.values():
            seen.update(examples.text, examples.text_pair or ())
    for split in spec.splits:
        if split not in splits:
            made = make_split(task, seed, split, seen)
            unlabelled = split in spec.unlabelled_splits
            splits[split] = Examples(made.ids, made.text, made.text_pair, None) if unlabelled else made
    return splits
