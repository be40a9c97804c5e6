"""A user's own task: its description and its files, and an error with file, line and field for what is wrong."""

import json
from pathlib import Path

import pytest

from kdlab.data.readers.task_file import load_custom, load_task
from kdlab.errors import KdlabError

YAML = """\
name: reviews
files: {train: train.csv, dev: dev.csv, test: test.csv}
columns: {text: body, text_pair: null, label: stars}
labels: [negative, positive]
aliases: {"0": negative, 1: positive}
metrics: [accuracy, f1]
description: stars of a review
"""
SHORT = "name: t\nfiles: {train: train.%s}\nlabels: [no way, yes way]\n"
CSV = 'stars,body\nnegative,"bad, ""really"" bad"\n1,"two\nlines"\n0,fine\n'


def task(tmp_path: Path, text: str, files: dict[str, str] | None = None):
    (tmp_path / "task.yaml").write_text(text, encoding="utf-8")
    for name, content in (files or {}).items():
        (tmp_path / name).write_bytes(content.encode("utf-8"))
    return load_task(tmp_path / "task.yaml")


def fails(tmp_path: Path, text: str, files: dict[str, str] | None = None) -> str:
    with pytest.raises(KdlabError) as caught:
        load_custom(task(tmp_path, text, files), tmp_path)
    assert "\n" not in str(caught.value)
    return str(caught.value).replace(f"{tmp_path}/", "")


def test_a_whole_description(tmp_path):
    spec = task(tmp_path, YAML)
    assert (spec.name, spec.text, spec.text_pair, spec.label) == ("reviews", "body", None, "stars")
    assert spec.labels == ("negative", "positive")
    assert spec.aliases == {"0": "negative", "1": "positive"}
    assert spec.metrics == ("accuracy", "f1")
    assert spec.files == {"train": "train.csv", "dev": "dev.csv", "test": "test.csv"}
    assert (spec.reported_splits, spec.unlabelled_splits) == (("dev",), ("test",))
    assert spec.description == "stars of a review"
    assert spec.num_outputs == 2


def test_the_shortest_descriptions(tmp_path):
    spec = task(tmp_path, SHORT % "csv")
    assert (spec.text, spec.label, spec.metrics, tuple(spec.splits)) == (
        "text",
        "label",
        ("accuracy",),
        ("train", "dev"),
    )
    spec = task(tmp_path, "name: t\nfiles: {train: a.tsv}\nscore_range: [1, 5]\n")
    assert (spec.score_range, spec.metrics, spec.num_outputs) == ((1.0, 5.0), ("pearson", "spearman"), 1)


def test_csv_with_quotes_and_line_breaks(tmp_path):
    loaded = load_custom(task(tmp_path, YAML, {"train.csv": CSV, "dev.csv": "\ufeff" + CSV, "test.csv": CSV}), tmp_path)
    assert loaded.splits["train"].text == ('bad, "really" bad', "two\nlines", "fine")
    assert loaded.splits["train"].labels == (0, 1, 0)
    assert loaded.splits["train"].ids == (0, 1, 2)
    assert loaded.splits["dev"] == loaded.splits["train"]
    assert loaded.splits["test"].labels is None
    assert list(loaded.splits) == ["train", "dev", "test"]
    assert loaded.notes == tuple(f"{split}: 3 of 3 texts are in train too" for split in ("dev", "test"))


def test_csv_with_windows_line_ends_and_blank_lines(tmp_path):
    text = YAML.replace("test: test.csv", "")
    rows = CSV.replace("\n", "\r\n").replace("0,fine", "\r\n0,fine") + "\r\n\r\n"
    loaded = load_custom(task(tmp_path, text, {"train.csv": rows, "dev.csv": rows}), tmp_path)
    assert loaded.splits["train"].text == ('bad, "really" bad', "two\r\nlines", "fine")


def test_tsv_has_no_quoting(tmp_path):
    rows = 'text\tlabel\n"open\tno way\nb " c\u2028d\tyes way\n'
    text = "name: t\nfiles: {train: a.tsv, dev: b.TSV}\nlabels: [no way, yes way]\n"
    loaded = load_custom(task(tmp_path, text, {"a.tsv": rows, "b.TSV": rows}), tmp_path)
    assert loaded.splits["train"].text == ('"open', 'b " c\u2028d')


