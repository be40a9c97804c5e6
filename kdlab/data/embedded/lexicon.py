"""The words of the embedded corpus: people, jobs, things by kind, verbs by meaning, and their forms."""

from __future__ import annotations

from dataclasses import dataclass


def words(text: str, sep: str = " ") -> tuple[str, ...]:
    """The words of a list written as one text."""
    return tuple(text.split(sep))


NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")

WOMEN = words(
    "Anna Clara Diana Emma Fiona Grace Helen Irene Julia Laura Maria Nora Olivia Paula Rosa Sarah Susan Tina Vera Wendy"
)
MEN = words(
    "Adam Ben Carl David Eric Frank George Henry Ivan James Kevin Luke Martin Nathan Oscar Peter "
    "Robert Simon Tom Victor"
)
MORE_PEOPLE = words("Abigail Bruno Cecil Dora Edgar Flora Gilbert Hilda Jasper Kate Leo Mabel")

ADJECTIVES = words("big small red blue green black white yellow cheap expensive old new heavy beautiful strange wooden")

SYNONYMS: dict[str, tuple[str, ...]] = {
    word: tuple(group.split())
    for group in (
        "car automobile",
        "bicycle bike",
        "phone telephone",
        "shovel spade",
        "sweater pullover",
        "pig hog",
        "boat vessel",
        "crate box",
        "doctor physician",
        "lawyer attorney",
        "teacher instructor",
        "singer vocalist",
        "cook chef",
        "author writer",
        "big large",
        "small little",
        "cheap inexpensive",
        "expensive costly",
        "beautiful lovely",
        "strange odd",
    )
    for word in group.split()
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
_SEND = Forms("send", "sent", "sent", "sending")
_HAND = Forms("hand", "handed", "handed", "handing")
_BUY = Forms("buy", "bought", "bought", "buying")
_PURCHASE = Forms("purchase", "purchased", "purchased", "purchasing")
_BORROW = Forms("borrow", "borrowed", "borrowed", "borrowing")
_RECEIVE = Forms("receive", "received", "received", "receiving")
_GET = Forms("get", "got", "got", "getting")
_OBTAIN = Forms("obtain", "obtained", "obtained", "obtaining")

TOWN = Lexicon(
    people=WOMEN + MEN,
    jobs=words("nurse pilot baker farmer judge painter doctor lawyer teacher singer cook author driver student"),
    kinds=_kinds(
        "instrument: guitar violin flute trumpet drum",
        "vehicle: car van truck bicycle scooter",
        "tool: hammer saw drill shovel wrench",
        "flower: rose tulip daisy lily orchid",
        "garment: coat shirt scarf skirt sweater",
        "toy: doll kite puzzle robot balloon",
        "fruit: apple pear plum peach lemon",
        "device: phone camera radio printer tablet",
        "book: novel dictionary atlas diary cookbook",
    ),
    verbs=_verbs(
        "repair repaired repaired repairing / fix fixed fixed fixing / mend mended mended mending",
        "find found found finding / discover discovered discovered discovering",
        "lose lost lost losing / misplace misplaced misplaced misplacing",
        "clean cleaned cleaned cleaning",
        "hide hid hidden hiding / conceal concealed concealed concealing",
        "steal stole stolen stealing",
        "draw drew drawn drawing / sketch sketched sketched sketching",
        "choose chose chosen choosing / pick picked picked picking / select selected selected selecting",
        "carry carried carried carrying",
        "examine examined examined examining / inspect inspected inspected inspecting",
        "photograph photographed photographed photographing",
        "damage damaged damaged damaging",
        "buy bought bought buying / purchase purchased purchased purchasing",
        "admire admired admired admiring / praise praised praised praising",
    ),
    places=words(
        "at the market/in the library/in the park/at the museum/in the garage/at the station/in the "
        "kitchen/in the garden/at the school/in the office/at the hotel/at the theater",
        sep="/",
    ),
    joins=(", and", ", while", ".", " and"),
    contrasts=(", but", ", while", ".", ", although"),
    transfers=(
        (_GIVE, (_GET, _RECEIVE)),
        (_SELL, (_BUY, _PURCHASE)),
        (_LEND, (_BORROW,)),
        (_SEND, (_GET, _RECEIVE)),
    ),
    orders=(
        ("is older than", "is younger than"),
        ("is taller than", "is shorter than"),
        ("is faster than", "is slower than"),
        ("is richer than", "is poorer than"),
        ("arrived before", "arrived after"),
        ("left before", "left after"),
        ("called before", "called after"),
    ),
)

COUNTRY = Lexicon(
    people=MORE_PEOPLE,
    jobs=words("sailor miller fisher shepherd gardener hunter carpenter"),
    kinds=_kinds(
        "animal: goat horse donkey rabbit pig",
        "bird: duck hen goose turkey swan",
        "boat: canoe ferry yacht raft barge",
        "vegetable: carrot onion potato cabbage turnip",
        "container: basket bucket barrel crate jar",
    ),
    verbs=_verbs(
        "fetch fetched fetched fetching / bring brought brought bringing",
        "guard guarded guarded guarding / protect protected protected protecting",
        "weigh weighed weighed weighing",
        "order ordered ordered ordering / request requested requested requesting",
        "rent rented rented renting / hire hired hired hiring",
        "move moved moved moving",
        "notice noticed noticed noticing / spot spotted spotted spotting",
    ),
    places=words(
        "in the barn/in the stable/in the orchard/at the harbor/in the field/at the mill/on the dock/in "
        "the cellar/in the meadow/in the valley",
        sep="/",
    ),
    joins=(", whereas", ".", ", and", " and"),
    contrasts=(", yet", ", whereas", "."),
    transfers=((_HAND, (_GET, _OBTAIN)), (_SELL, (_BUY, _OBTAIN)), (_LEND, (_BORROW,))),
    orders=(
        ("is stronger than", "is weaker than"),
        ("is louder than", "is quieter than"),
        ("woke before", "woke after"),
        ("is heavier than", "is lighter than"),
    ),
)
