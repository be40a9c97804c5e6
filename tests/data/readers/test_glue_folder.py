"""GLUE's own files: the layout, its quirks, and an error with file and line for each thing that can be wrong."""

from pathlib import Path

import pytest

from kdlab.data.readers.glue_folder import load_glue
from kdlab.data.tasks import GLUE, get_task
from kdlab.errors import KdlabError

REAL = Path(__file__).resolve().parents[4] / "shared" / "data" / "glue"

RTE = [
    "index\tsentence1\tsentence2\tlabel",
    "0\tA man sleeps.\tA man is awake.\tnot_entailment",
    "1\tA man runs.\tA man moves.\tentailment",
]
SST2 = ["sentence\tlabel", "a good film \t1", "a bad film \t0"]
MNLI = [
    "index\tpromptID\tgenre\tsentence1\tsentence2\tlabel1\tgold_label",
    "0\t9\tfiction\tp0\th0\tneutral\tcontradiction",
    "1\t8\tfiction\tp1\th1\tneutral\tentailment",
    "2\t7\tfiction\tp2\th2\tneutral\tneutral",
]
MNLI_TEST = ["index\tpromptID\tgenre\tsentence1\tsentence2", "0\t9\tfiction\tp0\th0"]
QQP = [
    "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate",
    '70\t1\t2\tWhat "is" this?\tWhat is it?\t1',
    "71\t3\t4\tWhy?\tHow?\t0",
]
STSB = ["index\tgenre\tsentence1\tsentence2\tscore", "0\tnews\ta\tb\t5.000", "1\tnews\tc\td\t0.200"]
MRPC = [
    "Quality\t#1 ID\t#2 ID\t#1 String\t#2 String",
    '1\t10\t11\tHe said " yes .\tHe agreed .',
    "0\t12\t13\tRain fell .\tIt shone .",
]


def write(path: Path, lines: list[str], end: str = "\n", mark: bool = False) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes((b"\xef\xbb\xbf" if mark else b"") + (end.join(lines) + end).encode())
    return path


def folder(
    root: Path, name: str, train: list[str], dev: list[str] | None = None, test: list[str] | None = None
) -> Path:
    for file, lines in (("train.tsv", train), ("dev.tsv", dev or train), ("test.tsv", test)):
        if lines is not None:
            write(root / name / file, lines)
    return root


def fails(task: str, root: Path) -> str:
    with pytest.raises(KdlabError) as caught:
        load_glue(get_task(task), root)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", ["RTE", "rte", "Rte"])
def test_rte_by_label_name(tmp_path, name):
    loaded = load_glue(get_task("rte"), folder(tmp_path, name, RTE, test=["index\tsentence1\tsentence2", "7\tx\ty"]))
    train = loaded.splits["train"]
    assert train.text == ("A man sleeps.", "A man runs.")
    assert train.text_pair == ("A man is awake.", "A man moves.")
    assert train.labels == (1, 0)
    assert train.ids == (0, 1)
    assert loaded.splits["test"].labels is None
    assert loaded.splits["test"].ids == (7,)
    assert loaded.notes == ()


@pytest.mark.parametrize("name", ["SST-2", "sst2", "SST2", "sst_2"])
def test_sst2_under_its_common_names_and_from_its_own_folder(tmp_path, name):
    folder(tmp_path, name, SST2)
    loaded = load_glue(get_task("sst2"), tmp_path)
    assert loaded.splits["train"].labels == (1, 0)
    assert loaded.splits["train"].text == ("a good film ", "a bad film ")
    assert loaded.splits["train"].ids == (0, 1)
    assert loaded.splits.keys() == {"train", "dev"}
    assert load_glue(get_task("sst2"), tmp_path / name) == loaded


def test_own_folder_of_any_name(tmp_path):
    assert len(load_glue(get_task("sst2"), folder(tmp_path, "sentiment", SST2) / "sentiment").splits["dev"]) == 2


