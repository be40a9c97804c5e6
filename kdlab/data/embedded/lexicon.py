"""The words of the embedded corpus: people, jobs, things by kind, verbs by meaning, and their forms."""

from __future__ import annotations

from dataclasses import dataclass


def words(text: str, sep: str = " ") -> tuple[str, ...]:
    """The words of a list written as one text."""
    return tuple(text.split(sep))


NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")

WOMEN = words("Anna Clara Emma Grace Laura Maria Nora Rosa Susan Vera")
MEN = words("Adam Ben Carl David Frank Henry Ivan Luke Peter Tom")
MORE_PEOPLE = words("Abigail Bruno Cecil Flora Hilda Jasper Kate Leo")

ADJECTIVES = words("big small red blue cheap old new wooden")

SYNONYMS: dict[str, tuple[str, ...]] = {
    word: words(group)
    for group in (
        "car automobile",
        "phone telephone",
        "shovel spade",
        "pig hog",
        "doctor physician",
        "lawyer attorney",
        "big large",
        "small little",
        "cheap inexpensive",
    )
    for word in words(group)
}

_IRREGULAR = {
    "goose": "geese",
    "scarf": "scarves",
    "child": "children",
}


def plural(noun: str) -> str:
    """The plural of a noun."""
    if noun in _IRREGULAR:
        return _IRREGULAR[noun]
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return noun[:-1] + "ies"
    if noun.endswith(("s", "sh", "ch", "x", "potato")):
        return noun + "es"
    return noun + "s"


def a(phrase: str) -> str:
    """The phrase with ``a`` or ``an`` before it."""
    return ("an " if phrase[0].lower() in "aeiou" else "a ") + phrase


@dataclass(frozen=True)
class Forms:
    """One verb: base, past, past participle and -ing form."""

    base: str
    past: str
    done: str
    doing: str

    @property
    def present(self) -> str:
        """Third person singular."""
        if self.base.endswith("y") and self.base[-2] not in "aeiou":
            return self.base[:-1] + "ies"
        return self.base + ("es" if self.base.endswith(("s", "sh", "ch", "x", "o")) else "s")


@dataclass(frozen=True)
class Verb:
    """One meaning: the verbs that express it."""

    forms: tuple[Forms, ...]


def _verbs(*lines: str) -> tuple[Verb, ...]:
    """Meanings from lines of ``base past participle ing / base past participle ing``."""
    return tuple(Verb(tuple(Forms(*verb.split()) for verb in line.split(" / "))) for line in lines)


def _kinds(*lines: str) -> dict[str, tuple[str, ...]]:
    """Kinds from lines of ``kind: member member``."""
    return {line.split(": ")[0]: tuple(line.split(": ")[1].split()) for line in lines}


@dataclass(frozen=True)
class Lexicon:
    """The words of one group of genres.

    Attributes:
        people: First names.
        jobs: What people are.
        kinds: A kind of thing to its members (``fruit`` to ``apple``, ``pear``).
        verbs: What is done to things.
        places: Where, with its preposition.
        joins: How two clauses are joined where neither contrasts.
        contrasts: How two clauses are joined where one is denied.
        transfers: Giver's verb in four forms, its preposition, taker's verb in four forms.
        orders: A relation and its converse, with the words before ``than``, ``before`` or ``after``.
    """

    people: tuple[str, ...]
    jobs: tuple[str, ...]
    kinds: dict[str, tuple[str, ...]]
    verbs: tuple[Verb, ...]
    places: tuple[str, ...]
    joins: tuple[str, ...]
    contrasts: tuple[str, ...]
    transfers: tuple[tuple[Forms, tuple[Forms, ...]], ...]
    orders: tuple[tuple[str, str], ...]

    def kind_of(self, noun: str) -> str:
        """The kind a thing belongs to."""
        return next(kind for kind, members in self.kinds.items() if noun in members)


DAYS = tuple(f"on {day}" for day in ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"])

_GIVE = Forms("give", "gave", "given", "giving")
_SELL = Forms("sell", "sold", "sold", "selling")
_LEND = Forms("lend", "lent", "lent", "lending")
_HAND = Forms("hand", "handed", "handed", "handing")
_BUY = Forms("buy", "bought", "bought", "buying")
_PURCHASE = Forms("purchase", "purchased", "purchased", "purchasing")
_BORROW = Forms("borrow", "borrowed", "borrowed", "borrowing")
_GET = Forms("get", "got", "got", "getting")

TOWN = Lexicon(
    people=WOMEN + MEN,
    jobs=words("nurse pilot baker farmer doctor lawyer"),
    kinds=_kinds(
        "instrument: guitar violin flute drum",
        "vehicle: car van truck scooter",
        "tool: hammer saw drill shovel",
        "garment: coat shirt scarf skirt",
        "fruit: apple pear plum lemon",
        "device: phone camera radio printer",
    ),
    verbs=_verbs(
        "repair repaired repaired repairing / fix fixed fixed fixing",
        "find found found finding / discover discovered discovered discovering",
        "lose lost lost losing",
        "clean cleaned cleaned cleaning",
        "hide hid hidden hiding / conceal concealed concealed concealing",
        "steal stole stolen stealing",
        "carry carried carried carrying",
        "paint painted painted painting",
    ),
    places=words("at the market/in the park/at the museum/in the kitchen/at the school/in the office", "/"),
    joins=(", and", ", while", "."),
    contrasts=(", but", ", while", "."),
    transfers=((_GIVE, (_GET,)), (_SELL, (_BUY, _PURCHASE)), (_LEND, (_BORROW,))),
    orders=(
        ("is older than", "is younger than"),
        ("is taller than", "is shorter than"),
        ("is richer than", "is poorer than"),
        ("arrived before", "arrived after"),
        ("left before", "left after"),
    ),
)

COUNTRY = Lexicon(
    people=MORE_PEOPLE,
    jobs=words("sailor miller shepherd hunter"),
    kinds=_kinds(
        "animal: goat horse donkey pig",
        "bird: duck hen goose swan",
        "boat: canoe ferry raft barge",
        "container: basket bucket barrel jar",
    ),
    verbs=_verbs(
        "fetch fetched fetched fetching / bring brought brought bringing",
        "guard guarded guarded guarding / protect protected protected protecting",
        "weigh weighed weighed weighing",
        "rent rented rented renting / hire hired hired hiring",
        "move moved moved moving",
    ),
    places=words("in the barn/at the harbor/in the field/at the mill/in the valley", "/"),
    joins=(", whereas", ".", ", and"),
    contrasts=(", yet", ", whereas", "."),
    transfers=((_HAND, (_GET,)), (_SELL, (_BUY, _PURCHASE)), (_LEND, (_BORROW,))),
    orders=(
        ("is stronger than", "is weaker than"),
        ("is louder than", "is quieter than"),
        ("woke before", "woke after"),
    ),
)
