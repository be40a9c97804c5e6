"""Rows without labels: which they are, where they stand, and that their labels are gone."""

from __future__ import annotations

import dataclasses
import itertools
from collections import Counter

import numpy as np
import pytest
from helpers import PAIRS, random_logits, tiny_examples, tiny_tokenizer

from kdlab.data.examples import Examples
from kdlab.data.module import GLUEDataModule
from kdlab.data.readers.unlabelled import read_unlabelled
from kdlab.data.sources import Hub, Source
from kdlab.data.subset import keep_labels
from kdlab.data.task_data import load_data, with_teachers
from kdlab.data.tasks import TASKS, UNLABELLED, get_task
from kdlab.data.unlabelled import ALL_LABELLED, REST, Unlabelled, part_rows, seen_elsewhere
from kdlab.data.wishes import grant
from kdlab.errors import KdlabError
from kdlab.types import CarvedRows, LeftoverRows

EMBEDDED = Source("embedded", "here")
TAKEN = {"method": "ganbert", "taken": True}


def make(labels) -> Examples:
    return Examples(tuple(range(len(labels))), tuple(f"t{i}" for i in range(len(labels))), None, tuple(labels))


def rte(asked: Unlabelled = ALL_LABELLED, amount: str | None = None, wishes=None, teachers=None):
    return load_data(get_task("rte"), EMBEDDED, Hub(), amount, "holdout", 0.1, 0, wishes or {}, teachers or {}, asked)


@pytest.mark.parametrize(("fraction", "kept"), [(0.2, (180, 18, 2)), (0.5, (450, 45, 5)), (0.7, (630, 63, 7))])
def test_labels_are_kept_in_proportion(fraction, kept):
    with_labels, without = keep_labels(make([0] * 900 + [1] * 90 + [2] * 10), fraction, 0)
    found = Counter(with_labels.labels)
    assert all(abs(found[label] - number) <= 1 for label, number in enumerate(kept))
    assert len(with_labels) == sum(kept)
    assert without.labels is None
    assert sorted(with_labels.ids + without.ids) == list(range(1000))


def test_every_label_keeps_a_row_and_parts_of_a_seed_are_nested():
    rows = make([0] * 900 + [1] * 90 + [2] * 10)
    parts = [set(keep_labels(rows, fraction, 3)[0].ids) for fraction in (0.001, 0.05, 0.2, 0.5, 0.7, 1.0)]
    assert len(parts[0]) == 3  # one of each, though a thousandth would be one
    assert all(small <= large for small, large in itertools.pairwise(parts))
    assert len(parts[-1]) == 1000
    assert keep_labels(rows, 0.2, 3)[0].ids == keep_labels(rows, 0.2, 3)[0].ids != keep_labels(rows, 0.2, 4)[0].ids
    scores = Examples(tuple(range(100)), ("t",) * 100, None, tuple(i / 20 for i in range(100)))
    assert len(keep_labels(scores, 0.3, 0)[0]) == 30


def test_a_part_of_train_loses_its_labels_and_the_holdout_keeps_them():
    whole, part = rte(), rte(Unlabelled(0.2, **TAKEN))
    assert list(part.splits)[:2] == ["train", UNLABELLED]
    assert part.sizes["train"] == 450
    assert part.sizes[UNLABELLED] == 1800
    assert part.splits[UNLABELLED].labels is None
    both = part.splits["train"].ids + part.splits[UNLABELLED].ids
    assert sorted(both) == sorted(whole.splits["train"].ids)
    assert part.splits["holdout"] == whole.splits["holdout"]
    assert any(note.startswith(f"{UNLABELLED}: 1,800 rows of 2,250 training rows, without") for note in part.notes)
    assert part.fingerprint != whole.fingerprint
    assert rte(Unlabelled(1.0, **TAKEN)).fingerprint == whole.fingerprint


def test_a_fine_tuned_teacher_has_the_labelled_rows_alone():
    part = rte(Unlabelled(0.2, **TAKEN))
    teachers = part.for_teacher
    assert UNLABELLED not in teachers.splits
    assert teachers.splits["train"] == part.splits["train"]
    left_out = rte(Unlabelled(0.2, method="mixkd"))
    assert UNLABELLED not in left_out.splits
    assert teachers.training_fingerprint == left_out.for_teacher.training_fingerprint
    assert any("they are left out, for mixkd takes no rows without labels" in note for note in left_out.notes)
    assert len(left_out.leftover) == 1800  # a source domain must not bring them back


