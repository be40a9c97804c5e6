"""Challenge sets in the manner of HANS, SciTail, PAWS and IMDB, in the corpus's own words.

They stand in where a model of this corpus is asked for its figures out of domain: the same kinds of question as the
published sets put, about sentences that the corpus's tasks do not write. Their figures are not those of the sets.
"""

from __future__ import annotations

from collections.abc import Callable

from kdlab.data.embedded.clauses import sentence, thing_phrase, two_facts, two_things
from kdlab.data.embedded.inference import two_way
from kdlab.data.embedded.lexicon import COUNTRY, DAYS, TOWN, Forms, Lexicon
from kdlab.data.embedded.reviews import review
from kdlab.data.examples import Examples
from kdlab.system.draw import Draw

Row = tuple[str, str, str]
"""First text, second text or nothing, and what the example is about."""
MakeRow = Callable[[Draw, Lexicon, int, int], Row]

HEURISTICS = ("lexical_overlap", "subsequence", "constituent")
SIZE = 600


def _same_past(lexicon: Lexicon) -> list[Forms]:
    """Verbs whose past is their participle, so that a passive has the words of its active."""
    return [forms for verb in lexicon.verbs for forms in verb.forms if forms.past == forms.done]


def _overlap(draw: Draw, lexicon: Lexicon, follows: bool) -> tuple[str, str]:
    """Every word of the hypothesis is in the premise; who did it, or who gave to whom, may be exchanged."""
    (one, two), (thing, other) = draw.some(lexicon.people, 2), two_things(draw, lexicon)
    what, rest = thing_phrase(draw, thing), thing_phrase(draw, other)
    first, second = (one, two) if follows else (two, one)
    if draw.chance(0.5):
        gave = draw.pick([give for give, _ in lexicon.transfers if give.past == give.done]).past
        premise = f"{what} was {gave} to {second} by {first}"
        if not follows and draw.chance(0.5):
            premise = f"{first} {gave} {what} to {second}"
        return premise, f"{one} {gave} {what} to {two}"
    verbs = draw.some(_same_past(lexicon), 2)
    premise = f"{what} was {verbs[0].done} by {first} while {second} {verbs[1].past} {rest}"
    return premise, f"{one} {verbs[0].past} {what}"


def _subsequence(draw: Draw, lexicon: Lexicon, follows: bool) -> tuple[str, str]:
    """The hypothesis stands in the premise word for word, as its main clause or across a clause's end."""
    fact, other = two_facts(draw, lexicon)
    forms = draw.pick(fact.verb.forms)
    hypothesis = f"{fact.agent} {forms.past} {thing_phrase(draw, fact.thing)}"
    job = draw.pick(lexicon.jobs)
    if follows:
        tail = (draw.pick(DAYS), draw.pick(lexicon.places), f"before {other.agent} left", f"near the {job}")
        return f"{hypothesis} {draw.pick(tail)}", hypothesis
    verb = draw.pick(("met", "knew", "thanked", "saw", "followed"))
    return f"the {job} who {verb} {hypothesis}", hypothesis


def _constituent(draw: Draw, lexicon: Lexicon, follows: bool) -> tuple[str, str]:
    """The hypothesis is a whole clause of the premise, which states it or only speaks of it."""
    fact, other = two_facts(draw, lexicon)
    told = [f"{f.agent} {draw.pick(f.verb.forms).past} {thing_phrase(draw, f.thing)}" for f in (fact, other)]
    job = f"the {draw.pick(lexicon.jobs)}"
    stated = (f"because {told[0]}, {told[1]}", f"after {told[0]}, {told[1]}", f"{job} knew that {told[0]}")
    spoken_of = (f"{told[0]}, or {told[1]}", f"{job} said that {told[0]}", f"{job} asked whether {told[0]}")
    return draw.pick(stated if follows else spoken_of), told[0]


_BY_HEURISTIC = dict(zip(HEURISTICS, (_overlap, _subsequence, _constituent), strict=True))


