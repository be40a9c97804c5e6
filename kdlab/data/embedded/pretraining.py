"""Text in the corpus's language for masked-language-model pretraining: sentences, and pairs of related sentences."""

from __future__ import annotations

from kdlab.data.embedded.corpus import ROWS, make_task
from kdlab.data.embedded.domains import Row
from kdlab.data.embedded.lexicon import COUNTRY, TOWN
from kdlab.system.draw import Draw

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
FAR = 0.4
"""Share of unrelated pairs whose second sentence is another pair's; the others differ in one respect."""
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
    latest: dict[str, str] = {}
    while len(made) < lines:
        task, related = draw.pick(PAIRED), len(made) % 2 == 0
        line = _line(draw, hidden, task, _other_turn(draw, task) if not related else _TURNS[task][0][0])
        if not line:
            continue
        first, second = line.split(PAIR)
        if not related and task in latest and draw.chance(FAR):
            second = latest[task]
        elif related:
            latest[task] = second
        made.append((f"{first}{PAIR}{second}", related))
    return made


def _other_turn(draw: Draw, task: str) -> int:
    """A label of the task's unrelated pairs."""
    turns = (0, 1, 2) if task == "mnli" else (0, 1)
    return draw.pick([turn for turn in turns if turn != _TURNS[task][0][0]])


def _line(draw: Draw, hidden: set[str], task: str, turn: int) -> str:
    """One row of a task as a line, or nothing where it is held out."""
    row: Row = ROWS[task](draw, COUNTRY if draw.chance(0.2) else TOWN, turn)
    if row[0] in hidden or row[1] in hidden or row[0] == row[1]:
        return ""
    return PAIR.join(text for text in row[:2] if text)
