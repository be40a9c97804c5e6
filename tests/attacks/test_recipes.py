"""Recipes against TextAttack's constants and order, and one's own from a file."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from attack_fixtures import NOTHING, TableTagger, Weighed, attacked, attempt_on, driven, made, stop_words

from kdlab.attacks import RECIPES, load_recipe
from kdlab.attacks.attempt import SUCCEEDED, Attack
from kdlab.attacks.constraints import (
    Changed,
    EditDistance,
    OtherSides,
    SamePartOfSpeech,
    SentenceSimilarity,
    Short,
    StopWords,
    WithinText,
    WordsChanged,
)
from kdlab.attacks.goals import Untargeted
from kdlab.attacks.kit import (
    KINDS,
    MASKED_LM,
    NEIGHBOURS,
    SENTENCE_ENCODER,
    STOP_WORDS,
    SYNONYMS,
    TAGGER,
    Kit,
)
from kdlab.attacks.recipes.base import Recipe
from kdlab.attacks.search import Greedy, WordImportance
from kdlab.attacks.text import AttackText
from kdlab.attacks.transformations import CharacterSwap, MaskedLMSwap, TableSwap
from kdlab.errors import KdlabError
from kdlab.transformations.stop_words import TEXTFOOLER_STOP_WORDS
from kdlab.transformations.tables import WordTable

TABLE = WordTable(NOTHING, {"film": ("movie",)})
TAGS = TableTagger()


def kit(recipe: type[Recipe], columns: tuple[str, ...] = ("sentence",), sides: tuple[int, ...] | None = None) -> Kit:
    """All that there is, of which a recipe gets what it names."""
    return Kit(
        recipe=recipe.name,
        needs=recipe.needs,
        columns=columns,
        asked_sides=sides,
        tables={NEIGHBOURS: TABLE, SYNONYMS: TABLE},
        stop=stop_words("the"),
        parts_of_speech=TAGS,
    )


def built(name: str, **more) -> Attack:
    recipe = load_recipe(name)
    return recipe().build(kit(recipe, **more))


def kinds(parts: Sequence[object]) -> list[type]:
    return [type(part) for part in parts]


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_has_its_name_one_line_and_what_it_needs(name: str):
    recipe = load_recipe(name)
    assert recipe.name == name
    assert set(recipe.needs) <= set(KINDS)
    assert RECIPES[name][1]
    assert recipe.__doc__
    assert isinstance(built(name).goal, Untargeted)


def test_textfooler():
    attack = built("textfooler")
    assert set(load_recipe("textfooler").needs) == {NEIGHBOURS, TAGGER, SENTENCE_ENCODER}
    assert isinstance(attack.transformation, TableSwap)
    assert attack.transformation.table == TABLE.entries
    assert isinstance(attack.search, WordImportance)
    assert attack.search.unknown == ""  # each word is deleted
    assert kinds(attack.unchangeable) == [Changed, StopWords, OtherSides]
    assert attack.unchangeable[1].words == TEXTFOOLER_STOP_WORDS
    assert kinds(attack.constraints) == [WithinText, SamePartOfSpeech, SentenceSimilarity]
    assert attack.constraints[1].tagger is TAGS
    similar = attack.constraints[2]
    assert (similar.least, similar.angular, similar.to_original, similar.window) == (0.840845057, True, False, 15)


def test_bae():
    attack = built("bae")
    assert set(load_recipe("bae").needs) == {MASKED_LM, STOP_WORDS, TAGGER, SENTENCE_ENCODER}
    assert isinstance(attack.transformation, MaskedLMSwap)
    assert attack.transformation.mask == "[MASK]"
    assert isinstance(attack.search, WordImportance)
    assert attack.search.unknown == ""
    assert kinds(attack.unchangeable) == [Changed, StopWords]
    assert attack.unchangeable[1].words == {"the"}
    assert kinds(attack.constraints) == [SamePartOfSpeech, SentenceSimilarity]
    similar = attack.constraints[1]
    assert (similar.least, similar.angular, similar.to_original, similar.window) == (0.936338023, False, True, 15)


def test_deepwordbug():
    attack = built("deepwordbug")
    assert set(load_recipe("deepwordbug").needs) == {STOP_WORDS}
    assert isinstance(attack.transformation, CharacterSwap)
    assert [change.__name__ for change in attack.transformation.changes] == [
        "one_neighbour_swap",
        "one_substitution",
        "one_deletion",
        "one_insertion",
    ]
    assert isinstance(attack.search, WordImportance)
    assert attack.search.unknown == "[UNK]"
    assert kinds(attack.unchangeable) == [Changed, StopWords]
    assert kinds(attack.constraints) == [EditDistance]
    assert attack.constraints[0].most == 30


def test_pruthi():
    attack = built("pruthi")
    assert set(load_recipe("pruthi").needs) == {STOP_WORDS}
    assert isinstance(attack.search, Greedy)
    assert kinds(attack.unchangeable) == [Short, StopWords, Changed]
    assert attack.unchangeable[0].least == 4
    assert kinds(attack.constraints) == [WordsChanged]
    assert attack.constraints[0].most == 1
    attempt = attempt_on("the film is")
    _, found = driven(attack.transformation.candidates(attempt.original, [1], attempt))
    new = [one.words[1] for one in found]
    assert new[:3] == ["flim", "flm", "fim"]  # swaps, deletions; then a letter by chance before i and l; then keys
    assert [f"{word[:1]}{word[2:]}" for word in new[3:4]] == [f"{word[:2]}{word[3:]}" for word in new[4:5]] == ["film"]
    assert new[5:] == ["fulm", "fjlm", "fklm", "fllm", "folm", "fiim", "fiom", "fipm", "fikm"]
    assert all(word[0] == "f" and word[-1] == "m" for word in new)


def test_pruthi_changes_one_word_and_looks_no_further():
    victim = Weighed(film=4, good=3)
    attempt, status = attacked("good film", attack=built("pruthi"), models=victim)
    assert status == "failed"
    assert [len(asked) for asked in victim.asked][:1] == [1]
    assert len(victim.asked) == 2
    assert made(attempt).split()[0] == "good"


def test_deepwordbug_makes_four_errors_of_a_word():
    victim = Weighed(film=4, good=3, UNK=0)
    attempt, status = attacked("the good film", attack=built("deepwordbug"), models=victim)
    assert victim.asked[1] == ["the [UNK] film", "the good [UNK]"]
    assert all(text.startswith("the good ") for text in victim.asked[2])
    assert 1 <= len(victim.asked[2]) <= 4
    assert status in ("failed", SUCCEEDED)
    assert AttackText.of([made(attempt)]).words[2] != "film"


@pytest.mark.parametrize("name", RECIPES)
def test_the_user_says_which_text_of_a_pair_may_be_changed(name: str):
    pair = AttackText.of(["wonderful story", "boring movie"])
    for sides, places in ((None, [0, 1, 2, 3]), ((0,), [0, 1]), ((1,), [2, 3]), ((0, 1), [0, 1, 2, 3])):
        attack = built(name, columns=("one", "two"), sides=sides)
        assert attempt_on("", attack=attack).places(pair) == places


def test_textfooler_alone_leaves_the_premise_where_the_columns_are_called_so():
    pair = AttackText.of(["wonderful story", "boring movie"])
    for name in RECIPES:
        own = [2, 3] if name == "textfooler" else [0, 1, 2, 3]
        asked = attempt_on("", attack=built(name, columns=("premise", "hypothesis")))
        assert asked.places(pair) == own
        asked = attempt_on("", attack=built(name, columns=("premise", "hypothesis"), sides=(0, 1)))
        assert asked.places(pair) == [0, 1, 2, 3]
        asked = attempt_on("", attack=built(name, columns=("hypothesis", "premise")))
        assert asked.places(pair) == [0, 1, 2, 3]


@pytest.mark.parametrize("threshold", [0.0, -0.5, 0.75])
@pytest.mark.parametrize("name", ["textfooler", "bae"])
def test_the_user_s_similarity_stands_for_the_recipe_s(name: str, threshold: float):
    recipe = load_recipe(name)
    attack = recipe().build(replace(kit(recipe), threshold=threshold))
    assert attack.constraints[-1].least == threshold


def order_by_the_letter(texts: Sequence[str], stop: set[str], ignored: int | None) -> list[int]:
    """Positions as ``Transformation.__call__`` and TextFooler's three pre-transformation constraints give them."""
    counts = [len(AttackText.of([text]).words) for text in texts]
    words = AttackText.of(texts).words
    found = set(range(len(words)))
    found = found & (set(range(len(words))) - set())
    no_stop_words = set()
    for i, word in enumerate(words):
        if word not in stop:
            no_stop_words.add(i)
    found = found & no_stop_words
    if ignored is None:
        return list(found & set(range(len(words))))
    index, others = 0, set()
    for side, count in enumerate(counts):
        if side != ignored:
            others |= set(range(index, index + count))
        index += count
    return list(found & others)


