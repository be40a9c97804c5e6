"""Lexical resources: what is in a folder, and what stands in where something is not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kdlab.errors import KdlabError
from kdlab.system.cache import Cache
from kdlab.transformations import perceptron, stand_ins
from kdlab.transformations.manifest import ANTONYMS
from kdlab.transformations.resources import FOLDER, Resources
from kdlab.transformations.tables import NEIGHBOURS, STOP_WORDS, SYNONYMS, TAGGER
from kdlab.transformations.tagger import PerceptronTagger
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


def test_neighbours_as_an_attack_has_them(tmp_path: Path, cache: Cache):
    listed = tmp_path / "counterfitted_neighbors.json"
    listed.write_text(json.dumps({"film": ["movie", "Film", "a b", "cinema"]}))
    resources = Resources(str(tmp_path), cache)
    assert resources.neighbours(["Film"], 0.8, 3, single=False)["film"] == ("movie", "Film", "a b")
    (tmp_path / "counter-fitted-vectors.txt").write_text("film 1 0\nmo-vie! 1 0.1\nFilm 1 0.2\ncinema 1 1\nbad -1 0\n")
    table = resources.neighbours(["film"], 0.5, 50, single=False)  # the vectors go before the list
    assert table["film"] == ("mo-vie!", "Film", "cinema")
    assert table.origin.name == "counter-fitted-vectors.txt"
    assert resources.neighbours(["film"], 0.5, 1, single=False)["film"] == ("mo-vie!",)
    listed.unlink()
    assert resources.neighbours(["film"], 0.5, 50)["film"] == ("cinema",)  # what is no other single word is left out


def write_opposites(folder: Path) -> Path:
    """WordNet in which hot is the opposite of cold, and chilly only similar to it; heat has none."""
    write_wordnet(folder)
    texts = (
        "{} 00 a 02 hot 0 Warm 0 003 ! {} a 0101 ! {} a 0202 & {} a 0000 | of heat  \n",
        "{} 00 a 02 cold 0 cool(p) 0 002 ! {} a 0101 ! {} a 0202 | of little heat  \n",
        "{} 00 s 01 chilly 0 001 & {} a 0000 | cool  \n",
    )
    places, at = [], len("  1 licence\n")
    for text in texts:
        places.append(f"{at:08d}")
        at += len(text.replace("{}", "0" * 8))
    hot, cold, chilly = places
    lines = (
        texts[0].format(hot, cold, cold, chilly),
        texts[1].format(cold, hot, hot),
        texts[2].format(chilly, cold),
    )
    (folder / "data.adj").write_text("  1 licence\n" + "".join(lines))
    index = {"hot": hot, "warm": hot, "cold": cold, "cool": cold, "chilly": chilly}
    (folder / "index.adj").write_text("".join(f"{word} a 1 1 ! 1 0 {place}  \n" for word, place in index.items()))
    return folder


def test_antonyms_of_wordnet(tmp_path: Path, cache: Cache):
    folder = write_opposites(tmp_path / "wordnet")
    opposite = Resources(str(tmp_path), cache).antonyms(["Hot", "hotter", "colder", "warm", "cool", "chilly", "film"])
    assert opposite is not None
    assert opposite.entries["hot"] == {"cold"}
    assert opposite.are("Hot", "colder")  # of the base form
    assert opposite.are("colder", "hot")
    assert opposite.are("warm", "cool")
    assert not opposite.are("warm", "colder")  # of the same meaning, but not linked with each other
    assert not opposite.are("hot", "chilly")
    assert not opposite.are("hot", "hot")
    assert not opposite.are("hot", "unasked")
    (folder / "data.adj").write_text((folder / "data.adj").read_text().replace("0101", "01x1"))
    with pytest.raises(KdlabError, match=r"data\.adj can't be read .*: give the dict folder of WordNet"):
        Resources(str(tmp_path), cache).antonyms(["hot"])
    assert Resources(str(write_none(tmp_path / "none")), cache).antonyms(["hot"]) is None


def write_none(folder: Path) -> Path:
    folder.mkdir()
    return folder


def write_tagger(folder: Path) -> Path:
    folder.mkdir(parents=True)
    for part, content in (
        ("weights", {"bias": {"NN": 1}}),
        ("tagdict", {"the": "DT"}),
        ("classes", ["DT", "NN", "VB"]),
    ):
        (folder / f"{perceptron.NAME}.{part}.json").write_text(json.dumps(content))
    return folder


@pytest.mark.parametrize("below", ["", "nltk/", "nltk_data/"])
def test_the_tagger_of_nltk(tmp_path: Path, cache: Cache, below: str):
    folder = write_tagger(tmp_path / f"{below}taggers/{perceptron.NAME}")
    tagger = Resources(str(tmp_path), cache).tagger()
    assert isinstance(tagger, PerceptronTagger)
    assert tagger.tags([], ["the", "film"], []) == ["DET", "NOUN"]
    assert tagger.origin.name == f"{below}taggers/{perceptron.NAME}/{perceptron.NAME}.weights.json"
    assert not tagger.origin.missing
    digest = tagger.origin.sha256
    (folder / f"{perceptron.NAME}.tagdict.json").write_text("{}")
    assert Resources(str(tmp_path), Cache(tmp_path / "other")).tagger().origin.sha256 != digest
    (folder / f"{perceptron.NAME}.weights.json").unlink()
    for ask in (Resources.tagger, Resources.manifest):
        with pytest.raises(KdlabError, match=r"There is no .*weights\.json: give the files of NLTK's"):
            ask(Resources(str(tmp_path), cache))


def test_the_manifest_of_nothing(cache: Cache, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv(FOLDER, raising=False)
    resources = Resources(None, cache)
    entries = {entry.kind: entry for entry in resources.manifest()}
    assert list(entries) == [SYNONYMS, ANTONYMS, NEIGHBOURS, STOP_WORDS, TAGGER]
    assert {kind: entry.fidelity for kind, entry in entries.items()} == {
        **dict.fromkeys([SYNONYMS, NEIGHBOURS, STOP_WORDS, TAGGER], "substituted"),
        ANTONYMS: "missing",
    }
    assert all(entry.source and not entry.file and entry.size == 0 for entry in entries.values())
    assert entries[TAGGER].stand_in == "kdlab's own lists and endings"
    assert entries[TAGGER].sha256 == resources.tagger().origin.sha256
    assert entries[STOP_WORDS].sha256 == resources.stop_words().origin.sha256
    assert entries[ANTONYMS].sha256 == entries[ANTONYMS].stand_in == ""


def test_the_manifest_of_a_folder(tmp_path: Path, cache: Cache):
    write_wordnet(tmp_path / "wordnet")
    write_tagger(tmp_path / f"nltk/taggers/{perceptron.NAME}")
    (tmp_path / "stop_words.txt").write_text("the\n")
    listed = tmp_path / "counterfitted_neighbors.json"
    listed.write_text("{}")
    resources = Resources(str(tmp_path), cache)
    entries = {entry.kind: entry for entry in resources.manifest()}
    for kind, origin in (
        (SYNONYMS, resources.synonyms([]).origin),
        (NEIGHBOURS, resources.neighbours([], 0.5, 50, single=False).origin),
        (STOP_WORDS, resources.stop_words().origin),
        (TAGGER, resources.tagger().origin),
    ):
        assert (entries[kind].file, entries[kind].sha256) == (origin.name, origin.sha256)
    assert entries[ANTONYMS].sha256 == entries[SYNONYMS].sha256
    assert entries[STOP_WORDS].size == 4
    assert entries[SYNONYMS].size == sum(
        file.stat().st_size for file in (tmp_path / "wordnet").iterdir() if file.name != "lexnames"
    )
    assert {kind: entry.fidelity for kind, entry in entries.items() if entry.stand_in} == {NEIGHBOURS: "substituted"}
    assert entries[TAGGER].about()["fidelity"] == "found"
    (tmp_path / "counter-fitted-vectors.txt").write_text(VECTORS)
    assert next(entry.fidelity for entry in resources.manifest() if entry.kind == NEIGHBOURS) == "found"


def test_a_file_that_may_not_be_read_is_said(tmp_path: Path, cache: Cache, monkeypatch: pytest.MonkeyPatch):
    file = tmp_path / "counterfitted_neighbors.json"
    file.write_text("{}")

    def refuse(_: Path) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(cache.facts, "digest", refuse)
    with pytest.raises(KdlabError, match=r"counterfitted_neighbors\.json can't be read \(Permission denied\)"):
        Resources(str(tmp_path), cache).neighbours(["film"], 0.5, 50)