def test_jsonl_labels_may_be_numbers_texts_or_truth_values(tmp_path):
    text = (
        "name: t\nfiles: {train: a.jsonl, dev: a2.jsonl}\ncolumns: {text_pair: other}\nlabels: ['true', 'false', 7]\n"
    )
    rows = [
        {"text": "a", "other": "x", "label": True},
        {"text": "b", "other": "y", "label": "false", "more": [1]},
        {"text": "c", "other": "z", "label": 7},
    ]
    lines = "\n".join(map(json.dumps, rows)) + "\n\n"
    train = load_custom(task(tmp_path, text, {"a.jsonl": lines, "a2.jsonl": lines}), tmp_path).splits["train"]
    assert train.labels == (0, 1, 2)
    assert train.text_pair == ("x", "y", "z")


def test_regression_scores(tmp_path):
    text = "name: t\nfiles: {train: a.jsonl, dev: b.csv}\nscore_range: [-1, 5.5]\n"
    rows = '{"text": "a", "label": 5}\n{"text": "b", "label": -0.5}\n{"text": "c", "label": "1e0"}\n'
    files = {"a.jsonl": rows, "b.csv": "text,label\nx,5.5\ny,-1\n"}
    loaded = load_custom(task(tmp_path, text, files), tmp_path)
    assert loaded.splits["train"].labels == (5.0, -0.5, 1.0)
    assert loaded.splits["dev"].labels == (5.5, -1.0)
    assert "b.csv:2: score '9' in column 'label' is no number from -1 to 5.5" in fails(
        tmp_path, text, {**files, "b.csv": "text,label\nx,9\n"}
    )
    for value, shown in (("true", "'true'"), ("null", "''"), ("NaN", "'NaN'"), ("1e999", "'1e999'")):
        assert f"a.jsonl:1: score {shown}" in fails(
            tmp_path, text, {**files, "a.jsonl": f'{{"text": "a", "label": {value}}}\n'}
        )


def test_dev_is_carved_where_there_is_no_file(tmp_path):
    rows = "text,label\n" + "".join(f"t{i},{'yes way' if i % 10 == 0 else 'no way'}\n" for i in range(200))
    spec = task(tmp_path, SHORT % "csv", {"train.csv": rows})
    loaded = load_custom(spec, tmp_path)
    train, dev = loaded.splits["train"], loaded.splits["dev"]
    assert sorted(train.ids + dev.ids) == list(range(200))
    assert (len(dev), dev.labels.count(1)) == (20, 2)
    assert loaded.notes == ("dev: 20 examples carved out of train.csv (seed 0), for there is no dev file",)
    assert load_custom(spec, tmp_path) == loaded
    other = load_custom(spec, tmp_path, seed=1)
    assert other.splits["dev"].ids != dev.ids
    assert "(seed 1)" in other.notes[0]


def test_texts_that_stand_in_train_too_are_counted(tmp_path):
    train = "text,label\n" + "".join(f"t{i},{'yes way' if i % 2 else 'no way'}\n" for i in range(40))
    text = (SHORT % "csv").replace("train.csv}", "train.csv, dev: dev.csv}")
    spec = task(tmp_path, text, {"train.csv": train, "dev.csv": "text,label\nt3,yes way\nt4,no way\nnew,no way\n"})
    assert load_custom(spec, tmp_path).notes == ("dev: 2 of 3 texts are in train too",)
    pairs = "text,text_pair,label\n" + "".join(f"a,b{i},{('no way', 'yes way')[i % 2]}\n" for i in range(40))
    (tmp_path / "pairs").mkdir()
    spec = task(tmp_path / "pairs", SHORT % "csv" + "columns: {text_pair: text_pair}\n", {"train.csv": pairs})
    assert len(load_custom(spec, tmp_path / "pairs").notes) == 1  # one text of two is not the pair


