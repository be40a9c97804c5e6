"""The tasks of one domain from the files that were published, wherever users have them, and parts carved by a seed."""

import gzip
import json
from pathlib import Path

import pytest

from kdlab.data.readers.domain_folder import load_domain
from kdlab.data.readers.parts import three_parts
from kdlab.data.tasks import DOMAIN
from kdlab.errors import KdlabError

REAL = Path(__file__).resolve().parents[4] / "shared" / "data"
SCITAIL = ["a premise\ta {} hypothesis\tentails", 'with "a quote\tanother {} one\tneutral']
SNLI = [
    {"sentence1": "a premise", "sentence2": "a {} hypothesis", "gold_label": "entailment", "annotator_labels": ["x"]},
    {"sentence1": "b", "sentence2": "another {} one", "gold_label": "neutral"},
]
CIKM = "I want a refund\tQuiero\tmoney back\tDinero\t{}"
OF_REVIEWS = {"watches": "reviews_Watches.json.gz", "home": "reviews_Home_and_Kitchen.json.gz"}


def write(path: Path, lines: list[str], encoding: str = "utf-8") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    raw = ("\n".join(lines) + "\n").encode(encoding)
    path.write_bytes(gzip.compress(raw) if path.suffix == ".gz" else raw)
    return path


def load(task: str, root: Path, seed: int = 0):
    return load_domain(DOMAIN[task], root, seed)


def fails(task: str, root: Path) -> str:
    with pytest.raises(KdlabError) as caught:
        load(task, root)
    assert "\n" not in str(caught.value)
    return str(caught.value).replace(f"{root}/", "")


def sizes(loaded) -> dict[str, int]:
    return {name: len(part) for name, part in loaded.splits.items()}


def scitail(folder: Path, form: str) -> None:
    for split in ("train", "dev", "test"):
        if form == "tsv":
            write(folder / f"scitail_1.0_{split}.tsv", [line.format(split) for line in SCITAIL])
            continue
        name = {"txt": f"scitail_1.0_{split}.txt", "jsonl": f"scitail_1.0_structure_{split}.jsonl"}[form]
        write(folder / name, [json.dumps(row).replace("{}", split) for row in SNLI])


@pytest.mark.parametrize("form", ["tsv", "txt", "jsonl"])
@pytest.mark.parametrize(
    "folder", ["", "scitail", "domain/scitail", "SciTailV1.1/tsv_format", "scitail/SciTailV1.1/snli_format"]
)
def test_scitail_in_each_published_form_and_place(tmp_path, folder, form):
    scitail(tmp_path / folder, form)
    loaded = load("scitail", tmp_path)
    assert list(loaded.splits) == ["train", "dev", "test"]
    assert loaded.notes == ()
    for split, examples in loaded.splits.items():
        assert examples.text_pair == (f"a {split} hypothesis", f"another {split} one")
        assert examples.labels == (1, 0)  # entailment stands second
    if form == "tsv":
        assert loaded.splits["dev"].text[1] == 'with "a quote'


def one_file(folder: Path, rows: int = 200) -> Path:
    labels = ("entailment", "not_entailment")
    lines = [json.dumps({"premise": f"p{i}", "hypothesis": "h", "label": labels[i % 5 > 1]}) for i in range(rows)]
    return write(folder / "scitail" / "test.jsonl", lines)


def test_one_file_of_scitail_is_carved_by_the_seed(tmp_path):
    path = one_file(tmp_path)
    loaded = load("scitail", tmp_path)
    assert sizes(loaded) == {"train": 60, "dev": 40, "test": 100}
    assert sorted(i for part in loaded.splits.values() for i in part.ids) == list(range(200))
    for part in loaded.splits.values():
        assert part.labels.count(1) == pytest.approx(0.4 * len(part), abs=1)
    assert loaded.notes == (
        f"{path}: 200 rows, by a seed (0) carved into train 60, dev 40, test 100, stratified by label, for the other "
        "published parts are not there",
    )
    assert load("scitail", tmp_path) == loaded
    other = load("scitail", tmp_path, seed=1)
    assert other.splits["test"].ids != loaded.splits["test"].ids
    assert "a seed (1)" in other.notes[0]


def test_two_files_of_scitail_are_refused(tmp_path):
    scitail(tmp_path / "scitail", "tsv")
    (tmp_path / "scitail" / "scitail_1.0_dev.tsv").unlink()
    assert "no scitail_1.0_dev.tsv: put it there, or leave one file" in fails("scitail", tmp_path)


def test_cikm_takes_the_english_columns(tmp_path):
    lines = [f"I want {i}\tQuiero {i}\tmoney {i}\tDinero\t{int(i % 4 == 0)}" for i in range(200)]
    path = write(tmp_path / "cikm" / "cikm_english_train_20180516.txt", lines)
    loaded = load("cikm", tmp_path)
    assert sizes(loaded) == {"train": 160, "dev": 20, "test": 20}
    test = loaded.splits["test"]
    assert (test.text[0], test.text_pair[0]) == (f"I want {test.ids[0]}", f"money {test.ids[0]}")
    assert test.labels == tuple(int(i % 4 == 0) for i in test.ids)
    assert "the rows of Qu et al. 2019 are not known" in loaded.notes[0]
    assert str(path) in loaded.notes[0]