def test_marks_carriage_returns_and_other_line_ends(tmp_path):
    rows = ["sentence\tlabel", 'an \x85 odd \u2028 one with "quotes\t1', "plain\x0b \x1c\t0"]
    for file in ("train.tsv", "dev.tsv"):
        write(tmp_path / "SST-2" / file, rows, end="\r\n", mark=True)
    write(tmp_path / "SST-2" / "test.tsv", ["index\tsentence", "0\tlast", "", ""])
    loaded = load_glue(get_task("sst2"), tmp_path)
    assert loaded.splits["train"].text == ('an \x85 odd \u2028 one with "quotes', "plain\x0b \x1c")
    assert loaded.splits["train"].labels == (1, 0)
    assert loaded.splits["test"].text == ("last",)


def test_cola_has_a_header_in_its_test_file_only(tmp_path):
    train = ["gj04\t1\t\tThey drank the pub dry.", "gj04\t0\t*\tThey drank the pub."]
    root = folder(tmp_path, "CoLA", train, test=["index\tsentence", "0\tBill whistled.", "1\tBill."])
    loaded = load_glue(get_task("cola"), root)
    assert loaded.splits["train"].text == ("They drank the pub dry.", "They drank the pub.")
    assert loaded.splits["train"].labels == (1, 0)
    assert loaded.splits["test"].text == ("Bill whistled.", "Bill.")
    assert loaded.splits["test"].ids == (0, 1)


def test_cola_counts_line_one_where_there_is_no_header(tmp_path):
    root = folder(tmp_path, "CoLA", ["gj04\t2\t\tThey left.", "gj04\t0\t*\tThey left."])
    assert f"{tmp_path}/CoLA/train.tsv:1: label '2' in column 'label' is none of" in fails("cola", root)
    folder(tmp_path, "CoLA", ["gj04\t1\tThey left."])
    assert "train.tsv:1: 3 columns where 4 are expected (source, label, mark, sentence)" in fails("cola", root)


def test_mrpc(tmp_path):
    root = folder(tmp_path, "MRPC", MRPC, test=["index\t#1 ID\t#2 ID\t#1 String\t#2 String", "0\t1\t2\tx\ty"])
    train = load_glue(get_task("mrpc"), root).splits["train"]
    assert train.text == ('He said " yes .', "Rain fell .")
    assert train.labels == (1, 0)


def test_mrpc_under_msr_names_leaves_the_dev_pairs_out_of_train(tmp_path):
    more = [*MRPC, "1\t20\t21\tx\ty", "0\t22\t23\tz\tw"]
    write(tmp_path / "MRPC" / "msr_paraphrase_train.txt", more, end="\r\n", mark=True)
    write(tmp_path / "MRPC" / "msr_paraphrase_test.txt", MRPC, end="\r\n", mark=True)
    write(tmp_path / "MRPC" / "dev.tsv", [MRPC[0], *more[3:]])
    loaded = load_glue(get_task("mrpc"), tmp_path)
    assert loaded.splits["train"].ids == (0, 1)
    assert loaded.splits["dev"].text == ("x", "z")
    assert loaded.splits["test"].labels is None
    assert loaded.notes == ("MRPC/msr_paraphrase_train.txt: 2 rows of the dev split left out of train",)

    (tmp_path / "MRPC" / "dev.tsv").unlink()
    write(tmp_path / "MRPC" / "dev_ids.tsv", ["20\t21", "22\t23"])
    again = load_glue(get_task("mrpc"), tmp_path)
    assert again.splits["train"] == loaded.splits["train"]
    assert again.splits["dev"].text == ("x", "z")
    assert again.splits["dev"].ids == (2, 3)

    (tmp_path / "MRPC" / "dev_ids.tsv").unlink()
    assert "MRPC holds no dev.tsv, the dev split of task mrpc" in fails("mrpc", tmp_path)