def test_carving_keeps_every_label_on_both_sides(tmp_path):
    rows = "text,label\n" + "a,no way\n" * 30 + "b,yes way\n" * 2
    loaded = load_custom(task(tmp_path, SHORT % "csv", {"train.csv": rows}), tmp_path)
    assert all(set(examples.labels) == {0, 1} for examples in loaded.splits.values())
    message = fails(tmp_path, SHORT % "csv", {"train.csv": rows.removesuffix("b,yes way\n")})
    assert "train.csv: only one example has the label 'yes way', so no dev split can be carved" in message
    text = "name: t\nfiles: {train: a.csv}\nscore_range: [0, 1]\n"
    assert "a.csv: 2 examples are too few to carve" in fails(tmp_path, text, {"a.csv": "text,label\nx,0\ny,1\n"})


def test_a_label_without_examples_is_noted(tmp_path):
    rows = "text,label\nx,a\ny,b\n"
    text = "name: t\nfiles: {train: a.csv, dev: b.csv}\nlabels: [a, b, c]\n"
    loaded = load_custom(
        task(tmp_path, text, {"a.csv": rows, "b.csv": rows.replace("x,a", "v,a").replace("y,b", "w,b")}), tmp_path
    )
    assert loaded.notes == ("a.csv: no example has the label c", "b.csv: no example has the label c")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("labels: [", "lables: [", "task.yaml:4: There is no field of a task 'lables': did you mean labels"),
        ("text: body", "txt: body", "task.yaml:3: There is no entry of columns 'txt': did you mean text"),
        (
            "train: train.csv",
            "trian: train.csv",
            "task.yaml:2: There is no entry of files 'trian': did you mean train?",
        ),
        ("f1]", "fi]", "task.yaml:6: There is no metric for a task with labels 'fi': did you mean f1?"),
        ("f1]", "pearson]", "no metric for a task with labels 'pearson'"),
        ("f1]", "accuracy]", "task.yaml:6: field 'metrics' names 'accuracy' twice"),
        ("positive]", "negative]", "task.yaml:4: field 'labels' names 'negative' twice"),
        (", positive]", "]", "task.yaml:4: field 'labels' holds only 'negative': name at least two"),
        (
            "positive]",
            "positive, both]",
            "task.yaml:6: field 'metrics' names f1, which needs exactly two labels, and there are 3",
        ),
        ("labels: [negative, positive]", "labels: negative", "task.yaml:4: field 'labels' is a text: write a list"),
        ("labels: [negative, positive]", "labels: []", "task.yaml:4: field 'labels' or 'score_range' is needed"),
        ("labels: [negative, positive]", "labels: [a, ]", "field 'labels' holds only 'a'"),
        ("labels: [negative, positive]", "labels: [a, [b]]", "field 'labels' holds a list: a text is needed"),
        ("labels: [negative, positive]", "labels: [caf\u00e9, cafe\u0301]", "field 'labels' names 'caf\u00e9' twice"),
        ("metrics:", "score_range: [1, 5]\nmetrics:", "field 'labels' or 'score_range' is needed, and not both"),
        ("1: positive", "1: good", "task.yaml:5: field 'aliases' maps '1' to 'good', which is none of the labels"),
        ("1: positive", "positive: negative", "field 'aliases' maps the label 'positive' to 'negative'"),
        ("aliases: {", "aliases: [{", "task.yaml:"),
        ("aliases: {", "aliases: 3 #", "task.yaml:5: field 'aliases' is a number: write a mapping"),
        ("name: reviews", "name: a/b", "task.yaml:1: field 'name' is 'a/b': use up to 64 letters"),
        ("name: reviews", "name: ..", "field 'name' is '..'"),
        ("name: reviews", "name: rte", "task.yaml:1: field 'name' is 'rte', a task of kdlab's: choose another name"),
        ("name: reviews", "name:", "task.yaml:1: field 'name' holds missing"),
        ("name: reviews\n", "", "task.yaml:1: field 'name' holds missing"),
        ("name: reviews", "name: a\nname: b", "task.yaml:2: field 'name' stands there twice"),
        ("files: {train: train.csv, ", "files: {", "task.yaml:2: field 'files' has no entry 'train'"),
        (
            "train: train.csv",
            "train: train.xls",
            "task.yaml:2: field 'files' names 'train.xls': files end in .csv, .tsv, .jsonl",
        ),
        ("train: train.csv", "train: [train.csv]", "task.yaml:2: field 'files' holds a list"),
        ("train: train.csv", "train: ./dev.csv", "task.yaml:2: field 'files' names one file for two splits"),
        ("text: body", "text: stars", "task.yaml:3: field 'columns' names one column twice"),
        ("description:", "description: [", "task.yaml:8: not valid YAML"),
        ("description: ", "description: 2024-99-99 #", "not valid YAML ("),
        ("description:", "description: {a: b} #", "task.yaml:7: field 'description' holds a mapping"),
        ("labels: [negative, positive]", "labels: !!bool negative", "task.yaml: not valid YAML ("),
        ("labels: [negative, positive]", "labels: !!timestamp a", "task.yaml: not valid YAML ("),
        ("labels: [negative,", 'labels: ["a\\nb",', "task.yaml:4: field 'labels' holds 'a\\nb', which has control"),
        ("name:", "- name:", "task.yaml:2: not valid YAML"),
    ],
)
def test_errors_in_the_description(tmp_path, old, new, message):
    assert old in YAML
    assert message in fails(tmp_path, YAML.replace(old, new, 1))