def rt(folder: Path, positive: list[str], negative: list[str], encoding: str = "utf-8") -> Path:
    write(folder / "rt-polarity.neg", negative, encoding)
    write(folder / "rt-polarity.pos", positive, encoding)
    return folder


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
@pytest.mark.parametrize("folder", ["", "rt", "domain/rt", "rt-polaritydata"])
def test_rt_in_either_encoding(tmp_path, folder, encoding):
    rt(tmp_path / folder, [f"un café {i} . " for i in range(100)], [f"dull {i}" for i in range(100)], encoding)
    loaded = load("rt", tmp_path)
    assert sizes(loaded) == {"train": 160, "dev": 20, "test": 20}
    for part in loaded.splits.values():
        assert part.text_pair is None
        assert part.labels.count(1) * 2 == len(part)
        for text, label, number in zip(part.text, part.labels, part.ids, strict=True):
            assert text == (f"un café {number - 100} ." if label else f"dull {number}")


def test_a_text_in_two_parts_is_counted(tmp_path):
    rt(tmp_path, ["the same"] * 40, [f"dull {i}" for i in range(40)])
    assert "test: 4 of 8 texts are in train too" in load("rt", tmp_path).notes


@pytest.mark.parametrize(
    ("task", "lines", "said"),
    [
        ("scitail", ["a\tb"], "scitail_1.0_train.tsv:1: 2 columns where 3 are expected"),
        ("scitail", ["a\tb\tentails", "a\tb\tmaybe"], "scitail_1.0_train.tsv:2: label 'maybe' in column 'label' is"),
        ("scitail", ["a\t \tentails"], "scitail_1.0_train.tsv:1: column 'hypothesis' is blank"),
        ("cikm", [CIKM.format(2)], "cikm_english_train_20180516.txt:1: label '2' in column 'label' is none of"),
        ("cikm", ["a\tb\tc"], "cikm_english_train_20180516.txt:1: 3 columns where 5 are expected"),
        ("cikm", [CIKM.format(1)], "all 1 examples have the label 'duplicate'"),
        ("cikm", [CIKM.format(1), CIKM.format(0)], "too few to hold"),
        ("rt", ["a", "", "b"], "rt-polarity.pos:2: column 'text' is blank"),
        ("rt", ["a\0b"], "rt-polarity.pos:1: no text in UTF-8 or Latin-1"),
    ],
)
def test_broken_rows_are_named_with_file_and_line(tmp_path, task, lines, said):
    file = next(iter(DOMAIN[task].files.values()))
    if task == "rt":
        write(tmp_path / "rt-polarity.neg", ["c", "d"])
    if task == "scitail":
        scitail(tmp_path, "tsv")
    write(tmp_path / file, lines)
    assert said in fails(task, tmp_path)


@pytest.mark.parametrize("task", DOMAIN)
def test_missing_files_are_named(tmp_path, task):
    said = fails(task, tmp_path)
    wanted = {"rt": "rt-polarity.pos and rt-polarity.neg", **OF_REVIEWS}
    assert wanted.get(task, next(iter(DOMAIN[task].files.values())).replace("_5", "")[:12]) in said
    assert f"for task {task}" in said
    with pytest.raises(KdlabError, match="cannot be opened: give an existing folder"):
        load(task, tmp_path / "nowhere")


def test_half_of_rt_is_refused(tmp_path):
    write(tmp_path / "rt-polarity.neg", ["c"])
    assert "one of rt-polarity.pos and rt-polarity.neg, and both are needed" in fails("rt", tmp_path)


def test_scores_are_carved_by_their_tenths(tmp_path):
    from kdlab.data.examples import Examples

    rows = Examples(tuple(range(100)), tuple(map(str, range(100))), None, tuple(i / 100 for i in range(100)))
    loaded = three_parts(DOMAIN["home"], rows, "f", 0, "a reason", dev=0.2, test=0.3)
    assert sizes(loaded) == {"train": 50, "dev": 20, "test": 30}
    for part in loaded.splits.values():
        assert sum(part.labels) / len(part) == pytest.approx(0.495, abs=0.03)
    few = rows.take([0, 1, 2])
    with pytest.raises(KdlabError, match=r"f: .* too few"):
        three_parts(DOMAIN["home"], few, "f", 0, "a reason")


@pytest.mark.skipif(not (REAL / "domain").is_dir(), reason="the real files are not beside the repository")
@pytest.mark.parametrize(
    ("task", "parts", "positive"),
    [
        ("scitail", (638, 425, 1063), 842 / 2126),
        ("cikm", (16000, 2000, 2000), 5094 / 20000),
        ("rt", (8530, 1066, 1066), 0.5),
    ],
)
@pytest.mark.parametrize("folder", [".", "domain"])
def test_real_files(folder, task, parts, positive):
    loaded = load(task, REAL / folder)
    assert tuple(sizes(loaded).values()) == parts
    for part in loaded.splits.values():
        assert part.labels.count(1) / len(part) == pytest.approx(positive, abs=0.002)
