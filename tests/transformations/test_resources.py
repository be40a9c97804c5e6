"""Lexical resources: what is in a folder, and what stands in where something is not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kdlab.errors import KdlabError
from kdlab.system.cache import Cache
from kdlab.transformations import stand_ins
from kdlab.transformations.resources import FOLDER, Resources
from kdlab.transformations.vectors import nearest

# offsets of lines are what an index counts by
DATA = (
    "  1 licence\n"
    "{0:08d} 03 n 03 movie 0 film 0 moving_picture 0 000 | a form of entertainment  \n"
    "{1:08d} 03 n 02 film 1 Coating 0 000 | a thin layer  \n"
)


def write_wordnet(folder: Path) -> Path:
    """WordNet with two synsets."""
    folder.mkdir(parents=True)
    first = len("  1 licence\n")
    second = first + len(DATA.splitlines()[1].format(0, 0)) + 1
    (folder / "data.noun").write_text(DATA.format(first, second))
    lines = [
        f"film n 2 0 2 0 {first:08d} {second:08d}",
        f"movie n 1 0 1 0 {first:08d}",
        f"coating n 1 0 1 0 {second:08d}",
    ]
    (folder / "index.noun").write_text("  1 licence\n" + "".join(f"{line}  \n" for line in lines))
    for part in ("verb", "adj", "adv"):
        (folder / f"data.{part}").write_text("  1 licence\n")
        (folder / f"index.{part}").write_text("  1 licence\n")
    for part in ("noun", "verb", "adj", "adv"):
        (folder / f"{part}.exc").write_text("")
    (folder / "lexnames").write_text("03\tnoun.Tops\t1\n")
    return folder


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


@pytest.mark.parametrize("below", ["", "wordnet", "corpora/wordnet"])
def test_synonyms_of_wordnet(tmp_path: Path, cache: Cache, below: str):
    folder = tmp_path / "res" / below if below else tmp_path / "res"
    write_wordnet(folder)
    table = Resources(str(tmp_path / "res"), cache).synonyms(["Film", "films", "coating", "nothing"])
    assert table.entries["film"] == ("movie", "Coating")
    assert table.entries["films"] == ("movie", "film", "Coating")  # of its base form
    assert table["coating"] == ("film",)
    assert table["nothing"] == ()
    assert table.origin.name == f"{below}/data.noun".lstrip("/")  # wherever the folder lies
    assert not table.origin.missing
    digest = table.origin.sha256
    (folder / "data.noun").write_text((folder / "data.noun").read_text().replace("thin", "thick"))
    assert Resources(str(tmp_path / "res"), Cache(tmp_path / "other")).synonyms([]).origin.sha256 != digest


def test_a_damaged_wordnet_is_said(tmp_path: Path, cache: Cache):
    folder = write_wordnet(tmp_path / "res")
    (folder / "index.noun").unlink()
    with pytest.raises(KdlabError, match="give the dict folder of WordNet"):
        Resources(str(folder), cache).synonyms(["film"])


def test_neighbours_from_a_list(tmp_path: Path, cache: Cache):
    (tmp_path / "counterfitted_neighbors.json").write_text(json.dumps({"film": ["movie", "film", "a b", "cinema"]}))
    table = Resources(str(tmp_path), cache).neighbours(["film", "other"], 0.8, 2)
    assert dict(table.entries) == {"film": ("movie", "cinema")}
    (tmp_path / "counterfitted_neighbors.json").write_text(json.dumps({"film": "movie"}))
    with pytest.raises(KdlabError, match="'film' has no list of words"):
        Resources(str(tmp_path), Cache(tmp_path / "other")).neighbours(["film"], 0.8, 2)


VECTORS = "film 1 0\nmovie 2 0.2\ncinema 1 1\nbad -1 0\nblank 0 0\n"


def test_neighbours_from_vectors(tmp_path: Path, cache: Cache):
    file = tmp_path / "counter-fitted-vectors.txt"
    file.write_text(VECTORS)
    resources = Resources(str(tmp_path), cache)
    assert dict(resources.neighbours(["film"], 0.6, 5).entries) == {"film": ("movie", "cinema")}
    assert dict(resources.neighbours(["film"], 0.8, 5).entries) == {"film": ("movie",)}
    assert resources.word_vectors(["bad"], 2)["bad"] == ("blank", "cinema")
    file.write_text("5 2\n" + VECTORS)  # as word2vec writes it
    assert nearest(file, {"film"}, 0.6, 5) == {"film": ("movie", "cinema")}
    for text, said in (
        ("film 1 0\nmovie 1\n", ":2: 1 values where 2 numbers"),
        ("film 1 x\n", ":1: 2 values"),
        ("", "is empty"),
    ):
        file.write_text(text)
        with pytest.raises(KdlabError, match=said):
            nearest(file, {"film"}, 0.6, 5)


def test_stop_words_of_a_file(tmp_path: Path, cache: Cache):
    (tmp_path / "stopwords").mkdir()
    (tmp_path / "stopwords" / "english").write_text("The\n\nof\n")
    assert Resources(str(tmp_path), cache).stop_words().words == {"the", "of"}


def test_what_is_missing_is_named_and_stood_in_for(tmp_path: Path, cache: Cache, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv(FOLDER, raising=False)
    none = Resources(None, cache)
    for table in (none.synonyms(["film"]), none.neighbours(["film"], 0.8, 5), none.word_vectors(["film"], 5)):
        assert table.origin.sentence.startswith(f"{table.origin.kind}: kdlab's own synonyms, for ")
    assert "(no --resources folder)" in none.synonyms([]).origin.sentence
    assert none.stop_words().words == stand_ins.STOP_WORDS
    monkeypatch.setenv(FOLDER, str(tmp_path))
    assert (
        "WordNet's data.noun, which the --resources folder lacks" in Resources(None, cache).synonyms([]).origin.sentence
    )
    with pytest.raises(KdlabError, match=r"There is no folder .*nowhere, which --resources names"):
        Resources(str(tmp_path / "nowhere"), cache)
    monkeypatch.setenv(FOLDER, str(tmp_path / "nowhere"))
    with pytest.raises(KdlabError, match=r"which \$KDLAB_RESOURCES names"):
        Resources(None, cache)
