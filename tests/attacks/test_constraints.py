"""What attacks may not do, case by case."""

from __future__ import annotations

import math

import pytest
import torch
from attack_fixtures import TableTagger, attempt_on, driven

from kdlab.attacks.asks import AskSimilarity
from kdlab.attacks.constraints import (
    Changed,
    Constraint,
    EditDistance,
    OtherSides,
    SamePartOfSpeech,
    SentenceSimilarity,
    Short,
    StopWords,
    WithinText,
    WordsChanged,
    angular,
)
from kdlab.attacks.text import AttackText

FIFTEEN = "w0 w1 w2 w3 w4 w5 w6 w7 w8 w9 w10 w11 w12 w13 w14"


def kept(constraint: Constraint, original: str, candidates: list[AttackText]) -> list[AttackText]:
    """What passes of candidates, where nobody is asked."""
    asked, left = driven(constraint.kept(candidates, AttackText.of([original]), attempt_on(original)))
    assert asked == []
    return left


def test_words_that_were_changed_stay():
    text = AttackText.of(["a b c"]).replaced(1, "x")
    assert Changed().changeable(text, attempt_on("a b c")) == {0, 2}


def test_case_of_stop_words_matters_in_compat_alone():
    rule, text = StopWords(["the", "not"]), AttackText.of(["The film is NOT the film"])
    assert rule.changeable(text, attempt_on("", compat=True)) == {0, 1, 2, 3, 5}
    assert rule.changeable(text, attempt_on("", compat=False)) == {1, 2, 5}


def test_short_words_stay():
    assert Short(4).changeable(AttackText.of(["a bad film"]), attempt_on("")) == {2}
    assert Short(3).changeable(AttackText.of(["a bad film"]), attempt_on("")) == {1, 2}


def test_one_text_of_a_pair_stays():
    pair = AttackText.of(["a b", "c d e"])
    assert OtherSides([1]).changeable(pair, attempt_on("")) == {2, 3, 4}
    assert OtherSides([0]).changeable(pair, attempt_on("")) == {0, 1}
    assert OtherSides([0, 1]).changeable(pair, attempt_on("")) == {0, 1, 2, 3, 4}
    assert OtherSides([1]).changeable(AttackText.of(["a b"]), attempt_on("")) == {0, 1}  # there is but one


def test_new_words_beyond_the_example_are_refused():
    original = AttackText.of(["a b"])
    fits, over = original.replaced(1, "x"), original.replaced(1, "x y")
    assert kept(WithinText(), "a b", [over, fits]) == [fits]


def test_a_new_word_keeps_its_part_of_speech():
    tagger = TableTagger(dull="ADJ", bright="ADJ", sings="VERB", badly="ADV")
    original = "A dull film"
    text = AttackText.of([original])
    words = ["bright", "sings", "badly", "movie"]
    by_word = {word: text.replaced(1, word) for word in words}
    assert kept(SamePartOfSpeech(tagger), original, list(by_word.values())) == [by_word["bright"]]
    assert tagger.asked == [(["A"], ["dull", *words], ["film"])]  # one question a place
    by_word = {word: text.replaced(2, word) for word in words}
    left = kept(SamePartOfSpeech(tagger), original, list(by_word.values()))
    assert left == [by_word["sings"], by_word["movie"]]  # a noun may give way to a verb


def test_a_verb_may_give_way_to_a_noun_but_not_to_an_adjective():
    tagger, text = TableTagger(sings="VERB", dull="ADJ", runs="VERB"), AttackText.of(["he sings"])
    noun, verb, adjective = (text.replaced(1, word) for word in ("film", "runs", "dull"))
    assert kept(SamePartOfSpeech(tagger), "he sings", [noun, verb, adjective]) == [noun, verb]


def test_parts_of_speech_are_told_in_the_example_s_own_context():
    tagger = TableTagger()
    original = "a b c d e f g h i"
    current = AttackText.of([original]).replaced(4, "X").replaced(6, "Y")
    kept(SamePartOfSpeech(tagger), original, [current.replaced(5, "new")])
    assert tagger.asked == [(["b", "c", "d", "e"], ["f", "new"], ["g", "h", "i"])]  # four before, three behind
    kept(SamePartOfSpeech(tagger), original, [current.replaced(0, "new")])
    assert tagger.asked[1] == ([], ["a", "new"], ["b", "c", "d"])


def test_a_part_of_speech_beyond_the_example_is_refused():
    text = AttackText.of(["a b"])
    assert kept(SamePartOfSpeech(TableTagger()), "a b", [text.replaced(1, "x y")]) == []


def test_edit_distance_is_measured_from_the_example():
    original = "abcd efgh"
    current = AttackText.of([original]).replaced(0, "abxx")  # 2 away
    near, far = current.replaced(1, "efg"), current.replaced(1, "xx")
    assert kept(EditDistance(3), original, [far, near]) == [near]
    assert (near.values["edit distance"], far.values["edit distance"]) == (3, 6)
    assert kept(EditDistance(6), original, [far, near]) == [far, near]