def test_qqp_skips_broken_rows_and_counts_them(tmp_path):
    broken = ['72\t5\t6\t"', "\tWas he real?\t0", "73\t5\t6\tWhy?\t\t1"]
    root = folder(tmp_path, "QQP", [*QQP[:2], *broken, QQP[2], "74\t5\t6\tWho?\tWho is it?\t1"], dev=QQP)
    loaded = load_glue(get_task("qqp"), root)
    assert loaded.splits["train"].text == ('What "is" this?', "Why?", "Who?")
    assert loaded.splits["train"].labels == (1, 0, 1)
    assert loaded.splits["train"].ids == (0, 4, 5)  # as the hub counts: the place in the file
    assert loaded.notes == ("QQP/train.tsv: 3 broken rows skipped",)


def test_qqp_keeps_every_test_row_that_the_server_counts(tmp_path):
    root = folder(tmp_path, "QQP", QQP, test=["id\tquestion1\tquestion2", "0\ta\t", "1\tc\td"])
    loaded = load_glue(get_task("qqp"), root)
    assert loaded.splits["test"].text_pair == ("", "d")
    assert loaded.notes == ()


def test_qqp_that_is_mostly_broken_is_the_wrong_file(tmp_path):
    assert "train.tsv: 3 of 5 rows do not have 6 columns" in fails(
        "qqp", folder(tmp_path, "QQP", [*QQP, "a\tb", "a\tb", "a\tb"], dev=QQP)
    )


def mnli(root: Path) -> Path:
    for name in ("train", "dev_matched", "dev_mismatched"):
        write(root / "MNLI" / f"{name}.tsv", MNLI)
    write(root / "MNLI" / "test_matched.tsv", MNLI_TEST)
    return root


def test_mnli_reads_the_gold_label_and_both_dev_sets(tmp_path):
    loaded = load_glue(get_task("mnli"), mnli(tmp_path))
    assert list(loaded.splits) == ["train", "dev", "dev_mm", "test"]
    assert loaded.splits["dev_mm"].labels == (2, 0, 1)
    assert loaded.splits["dev"].text == ("p0", "p1", "p2")
    (tmp_path / "MNLI" / "dev_mismatched.tsv").unlink()
    assert "holds no dev_mismatched.tsv, the dev_mm split of task mnli" in fails("mnli", tmp_path)


@pytest.mark.parametrize(
    "place", ["AX/AX.tsv", "AX/diagnostic.tsv", "diagnostic/diagnostic.tsv", "MNLI/diagnostic.tsv"]
)
def test_ax_borrows_train_and_dev_from_mnli(tmp_path, place):
    write(mnli(tmp_path) / place, ["index\tsentence1\tsentence2", "0\tx\ty", "1\tz\tw"])
    for root in (tmp_path, (tmp_path / place).parent):
        loaded = load_glue(get_task("ax"), root)
        assert list(loaded.splits) == ["train", "dev", "test"]
        assert loaded.splits["train"].labels == (2, 0, 1)
        assert loaded.splits["test"].text == ("x", "z")
        assert loaded.splits["test"].labels is None
    further = load_glue(get_task("mnli"), tmp_path).splits["test_ax"]
    assert (further.text, further.labels) == (("x", "z"), None)


def test_ax_needs_its_own_file(tmp_path):
    assert "holds no diagnostic.tsv or AX.tsv" in fails("ax", mnli(tmp_path))


def test_wnli_and_qnli(tmp_path):
    rows = ["index\tsentence1\tsentence2\tlabel", "0\ta\tb\t1", "1\tc\td\t0"]
    assert load_glue(get_task("wnli"), folder(tmp_path, "WNLI", rows)).splits["train"].labels == (1, 0)
    rows = ["index\tquestion\tsentence\tlabel", "4\ta\tb\tentailment", "9\tc\td\tnot_entailment"]
    train = load_glue(get_task("qnli"), folder(tmp_path, "QNLI", rows)).splits["train"]
    assert (train.labels, train.text_pair, train.ids) == ((0, 1), ("b", "d"), (4, 9))


@pytest.mark.parametrize("name", ["STS-B", "stsb", "STSB"])
def test_stsb_scores(tmp_path, name):
    root = folder(tmp_path, name, STSB, test=["index\tgenre\tsentence1\tsentence2", "0\tnews\ta\tb"])
    loaded = load_glue(get_task("stsb"), root)
    assert loaded.splits["dev"].labels == (5.0, 0.2)
    assert loaded.splits["test"].labels is None