@pytest.mark.parametrize("ignored", [None, 0])
def test_in_compat_words_come_in_the_order_of_textattack_s_sets(ignored: int | None):
    columns = ("one", "two") if ignored is None else ("premise", "hypothesis")
    attack, draw = built("textfooler", columns=columns), random.Random(0)
    unsorted = 0
    for _ in range(1500):
        share = draw.choice([0.2, 0.5, 0.8])
        texts = [" ".join(draw.choices(["film", "the"], [share, 1 - share], k=draw.randint(0, 40))) for _ in range(2)]
        places = attempt_on("", attack=attack, compat=True).places(AttackText.of(texts))
        assert places == order_by_the_letter(texts, {"the"}, ignored)
        unsorted += places != sorted(places)
    assert unsorted > 20


OWN = """
from kdlab.attacks.attempt import Attack
from kdlab.attacks.constraints import Changed
from kdlab.attacks.kit import NEIGHBOURS
from kdlab.attacks.recipes.base import Recipe
from kdlab.attacks.search import Greedy
from kdlab.attacks.transformations import TableSwap


class Mine(Recipe):
    needs = (NEIGHBOURS,)

    def build(self, kit):
        return Attack(TableSwap(kit.neighbours), Greedy(), [Changed(), *kit.sides])


class Careless(Mine):
    name = "careless"
    needs = ()


class Other:
    pass
"""