def test_changed_words_are_counted_from_the_example():
    original = "a b c"
    current = AttackText.of([original]).replaced(0, "x")
    back, more = current.replaced(0, "a"), current.replaced(1, "y")
    assert kept(WordsChanged(1), original, [more, back, current]) == [back, current]
    assert (more.values["words changed"], back.values["words changed"]) == (2, 0)


def similar(
    constraint: SentenceSimilarity, original: str, text: AttackText, candidates: list[AttackText], *cosines: float
) -> tuple[list[tuple[str, str]], list[AttackText]]:
    """The pairs of windows that are asked for, and what passes."""
    steps = constraint.kept(candidates, text, attempt_on(original))
    asked, left = driven(steps, lambda _: torch.tensor(cosines, dtype=torch.float64))
    return [pair for one in asked if isinstance(one, AskSimilarity) for pair in one.items], left


def test_the_threshold_itself_passes():
    text = AttackText.of([FIFTEEN])
    one, two, three = (text.replaced(3, new) for new in "xyz")
    rule = SentenceSimilarity(0.5, angular=False, to_original=True)
    _, left = similar(rule, FIFTEEN, text, [one, two, three], 0.5, 0.4999, 0.75)
    assert left == [one, three]
    assert [c.values["similarity"] for c in (one, two, three)] == [0.5, 0.4999, 0.75]


def test_an_angle_counts_in_half_turns():
    assert angular(torch.tensor([1.0, 0.0, -1.0, 1.0001, -2.0])).tolist() == pytest.approx([1, 0.5, 0, 1, 0])
    text = AttackText.of([FIFTEEN])
    one, two = (text.replaced(3, new) for new in "xy")
    rule = SentenceSimilarity(0.75, angular=True, to_original=True)
    _, left = similar(rule, FIFTEEN, text, [one, two], math.cos(math.pi * 0.24), math.cos(math.pi * 0.26))
    assert left == [one]  # a cosine of 0.73 against one of 0.68
    assert one.values["similarity"] == pytest.approx(0.76)


def test_fewer_words_than_the_window_count_as_equal():
    fourteen = FIFTEEN.rpartition(" ")[0]
    text = AttackText.of([fourteen])
    candidates = [text.replaced(3, new) for new in "xy"]
    rule = SentenceSimilarity(0.9, angular=False, to_original=True)
    asked, left = similar(rule, fourteen, text, candidates)
    assert asked == []
    assert left == candidates
    assert [one.values["similarity"] for one in candidates] == [1.0, 1.0]


def test_it_is_the_candidate_s_words_that_are_counted():
    fourteen = FIFTEEN.rpartition(" ")[0]
    text = AttackText.of([fourteen])
    longer, same = text.replaced(0, "two words"), text.replaced(0, "x")
    rule = SentenceSimilarity(0.9, angular=False, to_original=True)
    asked, left = similar(rule, fourteen, text, [longer, same], 0.1)
    assert asked == [(fourteen, "two words" + fourteen.removeprefix("w0"))]
    assert left == [same]


@pytest.mark.parametrize(("to_original", "before"), [(True, "w1"), (False, "X")])
def test_the_example_or_the_text_before_is_compared_with(to_original: bool, before: str):
    long = f"{FIFTEEN} w15 w16"
    current = AttackText.of([long]).replaced(1, "X")
    rule = SentenceSimilarity(0.9, angular=False, to_original=to_original)
    asked, _ = similar(rule, long, current, [current.replaced(0, "new")], 1.0)
    end = " ".join(f"w{i}" for i in range(2, 15))
    assert asked == [(f"w0 {before} {end}", f"new X {end}")]  # windows of fifteen words


def test_windows_lie_around_the_change():
    long = " ".join(f"w{i}" for i in range(20))
    text = AttackText.of([long])
    rule = SentenceSimilarity(0.9, angular=False, to_original=True)
    candidates = [text.replaced(9, "new"), text.replaced(19, "new")]
    asked, _ = similar(rule, long, text, candidates, 1.0, 1.0)
    assert [before.split()[0] for before, _ in asked] == ["w2", "w5"]
    assert [after.split()[-1] for _, after in asked] == ["w16", "new"]
    assert {len(window.split()) for pair in asked for window in pair} == {15}


@pytest.mark.parametrize(("compat", "first"), [(True, "w1"), (False, "w0")])
def test_of_several_new_words_the_window_lies_around_one(compat: bool, first: str):
    """Around the first, but TextAttack takes the one with which Python's set begins: 8 of ``{7, 8}``."""
    long = f"{FIFTEEN} w15 w16"
    text = AttackText.of([long])
    asked: list[str] = []

    def answer(ask: AskSimilarity) -> torch.Tensor:
        asked.extend(after for _, after in ask.items)
        return torch.ones(1)

    rule = SentenceSimilarity(0.9, angular=False, to_original=True)
    driven(rule.kept([text.replaced(7, "two words")], text, attempt_on(long, compat=compat)), answer)
    assert [window.split()[0] for window in asked] == [first]