def test_a_test_file_with_labels_still_has_none(tmp_path):
    assert load_glue(get_task("rte"), folder(tmp_path, "RTE", RTE, test=RTE)).splits["test"].labels is None


@pytest.mark.parametrize("index", [["x", "1"], ["3", "3"], ["", "1"], ["-1", "0"]])
def test_an_index_that_is_no_list_of_distinct_integers_gives_way_to_the_position(tmp_path, index):
    rows = [RTE[0], *(f"{i}\t{line.split(chr(9), 1)[1]}" for i, line in zip(index, RTE[1:], strict=True))]
    assert load_glue(get_task("rte"), folder(tmp_path, "RTE", rows)).splits["train"].ids == (0, 1)


@pytest.mark.parametrize(
    ("task", "name", "rows", "message"),
    [
        (
            "rte",
            "RTE",
            [*RTE, "2\ta\tb\tmaybe"],
            "train.tsv:4: label 'maybe' in column 'label' is none of entailment, not_",
        ),
        ("rte", "RTE", [*RTE, "2\ta\tb\t1"], "train.tsv:4: label '1' in column 'label'"),
        (
            "sst2",
            "SST-2",
            [*SST2, "x\t2"],
            "train.tsv:4: label '2' in column 'label' is none of negative, positive (written",
        ),
        ("rte", "RTE", [RTE[0], RTE[1], "", RTE[2]], "train.tsv:3: 1 column where 4 are expected"),
        (
            "rte",
            "RTE",
            [*RTE, "2\ta\tb"],
            "train.tsv:4: 3 columns where 4 are expected (index, sentence1, sentence2, label)",
        ),
        ("rte", "RTE", [*RTE, "2\ta\tb\tc\tentailment"], "train.tsv:4: 5 columns"),
        ("rte", "RTE", [*RTE, "2\t \tb\tentailment"], "train.tsv:4: column 'sentence1' is blank"),
        ("rte", "RTE", [*RTE, "2\ta\t\tentailment"], "train.tsv:4: column 'sentence2' is blank"),
        ("rte", "RTE", SST2, "train.tsv:1: no column 'sentence1'; the columns there are sentence, label"),
        (
            "rte",
            "RTE",
            ["index\tsentence1\tsentence2\tgold"],
            "no column 'label'; the columns there are index, sentence1, se",
        ),
        ("rte", "RTE", [RTE[0] + "\tlabel"], "train.tsv:1: more than one column 'label'"),
        ("rte", "RTE", RTE[:1], "train.tsv holds no examples"),
        ("rte", "RTE", [], "train.tsv holds no examples"),
        ("rte", "RTE", RTE[:2], "train.tsv: all 1 examples have the label 'not_entailment' in column 'label'"),
        (
            "stsb",
            "STS-B",
            [*STSB, "2\tnews\ta\tb\t5.1"],
            "train.tsv:4: score '5.1' in column 'score' is no number from 0 to 5",
        ),
        ("stsb", "STS-B", [*STSB, "2\tnews\ta\tb\tnan"], "train.tsv:4: score 'nan'"),
        ("stsb", "STS-B", [*STSB, "2\tnews\ta\tb\thigh"], "train.tsv:4: score 'high'"),
        ("stsb", "STS-B", [*STSB, "2\tnews\ta\tb\t"], "train.tsv:4: score ''"),
        ("stsb", "STS-B", [STSB[0], STSB[1], STSB[1]], "train.tsv: all 2 examples have the score 5 in column 'score'"),
        ("qqp", "QQP", [*QQP, "1\t2\t3\ta\tb\t7"], "train.tsv:4: label '7' in column 'is_duplicate'"),
    ],
)
def test_errors_name_file_line_and_value(tmp_path, task, name, rows, message):
    assert message in fails(task, folder(tmp_path, name, rows))


