"""Texts in several places: counted in a task's splits, and taken out of a source."""

from pathlib import Path

import pytest

from kdlab.data.examples import Examples
from kdlab.data.overlap import letters, without_shared
from kdlab.data.readers.domain_folder import load_domain
from kdlab.data.readers.glue_folder import load_glue
from kdlab.data.tasks import DOMAIN, TASKS

REAL = Path(__file__).resolve().parents[3] / "shared" / "data"


def texts(*rows: str, pairs: tuple[str, ...] | None = None) -> Examples:
    return Examples(tuple(range(len(rows))), rows, pairs, tuple(0 for _ in rows))


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("it 's a charming film .", "It's a charming film."),
        ("a cliché -lrb- but a good one -rrb-", "a cliche ( but a good one ) "),
        ("does n't `` work ''", 'doesn\'t "work"'),
    ],
)
def test_the_same_sentence_in_two_tokenisations(one, two):
    assert letters(one) == letters(two) != ""
    assert letters(one) != letters(f"{two} twice")


def test_only_whole_texts_are_taken_out_of_any_split():
    source = texts("A film .", "a film that works", "works", "no film", "...", "kept")
    target = {"train": texts("a film that works!"), "dev": texts("..."), "test": texts("a film", "film")}
    left, gone = without_shared(source, target)
    assert (left.text, gone) == (("works", "no film", "...", "kept"), 2)
    assert left.ids == (2, 3, 4, 5)
    assert without_shared(left, target) == (left, 0)


def test_pairs_are_shared_only_together():
    source = texts("a", "a", pairs=("b", "c"))
    left, gone = without_shared(source, {"train": texts("A", pairs=("C.",))})
    assert (left.text_pair, gone) == (("b",), 1)


@pytest.mark.skipif(not (REAL / "domain").is_dir(), reason="the real files are not beside the repository")
def test_sst2_shares_sentences_with_rt():
    train = load_glue(TASKS["sst2"], REAL / "glue").splits["train"]
    left, gone = without_shared(train, load_domain(DOMAIN["rt"], REAL, 0).splits)
    assert (len(left), gone) == (60048, 7301)