@pytest.mark.parametrize(
    "value", ["[1]", "[5, 1]", "[1, 1]", "[a, b]", "5", "[.nan, 1]", "[0, .inf]", "[true, 2]", f"[0, 1{'0' * 400}]"]
)
def test_bad_score_ranges(tmp_path, value):
    text = f"name: t\nfiles: {{train: a.csv}}\nscore_range: {value}\n"
    assert "task.yaml:3: field 'score_range' is " in fails(tmp_path, text)


def test_metrics_of_a_regression(tmp_path):
    text = "name: t\nfiles: {train: a.csv}\nscore_range: [0, 1]\nmetrics: [accuracy]\n"
    assert "task.yaml:4: There is no metric for a task with a score range 'accuracy'" in fails(tmp_path, text)


@pytest.mark.parametrize(
    "text", ["", "[]", "3", "- a", "a text", "[" * 3000, "&a [*a]", "? [a]\n: b", "\x00", "a: &x\nb: *y"]
)
def test_files_that_describe_nothing(tmp_path, text):
    assert fails(tmp_path, text).startswith("task.yaml")


def test_descriptions_that_cannot_be_read(tmp_path):
    for path in (tmp_path / "none.yaml", tmp_path, Path("a\0b")):
        with pytest.raises(KdlabError, match=r"can't be read|is a folder"):
            load_task(path)
    (tmp_path / "latin.yaml").write_bytes(b"name: t\ndescription: caf\xe9\n")
    with pytest.raises(KdlabError, match=r"latin.yaml:2: byte 0xe9 is not UTF-8"):
        load_task(tmp_path / "latin.yaml")