def test_errors_in_dev_and_test_files_name_them(tmp_path):
    root = folder(tmp_path, "RTE", RTE, dev=[*RTE, "2\ta\tb\tno"])
    assert "dev.tsv:4: label 'no'" in fails("rte", root)
    root = folder(tmp_path, "RTE", RTE, test=["index\tsentence1\tsentence2", "0\ta\t"])
    assert "test.tsv:2: column 'sentence2' is blank" in fails("rte", root)
    folder(tmp_path, "RTE", RTE, test=["index\tsentence1\tsentence2"])
    assert "test.tsv holds no examples" in fails("rte", root)
    folder(tmp_path, "STS-B", STSB, dev=STSB[:2])
    assert "dev.tsv: all 1 examples have the score 5" in fails("stsb", root)


def test_a_byte_that_is_not_utf8_is_named_with_its_line(tmp_path):
    root = folder(tmp_path, "SST-2", SST2)
    (root / "SST-2" / "train.tsv").write_bytes("sentence\tlabel\nün\t1\n".encode() + b"caf\xe9\t0\n")
    assert "train.tsv:3: byte 4 of the line (0xe9) is not UTF-8" in fails("sst2", root)
    (root / "SST-2" / "train.tsv").write_bytes("sentence\tlabel\n".encode("utf-16"))
    assert "train.tsv:1: byte 1 of the line (0xff) is not UTF-8" in fails("sst2", root)


def test_missing_folders_and_files(tmp_path):
    assert f"{tmp_path} holds neither a folder SST-2 or sst2 nor train.tsv" in fails("sst2", tmp_path)
    assert "cannot be opened" in fails("sst2", tmp_path / "nowhere")
    assert "cannot be opened" in fails("sst2", write(tmp_path / "file", ["x"]))
    assert "cannot be opened" in fails("sst2", Path("a\0b"))
    write(tmp_path / "SST-2" / "dev.tsv", SST2)
    assert f"{tmp_path}/SST-2 holds no train.tsv, the train split of task sst2" in fails("sst2", tmp_path)
    assert "holds no train.tsv" in fails("sst2", tmp_path / "SST-2")
    write(tmp_path / "SST-2" / "train.tsv", SST2)
    (tmp_path / "SST-2" / "dev.tsv").unlink()
    assert "holds no dev.tsv, the dev split" in fails("sst2", tmp_path)


@pytest.mark.parametrize("task", GLUE)
def test_any_task_on_nonsense_is_an_error_of_ours(tmp_path, task):
    folder_name = get_task(task).folder or task
    for file in {*GLUE[task].files.values(), "dev_matched.tsv"}:
        (tmp_path / folder_name).mkdir(exist_ok=True)
        (tmp_path / folder_name / file).write_bytes(b"\x00\t\n\t\t\t\n,,,\n")
    assert fails(task, tmp_path)


@pytest.mark.skipif(not REAL.is_dir(), reason="the real files are not beside the repository")
@pytest.mark.parametrize(
    ("task", "sizes"),
    [
        ("rte", (2490, 277, 3000)),
        ("mrpc", (3668, 408, 1725)),
        ("sst2", (67349, 872, 1821)),
        ("stsb", (5749, 1500, 1379)),
    ],
)
def test_real_files(task, sizes):
    loaded = load_glue(get_task(task), REAL)
    assert tuple(len(loaded.splits[split]) for split in ("train", "dev", "test")) == sizes
    assert loaded.notes == ()
    assert loaded.splits["test"].labels is None
    first = {"rte": 1, "mrpc": 1, "sst2": 0, "stsb": 5.0}
    assert loaded.splits["train"].labels[0] == first[task]
    assert all(len(set(examples.ids)) == len(examples) for examples in loaded.splits.values())


@pytest.mark.skipif(not REAL.is_dir(), reason="the real files are not beside the repository")
def test_real_files_that_are_incomplete():
    assert "QNLI holds no train.tsv" in fails("qnli", REAL)
    loaded = load_glue(get_task("qqp"), REAL)
    assert {split: len(examples) for split, examples in loaded.splits.items()} == {"train": 38266, "dev": 4000}
