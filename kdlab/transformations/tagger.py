"""Parts of speech of candidates for one place of a text, as TextAttack's attacks ask NLTK for them."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kdlab.transformations.perceptron import Perceptron
from kdlab.transformations.tables import Origin

_RESULTS = 1 << 17  # some 20 MB
_WORDS = 1 << 16
_START, _END = ("-START-", "-START2-"), ("-END-", "-END2-")

_UNIVERSAL = """
    .: # $ '' , -LRB- -RRB- . : `` ( ) ! ?
    ADJ: JJ JJR JJS
    ADP: IN
    ADV: RB RBR RBS WRB
    CONJ: CC
    DET: DT EX PDT WDT
    NOUN: NN NNP NNPS NNS
    NUM: CD
    PRON: PRP PRP$ WP WP$
    PRT: POS RP TO
    VERB: MD VB VBD VBG VBN VBP VBZ
    X: FW LS SYM UH
    """
UNIVERSAL = {penn: line.split()[0][:-1] for line in _UNIVERSAL.strip().splitlines() for penn in line.split()[1:]}
"""Tags of the Penn treebank to universal ones, ``en-ptb.map`` of Petrov, Das and McDonald 2012, "A Universal
Part-of-Speech Tagset" (arXiv:1104.2086); what it does not list is X. Groups such as ``VBG|NN`` are left out: NLTK's
tagger has none."""


class Tagger(ABC):
    """Gives words their universal part of speech.

    Attributes:
        origin: Where it comes from.
    """

    origin: Origin

    @abstractmethod
    def tags(self, before: Sequence[str], words: Sequence[str], after: Sequence[str]) -> list[str]:
        """The tags of words in one place.

        Args:
            before: Words before the place.
            words: What may stand there.
            after: Words behind it.

        Returns:
            For each of ``words`` the tag of its *first* occurrence in ``[*before, word, *after]``: that of another
            place where ``before`` has the word too, as TextAttack's ``word_list.index(word)`` finds it.
        """


class _Around(NamedTuple):
    """Words near one whose tag is asked for, normalised; None where the candidates stand."""

    left2: str
    left: str
    own: str | None
    right: str | None
    right2: str | None


class PerceptronTagger(Tagger):
    """As ``nltk.pos_tag(…, tagset="universal")``, for all candidates of a place at once; may be used by many threads.

    What does not depend on the candidate is computed once, and the three places that its tag depends on (two words
    back they see the candidate) for all candidates together. Words behind the place are never tagged, and only two of
    them are looked at. Results are kept, up to 131,072 of them.

    Args:
        origin: Where the model comes from.
        model: The model.
    """

    def __init__(self, origin: Origin, model: Perceptron) -> None:
        self.origin = origin
        self._model = model
        self._rows_of: Callable[[str], tuple[int, ...]] = lru_cache(maxsize=_WORDS)(self._own_rows)
        self._kept: OrderedDict[tuple[tuple[str, ...], tuple[str, ...]], dict[str, str]] = OrderedDict()
        self._size = 0
        self._lock = threading.Lock()

    def tags(self, before: Sequence[str], words: Sequence[str], after: Sequence[str]) -> list[str]:
        """See ``Tagger.tags``."""
        place = (tuple(before), tuple(after[:2]))
        with self._lock:
            found = dict(self._kept.get(place, {}))
            if found:
                self._kept.move_to_end(place)
        fresh = [word for word in dict.fromkeys(words) if word not in found]
        if fresh:
            found.update(zip(fresh, self._tagged(*place, fresh), strict=True))
            with self._lock:
                self._keep(place, found)
        return [found[word] for word in words]

    def _keep(self, place: tuple[tuple[str, ...], tuple[str, ...]], found: dict[str, str]) -> None:
        """Keeps the results of a place, and forgets those of the places that were asked for longest ago."""
        self._size += len(found) - len(self._kept.pop(place, ()))
        self._kept[place] = found
        while self._size > _RESULTS:
            self._size -= len(self._kept.popitem(last=False)[1])

    def _tagged(self, before: tuple[str, ...], after: tuple[str, ...], words: Sequence[str]) -> list[str]:
        """Tags of K different words, from left to right as NLTK gives them."""
        place = len(before)
        normal = [*map(normalised, before)]
        behind = [*_START, *normal]
        ahead: list[str | None] = [*normal, None, *map(normalised, after), *_END]
        own = np.array([self._rows_of(word) for word in words], np.int64)  # (K, 6)
        tails = [_START]  # tags of the two words before, the nearer first: one for all words, or one for each
        tags: list[list[str]] = []
        for i, word in enumerate([*before, None]):
            if i >= place - 2 and len(tails) < len(words):
                tails *= len(words)
            around = _Around(*behind[i : i + 2], *ahead[i : i + 3])
            if word is None:
                tags.append(self._at_place(tails, around, words, own[:, :3]))
            elif word in self._model.known:
                tags.append([self._model.known[word]] * len(tails))
            else:
                seen = {1: own[:, 3:5], 2: own[:, 5:]}.get(place - i, own[:1, :0])
                tags.append(self._best(tails, word, around, words, seen))
            tails = [(tag, nearer) for tag, (nearer, _) in zip(tags[i], tails, strict=True)]
        first = {word: i for i, word in reversed(list(enumerate(before)))}
        chosen = (tags[first.get(word, place)] for word in words)
        return [UNIVERSAL.get(each[k if len(each) > 1 else 0], "X") for k, each in enumerate(chosen)]

    def _at_place(
        self, tails: list[tuple[str, str]], around: _Around, words: Sequence[str], own: NDArray[np.int64]
    ) -> list[str]:
        """Tags of the K words themselves."""
        row = self._model.rows.get
        pairs = [
            [row(f"i-1 tag+i word {nearer} {normalised(word)}", self._model.nothing)]
            for word, (nearer, _) in zip(words, tails, strict=True)
        ]
        best = self._best(tails, None, around, words, np.concatenate([own, pairs], axis=1))
        return [self._model.known.get(word) or tag for word, tag in zip(words, best, strict=True)]

    def _best(
        self,
        tails: list[tuple[str, str]],
        word: str | None,
        around: _Around,
        words: Sequence[str],
        own: NDArray[np.int64],
    ) -> list[str]:
        """Tags of a place next to which, or at which, K words may stand.

        Args:
            tails: Tags of the two words before, of each of the K.
            word: What stands there; None where the K words do.
            around: What is near.
            words: The K words, which are looked at where sums are equal.
            own: Rows of the features that depend on the word, ``(K, F)``.
        """
        states = {tail: i for i, tail in enumerate(dict.fromkeys(tails))}
        shared = self._model.sums(np.array([self._features(word, around, tail) for tail in states], np.int64))
        sums = shared[[states[tail] for tail in tails]] + self._model.sums(own)  # (K, C)
        best = sums.argmax(axis=1)
        tied = (sums == sums.max(axis=1, keepdims=True)).sum(axis=1) > 1
        for k in np.flatnonzero(tied).tolist():
            whole = _Around(*(normalised(words[k]) if each is None else each for each in around))
            best[k] = self._model.decided(self._features(words[k] if word is None else word, whole, tails[k]))
        return [self._model.labels[i] for i in best]

    def _features(self, word: str | None, around: _Around, tail: tuple[str, str]) -> list[int]:
        """Rows of the fourteen features in NLTK's order, without those of what is None."""
        left2, left, own, right, right2 = around
        nearer, farther = tail
        names = (
            "bias",
            None if word is None else f"i suffix {word[-3:]}",
            None if word is None else f"i pref1 {word[:1]}",
            f"i-1 tag {nearer}",
            f"i-2 tag {farther}",
            f"i tag+i-2 tag {nearer} {farther}",
            None if own is None else f"i word {own}",
            None if own is None else f"i-1 tag+i word {nearer} {own}",
            f"i-1 word {left}",
            f"i-1 suffix {left[-3:]}",
            f"i-2 word {left2}",
            None if right is None else f"i+1 word {right}",
            None if right is None else f"i+1 suffix {right[-3:]}",
            None if right2 is None else f"i+2 word {right2}",
        )
        nothing, row = self._model.nothing, self._model.rows.get
        return [nothing if name is None else row(name, nothing) for name in names]

    def _own_rows(self, word: str) -> tuple[int, ...]:
        """Rows of the features that a word alone decides: three of its own, two of the word before it, one two back."""
        normal = normalised(word)
        names = (
            *(f"i suffix {word[-3:]}", f"i pref1 {word[:1]}", f"i word {normal}"),
            *(f"i+1 word {normal}", f"i+1 suffix {normal[-3:]}"),
            f"i+2 word {normal}",
        )
        return tuple(self._model.rows.get(name, self._model.nothing) for name in names)


@lru_cache(maxsize=_WORDS)
def normalised(word: str) -> str:
    """A word as features name it, and as NLTK normalises it: years, other numbers and hyphens without their letters."""
    if "-" in word and word[0] != "-":
        return "!HYPHEN"
    if word.isdigit() and len(word) == 4:
        return "!YEAR"
    if word[:1].isdigit():
        return "!DIGITS"
    return word.lower()