@pytest.fixture
def own(tmp_path: Path) -> Path:
    file = tmp_path / "mine.py"
    file.write_text(OWN)
    return file


def test_a_recipe_of_one_s_own(own: Path):
    recipe = load_recipe(f"{own}:Mine")
    attack = recipe().build(kit(recipe))
    attempt, status = attacked("a film", attack=attack, models=Weighed(film=1, movie=-1))
    assert (status, made(attempt)) == (SUCCEEDED, "a movie")


def test_a_recipe_that_uses_what_it_does_not_need_is_told_so(own: Path):
    recipe = load_recipe(f"{own}:Careless")
    with pytest.raises(KdlabError, match=r"careless uses neighbours without saying so: name it .* needs \(neighbours,"):
        recipe().build(kit(recipe))


@pytest.mark.parametrize(
    ("use", "kind"),
    [
        (lambda kit: kit.neighbours, NEIGHBOURS),
        (lambda kit: kit.synonyms, SYNONYMS),
        (lambda kit: kit.stop_words, STOP_WORDS),
        (lambda kit: kit.tagger, TAGGER),
        (lambda kit: kit.mask, MASKED_LM),
    ],
)
def test_a_kit_hands_out_what_was_named_and_nothing_else(use, kind: str):
    everything = replace(kit(load_recipe("pruthi")), needs=KINDS)
    assert use(everything)
    with pytest.raises(KdlabError, match=f"uses {kind} without saying so"):
        use(replace(everything, needs=[other for other in KINDS if other != kind]))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("textfoler", "did you mean textfooler"),
        ("", "There is no recipe ''"),
        ("{own}:Other", "is no subclass of kdlab.attacks.recipes.base.Recipe"),
        ("{own}:Mien", "did you mean Mine"),
        ("{own}:OWN", "There is no class in"),
        ("{own}", "names a file without a class: write .*mine.py:Class"),
        ("{own}.py:Mine", "There is no file"),
    ],
)
def test_recipes_that_are_not_there(own: Path, name: str, message: str):
    with pytest.raises(KdlabError, match=message):
        load_recipe(name.replace("{own}", str(own)))