def test_what_a_method_carves_out_has_labels():
    part = rte(Unlabelled(0.5, **TAKEN), wishes={"reward": CarvedRows(0.25)})
    assert part.sizes["reward"] + part.sizes["train"] == 1125
    assert part.splits["reward"].labels is not None
    assert part.sizes[UNLABELLED] == 1125
    assert len(part.for_teacher.splits["train"]) == 1125


def test_a_teacher_may_have_other_labels_and_a_donor_the_students():
    student = rte(Unlabelled(0.5, **TAKEN))
    theirs = rte(Unlabelled(0.2, setting="teacher.labelled", **TAKEN))
    both = with_teachers(student, theirs)
    assert both.for_teacher.sizes["train"] == 450
    assert both.for_teacher.sizes[UNLABELLED] == 1800
    assert set(both.for_teacher.splits["train"].ids) < set(both.splits["train"].ids)  # of one seed
    assert both.for_donor.splits["train"] == student.splits["train"]
    assert UNLABELLED not in both.for_donor.splits
    assert both.notes[-1] == "the teacher is made of 450 training rows with labels and 1,800 without"
    assert student.for_donor is student.for_teacher


def test_what_a_limit_leaves_over_is_text_without_labels():
    part = rte(Unlabelled(text=REST, **TAKEN), "20%")
    assert part.sizes[UNLABELLED] == 2000
    assert part.splits[UNLABELLED].labels is None
    assert part.sizes["train"] == 450
    with pytest.raises(
        KdlabError, match=r"data\.unlabelled=rest takes what --limit-train leaves over of rte, and that"
    ):
        rte(Unlabelled(text=REST, **TAKEN))


@pytest.mark.parametrize("name", [UNLABELLED, "train/source", "dev", "test_b"])
def test_no_split_of_a_methods_own_is_called_as_a_part_of_train(name):
    splits = {"train": tiny_examples(8)}
    with pytest.raises(ValueError, match=f"a method's split can't be called {name}"):
        grant(name, CarvedRows(0.25), splits, tiny_examples(4), get_task("rte"), EMBEDDED, Hub(), 0)


def test_a_methods_own_unlabelled_split_is_another():
    part = rte(Unlabelled(0.5, **TAKEN), "20%", wishes={"unlabelled": LeftoverRows()})
    assert part.sizes["unlabelled"] == 2000
    assert part.sizes[UNLABELLED] == 225


def test_texts_of_other_splits_are_counted():
    rows = tiny_examples(6)
    splits = {"train": rows, UNLABELLED: rows, "dev": rows.take([1, 2]), "test": tiny_examples(3, seed=8)}
    assert seen_elsewhere(rows, splits) == [f"dev: 2 of 2 texts are in {UNLABELLED} too"]


# --- files -----------------------------------------------------------------------------------------------------------


def test_files_of_text_are_read(tmp_path):
    (tmp_path / "a.csv").write_text('sentence,label\n"good, really",odd\nbad,\n')
    (tmp_path / "a.tsv").write_text("other\tsentence\nx\tgood\ny\tbad\n")
    (tmp_path / "a.jsonl").write_text('{"sentence": "good"}\n{"sentence": "bad"}\n')
    (tmp_path / "a.txt").write_text("\ufeffgood \nbad\n\n", encoding="utf-8")
    for name in ("a.csv", "a.tsv", "a.jsonl", "a.txt"):
        rows = read_unlabelled(tmp_path / name, TASKS["sst2"])
        assert rows.labels is None
        assert rows.text_pair is None
        assert rows.ids == (0, 1)
        assert rows.text[1] == "bad"
    (tmp_path / "b.tsv").write_text("#1 String\t#2 String\na\tb\n")
    assert read_unlabelled(tmp_path / "b.tsv", TASKS["mrpc"]).text_pair == ("b",)  # as in its own files


