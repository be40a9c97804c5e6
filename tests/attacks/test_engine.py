"""Many attacks side by side: nothing in a result depends on how many, nor on the batches of the models."""

from __future__ import annotations

import hashlib
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest
import torch
from attack_fixtures import (
    Cosines,
    Listed,
    Told,
    Weighed,
    attacked,
    attempt_on,
    made,
    swaps,
)
from helpers import WORDS, tiny_encoder, tiny_tokenizer

from kdlab.attacks.attempt import FAILED, SKIPPED, SUCCEEDED, Attack, Attempt
from kdlab.attacks.constraints import Changed, SentenceSimilarity, WordsChanged
from kdlab.attacks.engine import AlwaysSimilar, Models, attack_all
from kdlab.attacks.outcome import Outcome
from kdlab.attacks.search import Greedy, WordImportance
from kdlab.attacks.study import Target, run_study
from kdlab.attacks.text import AttackText
from kdlab.attacks.transformations import CharacterSwap, MaskedLMSwap, TableSwap
from kdlab.attacks.victim import EncoderVictim, Victim
from kdlab.errors import KdlabError
from kdlab.system.draw import Draw
from kdlab.transformations.attack_words import words_from_text
from kdlab.transformations.characters import one_deletion, one_insertion


def number(text: str, limit: int) -> int:
    """A whole number below a limit that depends on a text alone."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest(), "big") % limit


class Hashed(Victim):
    """Weighs words by their letters, for three labels, in float64."""

    labels = ("a", "b", "c")

    def __init__(self) -> None:
        self.known: dict[str, list[float]] = {}

    def logits(self, texts: Sequence[tuple[str, ...]]) -> torch.Tensor:
        return torch.tensor([self.row(" ".join(text)) for text in texts], dtype=torch.float64)

    def row(self, text: str) -> list[float]:
        rows = [self.of_word(word) for word in words_from_text(text)]
        return [sum(column) for column in zip((0.0, 0.0, 0.0), *rows, strict=True)]

    def of_word(self, word: str) -> list[float]:
        if word not in self.known:
            self.known[word] = [number(f"{label} {word}", 1000) / 700 for label in self.labels]
        return self.known[word]


class HashedWords:
    """A masked LM whose words depend on the text."""

    def words(self, texts: list[str]) -> list[list[str]]:
        return [[WORDS[number(f"{i} {text}", len(WORDS))] for i in range(3)] for text in texts]


COUNT = 16
TABLE = {word: tuple(WORDS[number(f"{i} {word}", len(WORDS))] for i in range(2)) for word in WORDS}
SIMILAR = SentenceSimilarity(0.3, angular=True, to_original=False, window=3)
ATTACKS = {
    "table": Attack(TableSwap(TABLE), WordImportance(), [Changed()], [SIMILAR]),
    "masked": Attack(MaskedLMSwap("[MASK]"), WordImportance("[UNK]"), [Changed()], [SIMILAR]),
    "chance": Attack(CharacterSwap([one_deletion, one_insertion]), Greedy(), [Changed()], [WordsChanged(2)]),
}


def targets(count: int, victim: Victim, pairs: bool = False, longest: int = 3) -> list[Target]:
    """Examples of a few words, most of them with the label that the victim gives."""
    draw = Draw("targets")
    texts = []
    for _ in range(count):
        sides = [" ".join(draw.some(WORDS, draw.below(longest + 1))) for _ in range(1 + pairs)]
        texts.append(tuple(sides))
    labels = victim.logits(texts).argmax(1).tolist()
    return [
        Target(i, text, label if i % 9 else (label + 1) % len(victim.labels))
        for i, (text, label) in enumerate(zip(texts, labels, strict=True))
    ]


def study(examples: list[Target], attack: Attack, victim: Victim, mode: str, beside: int) -> dict[int, Outcome]:
    rule = Cosines(lambda one, two: number(f"{one}|{two}", 1000) / 500 - 1)
    found = run_study(examples, attack, Models(victim, HashedWords(), rule), 3, mode, beside=beside)
    return {one.id: one for one in found}


@pytest.mark.parametrize("mode", ["fixed", "compat"])
@pytest.mark.parametrize("name", ATTACKS)
def test_one_seven_or_all_side_by_side(name: str, mode: str):
    victim = Hashed()
    examples = targets(872, victim)
    one, seven, every = (study(examples, ATTACKS[name], victim, mode, beside) for beside in (1, 7, 872))
    assert one == seven == every  # to the last bit
    assert sorted(one) == list(range(872))
    assert {result.status for result in one.values()} == {SKIPPED, FAILED, SUCCEEDED}


@pytest.mark.parametrize("mode", ["fixed", "compat"])
def test_three_budgets_of_a_batch(mode: str):
    encoder = tiny_encoder().double()
    budgets = ((20, 3), (200, 32), (100_000, 4096))
    victims = [EncoderVictim(encoder, ("no", "yes"), tiny_tokenizer(), 12, budget=budget) for budget in budgets]
    rows = victims[0].logits([one.texts for one in targets(COUNT, victims[0], pairs=True)])
    assert rows.dtype == torch.float64
    with torch.no_grad():  # gives each label to half of the examples
        encoder.model.classifier.bias[1] -= (rows[:, 1] - rows[:, 0]).quantile(0.5)
    examples = targets(COUNT, victims[0], pairs=True)
    expected: list[Outcome] = []
    for victim in victims:
        for beside in (1, 7, 872):
            found = study(examples, ATTACKS["table"], victim, mode, beside)
            ordered = [found[i] for i in range(COUNT)]
            expected = expected or ordered
            assert [replace(one, score=(0, 0)) for one in ordered] == [replace(one, score=(0, 0)) for one in expected]
            for one, other in zip(ordered, expected, strict=True):
                assert one.score == pytest.approx(other.score, abs=1e-12)
    assert {one.status for one in expected} == {SKIPPED, FAILED, SUCCEEDED}


def test_random_choices_depend_on_the_example_s_position_and_the_seed():
    victim = Hashed()
    examples = targets(12, victim)
    whole = study(examples, ATTACKS["chance"], victim, "fixed", 256)
    assert study(examples[5:], ATTACKS["chance"], victim, "fixed", 256) == {i: whole[i] for i in range(5, 12)}
    same = [replace(one, id=100 + one.id) for one in examples]
    other = study(same, ATTACKS["chance"], victim, "fixed", 256)
    assert [other[100 + i].attacked for i in range(12)] != [whole[i].attacked for i in range(12)]


def test_questions_of_all_meet_in_one_call():
    victim = Weighed(a=1, b=2)
    attempts = [attempt_on(text, attack=swaps(a="p", b="q")) for text in ("a b", "b", "a a a")]
    ends = list(attack_all(attempts, Models(victim)))
    assert len(ends) == 3
    assert victim.asked[0] == ["a b", "b", "a a a"]
    assert victim.asked[1] == ["b", "a ", "", "a a", "a a "]  # equal ones within an attack once
    assert len(victim.asked) == 2 + 3


def test_a_step_with_three_models_takes_one_round():
    victim, words = Weighed(a=1), Listed({"[MASK] a": ["p"], "p [MASK]": ["q"]})
    rule = Cosines(lambda *_: 1.0)
    constraint = SentenceSimilarity(0.5, angular=False, to_original=True, window=1)
    attack = Attack(MaskedLMSwap("[MASK]"), Greedy(), [Changed()], [constraint])
    attempt, _ = attacked("a a", attack=attack, models=Models(victim, words, rule))
    assert words.asked == [["[MASK] a", "a [MASK]"], ["p [MASK]"]]
    assert rule.asked == [("a", "p"), ("a", "q")]
    assert made(attempt) == "p q"


def test_attacks_end_in_their_own_time_and_next_ones_take_their_place():
    victim = Weighed(a=1)
    texts = ["a a a", "x", "a", "a a", "x"]
    attempts = [attempt_on(text, attack=swaps(a="p"), label=text.count("x")) for text in texts]
    ends = [(attempts.index(attempt), status) for attempt, status in attack_all(attempts, Models(victim), 2)]
    assert ends == [(1, SKIPPED), (2, FAILED), (0, FAILED), (4, SKIPPED), (3, FAILED)]
    one_by_one = [attempt_on(text, attack=swaps(a="p"), label=text.count("x")) for text in texts]
    assert [attempt for attempt, _ in attack_all(one_by_one, Models(victim), 1)] == one_by_one


def test_attacks_are_drawn_as_others_end_and_forgotten_behind_them():
    drawn, alive = 0, weakref.WeakSet[AttackText]()

    def attempts() -> Iterator[Attempt]:
        nonlocal drawn
        for i in range(60):
            attempt = attempt_on(f"a w{i}", attack=swaps(a="p"))
            alive.add(attempt.original)
            drawn += 1
            yield attempt

    ended = 0
    for attempt, _ in attack_all(attempts(), Models(Weighed(a=1)), 5):
        ended += 1
        assert drawn <= ended + 5
        del attempt
        assert len(alive) <= 6
    assert ended == drawn == 60


def test_probabilities_are_told_by_the_answers_of_one_attack():
    """TextAttack takes the softmax where one of the rows of a question misses 1; those of others have no part in it."""
    rows = {"w": (0.75, 0.25), "v": (3.0, 1.0), "x": (0.5, 0.5)}

    class Raw(Told):
        def logits(self, texts):
            return super().logits(texts).exp()

    def scores(beside: int) -> list[float]:
        attempts = [attempt_on(text, attack=swaps(), compat=True) for text in ("w", "v")]
        list(attack_all(attempts, Models(Raw(rows, (0.5, 0.5))), beside))
        return [attempt.before for attempt in attempts]

    assert scores(1) == scores(2)
    assert scores(2) == [0.25, pytest.approx(1 / (1 + 7.38905609893065))]


def test_nothing_to_attack():
    assert list(attack_all([], Models(Weighed()))) == []


def test_a_stand_in_takes_all_texts_for_equal():
    assert AlwaysSimilar().cosines([("a", "b"), ("c", "d")]).tolist() == [1.0, 1.0]


def test_a_recipe_that_asks_a_model_it_does_not_need_is_told_so():
    attack = Attack(MaskedLMSwap("[MASK]"), WordImportance())
    with pytest.raises(KdlabError, match=r"masked LM .* needs"):
        attacked("a", attack=attack, models=Weighed(a=1))
    constraint = SentenceSimilarity(0.5, angular=False, to_original=True, window=1)
    with pytest.raises(KdlabError, match=r"sentence encoder .* needs"):
        attacked("a", attack=replace(swaps(a="b"), constraints=[constraint]), models=Weighed(a=1))