@pytest.mark.parametrize(
    ("kind", "rows", "message"),
    [
        ("csv", "text,label\n\"a\nb\",no way\nc,maybe\n", "train.csv:4: label 'maybe' in column 'label'"),
        ("csv", "text,label\na,no way\nb\n", "train.csv:3: 1 column where 2 are expected (text, label)"),
        ("csv", "text,label\na,b,no way\n", "train.csv:2: 3 columns"),
        ("csv", "text,label\n \t,no way\n", "train.csv:2: column 'text' is blank"),
        ("csv", "text,label\na\rb,no way\n", "train.csv:2: not valid CSV (new-line character"),
        ("csv", "text,label\na\rb,no way\n", "take the carriage return out of this row"),
        ("jsonl", '{"text": "a", "label": "no way", "label": "x"}\n', "(field 'label' stands there twice)"),
        ("csv", "text|label\na|no way\n", "train.csv:1: no column 'text'; the columns there are text|label"),
        ("csv", 'text,"la\nbel"\n', "train.csv:1: no column 'label'; the columns there are text, la\\nbel"),
        ("csv", "text,label,text\n", "train.csv:1: more than one column 'text'"),
        ("csv", 'text,label\na,no way\n"b,no way\nc,yes way\n', "train.csv:3: not valid CSV (unexpected end of data)"),
        ("csv", 'text,label\n"b"x,no way\n', "train.csv:2: not valid CSV"),
        ("csv", "text,label\n", "train.csv holds no examples"),
        ("csv", "", "train.csv:1: no column 'text'; the columns there are none"),
        ("csv", "text,label\na,no way\nb,no way\n", "train.csv: all 2 examples have the label 'no way'"),
        ("tsv", "text\tlabel\na\tb\tno way\n", "train.tsv:2: 3 columns where 2 are expected"),
        ("tsv", "text,label\n", "train.tsv:1: no column 'text'"),
        ("jsonl", '{"text": "a", "label": "no way"}\n{"text": "a"\n', "train.jsonl:2: not valid JSON"),
        ("jsonl", '["a"]\n', "train.jsonl:1: a list where a JSON object is needed"),
        ("jsonl", '{"txt": "a", "label": "no way"}\n', "train.jsonl:1: no field 'text'; the fields there are txt"),
        ("jsonl", "{}\n", "train.jsonl:1: no field 'text'; the fields there are none"),
        ("jsonl", '\n{"text": 3, "label": "no way"}\n', "train.jsonl:2: field 'text' is a number"),
        ("jsonl", '{"text": null, "label": "no way"}\n', "train.jsonl:1: column 'text' is blank"),
        ("jsonl", '{"text": "a", "label": ["no way"]}\n', "train.jsonl:1: field 'label' is a list"),
        ("jsonl", '{"text": "a", "label": null}\n', "train.jsonl:1: label '' in column 'label'"),
        ("jsonl", '{"text": "a", "label": 0}\n', "train.jsonl:1: label '0' in column 'label'"),
        ("jsonl", '{"text": "a\\ud800", "label": "no way"}\n', "train.jsonl:1: field 'text' holds half"),
        ("jsonl", "[" * 100000 + "\n", "train.jsonl:1: not valid JSON"),
        ("jsonl", '{"text": "a", "label": ' + "1" * 5000 + "}\n", "train.jsonl:1: label '1111"),
        ("jsonl", "\n", "train.jsonl holds no examples"),
    ],
)  # fmt: skip
def test_errors_in_the_files(tmp_path, kind, rows, message):
    assert message in fails(tmp_path, SHORT % kind, {f"train.{kind}": rows})


def test_a_missing_file_is_named(tmp_path):
    assert "train.csv can't be read" in fails(tmp_path, SHORT % "csv")
    (tmp_path / "train.csv").mkdir()
    assert "train.csv is a folder" in fails(tmp_path, SHORT % "csv")


def test_a_labelled_test_file_is_read_with_its_labels(tmp_path):
    text = YAML + "labelled_test: true\n"
    files = {"train.csv": CSV, "dev.csv": CSV, "test.csv": CSV}
    spec = task(tmp_path, text, files)
    assert (spec.reported_splits, spec.unlabelled_splits) == (("test",), ())
    assert load_custom(spec, tmp_path).splits["test"].labels == (0, 1, 0)
    spec = task(tmp_path, text.replace(" dev: dev.csv,", ""), {**files, "train.csv": CSV * 5})
    assert spec.reported_splits == ("test",)
    assert task(tmp_path, YAML + "labelled_test: false\n").reported_splits == ("dev",)
    broken = {**files, "test.csv": "stars,body\n5,good\n"}
    assert "test.csv:2: label '5' in column 'stars' is none of" in fails(tmp_path, text, broken)
    assert "field 'labelled_test' is 'yes': write true or false" in fails(tmp_path, YAML + "labelled_test: 'yes'\n")
    alone = YAML.replace(", test: test.csv", "") + "labelled_test: true\n"
    assert "field 'labelled_test' is true, and 'files' has no entry 'test'" in fails(tmp_path, alone)
