"""Amazon's reviews in their three forms: the score, what is left out and counted, and broken rows."""

import gzip
import json
from pathlib import Path

import pytest

from kdlab.data.readers.amazon import FEWEST, VOTES, load_reviews
from kdlab.data.tasks import DOMAIN
from kdlab.errors import KdlabError

REAL = Path(__file__).resolve().parents[4] / "shared" / "data" / "domain"


def review(i: int, helpful: int, votes: int, text: str | None = None) -> dict:
    return {"reviewerID": f"A{i}", "helpful": [helpful, votes], "reviewText": f"text {i}" if text is None else text}


def reviews(count: int = FEWEST, votes: int = 10) -> list[dict]:
    return [review(i, i % (votes + 1), votes) for i in range(count)]


def write(path: Path, rows: list[dict] | list[str]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    raw = ("\n".join(lines) + "\n").encode("latin-1" if ".txt" in path.name else "utf-8")
    path.write_bytes(gzip.compress(raw) if path.suffix == ".gz" else raw)
    return path


def load(task: str, root: Path):
    return load_reviews(DOMAIN[task], root, 0)


def fails(task: str, root: Path) -> str:
    with pytest.raises(KdlabError) as caught:
        load(task, root)
    assert "\n" not in str(caught.value)
    return str(caught.value).replace(f"{root}/", "")


def by_text(loaded) -> dict[str, float]:
    return {t: y for part in loaded.splits.values() for t, y in zip(part.text, part.labels, strict=True)}


@pytest.mark.parametrize(
    ("task", "name"),
    [
        ("watches", "reviews_Watches.json"),
        ("electronics", "reviews_Electronics_5.json.gz"),
        ("electronics", "amazon/Electronics.json"),
        ("home", "domain/amazon/reviews_Home_and_Kitchen_5.json.gz"),
        ("home", "home.jsonl"),
    ],
)
def test_the_score_is_the_share_of_helpful_votes(tmp_path, task, name):
    write(tmp_path / name, reviews())
    loaded = load(task, tmp_path)
    assert {split: len(part) for split, part in loaded.splits.items()} == {"train": 160, "dev": 20, "test": 20}
    assert by_text(loaded) == {f"text {i}": (i % 11) / 10 for i in range(FEWEST)}
    assert loaded.notes[0] == f"{Path(name).name}: of 200 reviews, none is left out; 200 remain"


def test_every_filter_is_counted(tmp_path):
    rows = [
        *reviews(),
        *(review(1000 + i, 1, VOTES - 1) for i in range(7)),
        review(2000, 3, 6, text=" "),
        *(review(2001 + i, 9, 6) for i in range(3)),
        *(review(0, 1, 9) for _ in range(2)),
    ]
    loaded = load("watches", write(tmp_path / "reviews_Watches.json", rows).parent)
    assert loaded.notes[0] == (
        "reviews_Watches.json: of 213 reviews, 7 have fewer than 5 votes, 1 have no text, 3 have more helpful votes "
        "than votes, 2 repeat a text; 200 remain"
    )
    assert by_text(loaded)["text 0"] == 0.0  # the first of equal texts stays


def test_where_few_have_five_votes_one_is_enough_and_said(tmp_path):
    rows = [*reviews(FEWEST - 1), review(500, 1, 2), review(501, 0, 0)]
    loaded = load("watches", write(tmp_path / "reviews_Watches.json", rows).parent)
    assert loaded.notes[:2] == (
        "reviews_Watches.json: of 201 reviews, 1 have no votes; 200 remain",
        "reviews_Watches.json: only 199 reviews have 5 votes or more, so one vote is enough here",
    )
    assert by_text(loaded)["text 500"] == 0.5
    assert "text 501" not in by_text(loaded)


def test_the_text_of_2013_in_latin_1(tmp_path):
    blocks = [
        line
        for i in range(FEWEST)
        for line in ("product/title: a watch", f"review/helpfulness: {i % 11}/10", f"review/text: déjà {i}: yes", "")
    ]
    write(tmp_path / "Watches.txt.gz", blocks)
    assert by_text(load("watches", tmp_path)) == {f"déjà {i}: yes": (i % 11) / 10 for i in range(FEWEST)}


def test_a_table(tmp_path):
    rows = [f'x,"text, {i}",{i % 11},10' for i in range(FEWEST)]
    write(tmp_path / "electronics.csv", ["id,reviewText,helpful_yes,total_vote", *rows])
    assert by_text(load("electronics", tmp_path)) == {f"text, {i}": (i % 11) / 10 for i in range(FEWEST)}


@pytest.mark.parametrize(
    ("name", "rows", "said"),
    [
        ("reviews_Watches.json", [review(0, 1, 5), "{"], "reviews_Watches.json:2: not valid JSON"),
        ("reviews_Watches.json", [{"helpful": [1, 2]}], "reviews_Watches.json:1: no field 'reviewText'"),
        ("reviews_Watches.json", [{"reviewText": "a"}], "reviews_Watches.json:1: no field 'helpful'"),
        ("reviews_Watches.json", [{"reviewText": "a", "helpful": 3}], "1: field 'helpful' is a number where"),
        ("reviews_Watches.json", [{"reviewText": "a", "helpful": [3]}], "1: field 'helpful' is 1 values where"),
        ("reviews_Watches.json", [{"reviewText": 3, "helpful": [3, 4]}], "1: field 'reviewText' is a number where"),
        ("reviews_Watches.json", [{"reviewText": "a", "helpful": [-3, 4]}], "1: 'helpful' holds '-3' where a number"),
        ("reviews_Watches.json", [{"reviewText": "a", "helpful": [None, 4]}], "1: 'helpful' holds missing where"),
        ("reviews_Watches.json", [review(i, 0, 0) for i in range(9)], "none of 9 reviews has votes"),
        ("reviews_Watches.json", [], "reviews_Watches.json: no reviews"),
        ("reviews_Watches.json", [review(i, 5, 5) for i in range(9)], "all 9 examples have the score 1"),
        ("watches.csv", ["reviewText,helpful_yes"], "watches.csv:1: no column 'total_vote'"),
        ("watches.csv", ["reviewText,helpful_yes,total_vote", "a,x,3"], "watches.csv:2: 'helpful_yes' holds 'x' where"),
        ("Watches.txt", ["review/helpfulness: three"], "Watches.txt:1: 'review/helpfulness' is 'three' where"),
        ("Watches.txt", ["review/text: a"], "Watches.txt:1: no 'review/helpfulness' stands before this text"),
    ],
)
def test_broken_rows_are_named_with_file_and_line(tmp_path, name, rows, said):
    write(tmp_path / name, rows)
    assert said in fails("watches", tmp_path)


def test_a_broken_archive_is_a_sentence(tmp_path):
    (tmp_path / "reviews_Watches.json.gz").write_bytes(b"no gzip")
    assert "reviews_Watches.json.gz can't be read" in fails("watches", tmp_path)
    (tmp_path / "reviews_Watches.json.gz").write_bytes(gzip.compress(b'{"a": 1}\n' * 1000)[:40])
    assert "reviews_Watches.json.gz" in fails("watches", tmp_path)


@pytest.mark.skipif(not REAL.is_dir(), reason="the real files are not beside the repository")
def test_the_real_stand_in():
    loaded = load("electronics", REAL)
    assert loaded.notes[0].startswith(
        "electronics.csv: of 4,915 reviews, 4,360 have no votes, 1 have no text; 554 remain"
    )
    assert "only 43 reviews have 5 votes or more" in loaded.notes[1]
    assert sum(map(len, loaded.splits.values())) == 554
    assert "reviews_Watches.json.gz" in fails("watches", REAL)