@pytest.mark.parametrize(
    ("name", "content", "task", "said"),
    [
        ("a.csv", None, "sst2", "a.csv can't be read"),
        ("a.csv", "", "sst2", "a.csv:1: no column 'sentence'"),
        ("a.csv", "sentence\n", "sst2", "a.csv holds no examples"),
        ("a.csv", "text\ngood\n", "sst2", "a.csv:1: no column 'sentence'; the columns there are text"),
        ("a.csv", "sentence,x\ngood\n", "sst2", "a.csv:2: 1 column where 2 are expected"),
        ("a.csv", "sentence,x\ngood,1\n  ,2\n", "sst2", "a.csv:3: column 'sentence' is blank"),
        ("a.jsonl", '{"sentence": "good"}\n{"sentence": 3}\n', "sst2", "a.jsonl:2: field 'sentence' is a number"),
        ("a.jsonl", "good\n", "sst2", "a.jsonl:1: not valid JSON"),
        ("a.txt", "", "sst2", "a.txt holds no examples"),
        ("a.txt", "good\n \nbad\n", "sst2", "a.txt:2: column 'the text' is blank"),
        (
            "a.txt",
            "good\n",
            "rte",
            r"a.txt: unlabelled text of rte is read from files that end in .csv, .tsv or .jsonl",
        ),
        ("a.xlsx", "good\n", "sst2", r"a.xlsx: unlabelled text of sst2 is read from files that end in .*\.txt"),
        ("a.tsv", "sentence1\na\n", "rte", "a.tsv:1: no column 'sentence2'"),
    ],
)
def test_what_is_wrong_with_a_file_is_named(tmp_path, name, content, task, said):
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(KdlabError, match=said):
        read_unlabelled(tmp_path / name, TASKS[task])


def test_two_things_that_say_the_same_are_refused():
    spec = dataclasses.replace(PAIRS, unlabelled="more.csv")
    rows = tiny_examples(8)
    for asked in (Unlabelled(0.5, **TAKEN), Unlabelled(text="x.csv", **TAKEN)):
        with pytest.raises(KdlabError, match=r"and the task file of tiny names unlabelled text \(more.csv\): both say"):
            part_rows(asked, rows, rows.take([]), spec, Source("files", "."), 0)


def test_a_file_that_nobody_takes_is_not_read():
    spec, rows = dataclasses.replace(PAIRS, unlabelled="more.csv"), tiny_examples(8)
    parted = part_rows(Unlabelled(method="finetune"), rows, rows.take([]), spec, Source("files", "there"), 0)
    assert parted.note == "there/more.csv is not read, for finetune takes no rows without labels"
    assert not len(parted.unlabelled)


# --- batches ---------------------------------------------------------------------------------------------------------


def module_of(cache, **columns):
    whole = tiny_examples(12)
    train = dataclasses.replace(whole.take(range(4)), **columns)
    splits = {"train": train, UNLABELLED: dataclasses.replace(whole.take(range(4, 12)), labels=None)}
    splits["dev"] = tiny_examples(10, seed=1)
    return GLUEDataModule(PAIRS, splits, tiny_tokenizer(), "tiny", 32, 8, 8, "dev", 0, cache)


def test_both_kinds_of_rows_are_trained_on(cache):
    data = module_of(cache)
    rows = data.training_split
    assert len(rows) == 12
    assert rows.labelled.tolist() == [True] * 4 + [False] * 8
    assert rows.domain is None
    assert rows is data.training_split
    assert [sum(len(batch) for batch in data.train_dataloader())] == [12]
    assert len(data.all_rows(3)) == 3 * 4 + 8
    assert [rows.names[0], rows.names[4]] == ["train:0", f"{UNLABELLED}:4"]


def test_the_teachers_answers_come_with_them(cache):
    data = module_of(cache)
    data.hand_out_logits(random_logits(2))
    rows = data.all_rows(2)
    own, others = data.split("train").teacher_logits, data.split(UNLABELLED).teacher_logits
    assert np.array_equal(rows.teacher_logits, np.concatenate([own, own, others]))


def test_rows_without_labels_are_of_the_target_domain(cache):
    rows = module_of(cache, domain=(0, 0, 1, 1)).training_split
    assert rows.domain.tolist() == [0, 0, 1, 1] + [0] * 8
