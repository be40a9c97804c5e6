"""What every augmenter promises, and what each of them does."""

from __future__ import annotations

import random

import pytest
from augment_fixtures import LEXICAL, NAMES, ODD, OTHERS, augmenter, sources
from helpers import WORDS

from kdlab.augmentation.base import how_many
from kdlab.errors import KdlabError
from kdlab.system.draw import Draw
from kdlab.transformations.words import Words, apply_edits

TEXTS = [" ".join(random.Random(i).choices(WORDS, k=1 + i % 9)) for i in range(24)]


@pytest.mark.parametrize("name", NAMES)
def test_edits_make_the_text_and_copies_differ(name: str):
    given = sources(*TEXTS, pair="Ba be, bi bo!")
    made = augmenter(name).augment(given, 4, seed=0)
    assert len(made) == len(given)
    assert sum(map(len, made)) > 3 * len(given)
    for source, copies in zip(given, made, strict=True):
        texts = [one.texts for one in copies]
        assert len({source.texts, *texts}) == 1 + len(texts) <= 5
        for one in copies:
            assert one.edits
            assert apply_edits(source.texts, one.edits) == one.texts
            assert {edit.side for edit in one.edits} <= {0, 1}


@pytest.mark.parametrize("name", NAMES)
def test_a_copy_depends_on_its_source_and_the_seed_alone(name: str):
    given = sources(*TEXTS)
    one = augmenter(name)
    whole = one.augment(given, 3, seed=0)
    assert augmenter(name).augment(given, 3, seed=0) == whole
    assert one.augment(given, 3, seed=1) != whole
    if name in LEXICAL:  # a masked LM's last digits may depend on what stands beside
        alone = [one.augment([source], 3, seed=0)[0] for source in reversed(given)]
        assert alone[::-1] == whole


@pytest.mark.parametrize("kind", ODD)
@pytest.mark.parametrize("name", NAMES)
def test_odd_texts_end_and_keep_what_is_not_edited(name: str, kind: str):
    (copies,) = augmenter(name).augment(sources(ODD[kind]), 3, seed=0)
    if kind in ("empty", "blank", "emoji"):
        assert copies == []
    for one in copies:
        assert apply_edits((ODD[kind],), one.edits) == one.texts
        assert Words(one.texts[0]).words


@pytest.mark.parametrize("name", NAMES)
def test_the_side_that_may_not_change_does_not(name: str):
    source = sources("ba be bi", pair="bo bu ca")[0]
    for side in (0, 1):
        (copies,) = augmenter(name).augment([type(source)(0, source.texts, (side,), 0)], 3, seed=0)
        assert copies
        assert all(one.texts[1 - side] == source.texts[1 - side] for one in copies)


@pytest.mark.parametrize("name", ["wordnet", "embedding", "contextual", "cbert"])
def test_a_fifth_of_the_words_is_replaced_and_no_stop_word(name: str):
    text = "ba be bi bo bu ca ce ci ra re"
    (copies,) = augmenter(name).augment(sources(text), 5, seed=0)
    for one in copies:
        assert [edit.old for edit in one.edits if edit.old in ("ra", "re")] == []
        assert len(one.edits) == 2
        assert all(edit.old and edit.new and edit.old != edit.new for edit in one.edits)


def test_words_are_written_as_the_old_ones():
    (copies,) = augmenter("wordnet", share=1.0).augment(sources("Ba BE bi"), 2, seed=0)
    for one in copies:
        first, second, third = one.texts[0].split(" ")
        assert first[0].isupper()
        assert first[1:].islower()
        assert second.isupper()
        assert third.islower()


def change(operation: str, text: str, alpha: float = 0.1, key: str = "key"):
    """What one of EDA's operations does."""
    return augmenter("eda", alpha=alpha, operations=operation).change(Words(text), Draw(key), 0)


def test_eda_replaces_by_synonyms_everywhere_alike():
    changes = change("replace", "ba be Ba ra", alpha=1.0)
    assert [(i, old) for i, old, _ in changes] == [(0, "ba"), (1, "be"), (2, "Ba")]
    assert changes[0][2] in OTHERS["ba"]
    assert changes[2][2] == changes[0][2].capitalize()