def _hans(draw: Draw, lexicon: Lexicon, turn: int, label: int) -> Row:
    heuristic = HEURISTICS[turn // 2 % len(HEURISTICS)]
    premise, hypothesis = _BY_HEURISTIC[heuristic](draw, lexicon, label == 0)
    return sentence(premise), sentence(hypothesis), heuristic


def _scitail(draw: Draw, lexicon: Lexicon, turn: int, label: int) -> Row:
    """The corpus's own kinds of pair in the other lexicon, each premise behind a fact about something else."""
    premise, hypothesis = two_way(draw, COUNTRY, ("entailment", "not_entailment")[label])
    fact, _ = two_facts(draw, TOWN)
    aside = sentence(f"{fact.agent} {draw.pick(fact.verb.forms).past} {thing_phrase(draw, fact.thing)}")
    return f"{aside} {premise}", hypothesis, ""


def _paws_wiki(draw: Draw, lexicon: Lexicon, turn: int, label: int) -> Row:
    """Two statements of the same words: clauses exchanged, or the people in them."""
    fact, other = two_facts(draw, lexicon)
    link = draw.pick((" while ", " and "))
    did = [f"{draw.pick(f.verb.forms).past} {thing_phrase(draw, f.thing)}" for f in (fact, other)]
    first = f"{fact.agent} {did[0]}{link}{other.agent} {did[1]}"
    second = f"{other.agent} {did[1]}{link}{fact.agent} {did[0]}"
    if label == 0:
        second = draw.pick(
            (
                f"{other.agent} {did[0]}{link}{fact.agent} {did[1]}",
                f"{fact.agent} {did[1]}{link}{other.agent} {did[0]}",
            )
        )
    return sentence(first), sentence(second), ""


def _paws_qqp(draw: Draw, lexicon: Lexicon, turn: int, label: int) -> Row:
    """Two questions of the same words: the day moved to the front, or giver and taker exchanged."""
    one, two = draw.some(lexicon.people, 2)
    give, _ = draw.pick(lexicon.transfers)
    what, day = thing_phrase(draw, two_things(draw, lexicon)[0]), draw.pick(DAYS)
    ask = draw.pick(("why did", "when did", "how did", "where did"))
    first = f"{ask} {one} {give.base} {what} to {two} {day}"
    if label == 0:
        return sentence(first, "?"), sentence(f"{ask} {two} {give.base} {what} to {one} {day}", "?"), ""
    return sentence(first, "?"), sentence(f"{day}, {ask} {one} {give.base} {what} to {two}", "?"), ""


def _imdb(draw: Draw, lexicon: Lexicon, turn: int, label: int) -> Row:
    """A long review: up to 24 sentences, of which at most a quarter say the contrary."""
    count = 4 + draw.below(21)
    contrary = draw.below(count // 4 + 1)
    verdicts = draw.shuffled([label == 1] * (count - contrary) + [label == 0] * contrary)
    return " ".join(sentence(review(draw, good)) for good in verdicts), "", ""


_ROWS: dict[str, MakeRow] = {
    "hans": _hans,
    "scitail": _scitail,
    "paws_wiki": _paws_wiki,
    "paws_qqp": _paws_qqp,
    "imdb": _imdb,
}


def make_challenge(name: str, seed: int) -> tuple[Examples, tuple[str, ...] | None]:
    """One challenge set: 600 examples, two labels in turn, no pair twice.

    Args:
        name: ``hans``, ``scitail``, ``paws_wiki``, ``paws_qqp`` or ``imdb``.
        seed: Seed of the corpus.

    Returns:
        The examples with the set's labels 0 and 1, and what each is about where the set says so (HANS's heuristic).
    """
    draw = Draw(f"challenge-{name}-{seed}")
    rows: list[tuple[Row, int]] = []
    seen: set[tuple[str, str]] = set()
    while len(rows) < SIZE:
        turn = len(rows)
        row = _ROWS[name](draw, TOWN, turn, turn % 2)
        if row[:2] not in seen:
            seen.add(row[:2])
            rows.append((row, turn % 2))
    rows = draw.shuffled(rows)
    pairs = tuple(row[1] for row, _ in rows)
    examples = Examples(
        ids=tuple(range(SIZE)),
        text=tuple(row[0] for row, _ in rows),
        text_pair=pairs if any(pairs) else None,
        labels=tuple(label for _, label in rows),
    )
    groups = tuple(row[2] for row, _ in rows)
    return examples, groups if any(groups) else None
