"""Text in the corpus's language for masked-language-model pretraining: sentences, and pairs of related sentences."""

from __future__ import annotations

from kdlab.data.embedded.corpus import ROWS, Row, make_task
from kdlab.data.embedded.draw import Draw
from kdlab.data.embedded.lexicon import COUNTRY, TOWN

LINES = 120_000
PAIR = "\t"
# The label whose sentences are related (a paraphrase, an answer, a consequence) or acceptable, by task, and how often.
_TURNS: dict[str, tuple[tuple[int, ...], int]] = {
    "rte": ((0,), 5),
    "mnli": ((0,), 5),
    "mrpc": ((1,), 5),
    "qqp": ((1,), 4),
    "qnli": ((0,), 4),
    "stsb": ((0, 1), 2),
    "sst2": ((0, 1), 2),
    "cola": ((1,), 2),
    "wnli": ((1,), 1),
}
PAIRED = ("rte", "mnli", "mrpc", "qqp", "qnli", "wnli")


def held_out(seed: int) -> set[str]:
    """Every sentence of every dev and test split."""
    texts: set[str] = set()
    for task in ROWS:
        for split, examples in make_task(task, seed).items():
            if split != "train":
                texts.update(examples.text, examples.text_pair or ())
    return texts


def make_text(seed: int, lines: int = LINES) -> list[str]:
    """Lines of one sentence, or of two related sentences with a tab between them.

    No line holds a sentence of a dev or test split of the same seed.
    """
    draw, hidden = Draw(f"pretraining-{seed}"), held_out(seed)
    tasks = [task for task, (_, weight) in _TURNS.items() for _ in range(weight)]
    made: list[str] = []
    while len(made) < lines:
        task = draw.pick(tasks)
        line = _line(draw, hidden, task, draw.pick(_TURNS[task][0]))
        if line:
            made.append(line)
    return made


def make_pairs(seed: int, lines: int = LINES) -> list[tuple[str, bool]]:
    """Pairs with a tab between the sentences, and whether they are related; half are.

    No pair holds a sentence of a dev or test split of the same seed.
    """
    draw, hidden = Draw(f"pairs-{seed}"), held_out(seed)
    made: list[tuple[str, bool]] = []
    while len(made) < lines:
        task, related = draw.pick(PAIRED), len(made) % 2 == 0
        first = _TURNS[task][0][0]
        turn = (
            first
            if related
            else draw.pick([turn for turn in ((0, 1, 2) if task == "mnli" else (0, 1)) if turn != first])
        )
        line = _line(draw, hidden, task, turn)
        if line:
            made.append((line, related))
    return made


def _line(draw: Draw, hidden: set[str], task: str, turn: int) -> str:
    """One row of a task as a line, or nothing where it is held out."""
    row: Row = ROWS[task](draw, COUNTRY if draw.chance(0.2) else TOWN, turn)
    if row[0] in hidden or row[1] in hidden or row[0] == row[1]:
        return ""
    return PAIR.join(text for text in row[:2] if text)