def test_eda_inserts_synonyms():
    changes = change("insert", "ba be ra", alpha=1.0)
    assert len(changes) == 3
    assert all(not old and new in OTHERS["ba"] + OTHERS["be"] for _, old, new in changes)


def test_eda_swaps_words():
    text = "ba be bi bo"
    changes = change("swap", text, alpha=0.25)
    new = Words(text).edited(map_edits(changes))
    assert sorted(new.split()) == sorted(text.split())
    assert sum(a != b for a, b in zip(new.split(), text.split(), strict=True)) == 2
    assert change("swap", "ba ba") is None


def map_edits(changes):
    """Changes as edits of the first text."""
    from kdlab.transformations.words import Edit

    return [Edit(0, *one) for one in changes]


def test_eda_deletes_words_but_never_all():
    assert change("delete", "ba") is None
    changes = change("delete", "ba be bi", alpha=1.0)
    assert len(changes) == 2
    share = [len(change("delete", " ".join(["ba"] * 200), 0.1, str(i))) for i in range(50)]
    assert 17 < sum(share) / 50 < 23


def test_eda_takes_its_operations_in_turn():
    (copies,) = augmenter("eda").augment(sources("ba be bi bo bu ca ce ci co cu"), 8, seed=0)
    kinds = [
        "delete" if not one.edits[0].new else "insert" if not one.edits[0].old else "replace or swap" for one in copies
    ]
    assert kinds == ["replace or swap", "insert", "replace or swap", "delete"] * 2


@pytest.mark.parametrize(
    ("name", "settings", "said"),
    [
        ("eda", {"alpha": 0.0}, "eda.alpha=0.0"),
        ("eda", {"operations": "replace,delet"}, "There is no operation of EDA 'delet': did you mean delete"),
        ("eda", {"operations": " "}, "eda.operations is empty"),
        ("wordnet", {"share": 1.5}, "wordnet.share=1.5"),
        ("embedding", {"least": 2.0}, "embedding.least=2.0"),
        ("embedding", {"most": 0}, "embedding.most=0"),
        ("contextual", {"most": 0}, "contextual.most=0"),
        ("tinybert", {"p_t": 0.0}, "tinybert.p_t=0.0"),
        ("tinybert", {"most": 0}, "tinybert.most=0"),
        ("p_s", {"edit_prior": "binom"}, "did you mean binomial?"),
        ("p_s", {"alpha": 0.0}, "p_s.alpha=0.0"),
        ("back_translation", {"there": "x"}, "back_translation.back is not"),
    ],
)
def test_wrong_settings_are_said(name: str, settings: dict, said: str):
    from kdlab.augmentation import load_augmenter

    with pytest.raises(KdlabError, match=said.replace("?", r"\?").replace(".", r"\.")):
        load_augmenter(name).Config(**settings).validate(name)


def test_shares_round_half_up_and_are_one_at_least():
    assert [how_many(0.2, n) for n in (0, 1, 2, 3, 7, 8, 12, 13)] == [1, 1, 1, 1, 1, 2, 2, 3]


def test_tinybert_changes_pairs_one_after_the_other_where_asked():
    (copies,) = augmenter("tinybert", chain_pairs=True).augment(sources("ba be bi bo", pair="bu ca ce ci"), 3, seed=0)
    first, second = copies[:3], copies[3:]
    assert all(one.texts[1] == "bu ca ce ci" for one in first)
    assert len(second) == 3
    assert all(one.texts[0] == first[-1].texts[0] and one.texts[1] != "bu ca ce ci" for one in second)
    assert all(apply_edits(("ba be bi bo", "bu ca ce ci"), one.edits) == one.texts for one in copies)


def test_tinybert_leaves_stop_words_where_asked():
    (copies,) = augmenter("tinybert", skip_stop_words=True, p_t=1.0).augment(sources("ra ba re"), 3, seed=0)
    assert copies
    assert all(one.texts[0].split()[::2] == ["ra", "re"] for one in copies)
    (copies,) = augmenter("tinybert", p_t=1.0).augment(sources("ra ba re"), 3, seed=0)
    assert any(one.texts[0].split()[0] != "ra" for one in copies)
