"""A target domain and a source domain: which rows are joined, whose teacher is made of which, and what is refused."""

from __future__ import annotations

import dataclasses
from collections import Counter

import pytest

from kdlab.data import embedded
from kdlab.data.domains import BOTH, SOURCE, TARGET, DomainDataModule, SourceDomain, with_source
from kdlab.data.examples import Examples, Loaded, joined
from kdlab.data.sources import Hub, Source
from kdlab.data.task_data import load_data, sizes_of
from kdlab.data.tasks import SOURCE_ROWS, get_task
from kdlab.data.wishes import rows_of_other
from kdlab.errors import KdlabError
from kdlab.types import CarvedRows, OtherTaskRows, ValidationRows

EMBEDDED = Source("embedded", f"grammar {embedded.VERSION}")


def target(amount: str | None = "20 a class", task: str = "rte", wishes=None, seed: int = 0, holdout: float = 0.1):
    return load_data(get_task(task), EMBEDDED, Hub(), amount, "holdout", holdout, seed, wishes or {})


def test_source_rows_stand_behind_the_targets_and_are_marked():
    before = target()
    data = with_source(before, SourceDomain("qnli", limit="300"), Hub(), 0)
    train = data.splits["train"]
    assert train.domain == (0,) * 36 + (1,) * 300
    assert train.text[:36] == before.splits["train"].text
    assert data.sizes["train"] == 336
    assert data.sizes[SOURCE_ROWS] == 300
    assert SOURCE_ROWS not in before.sizes
    assert data.splits["dev"] == before.splits["dev"]
    assert data.unaugmented is before
    assert data.fingerprint != before.fingerprint
    assert "source domain: 300 of" in data.notes[-1]
    assert data.for_teacher is before  # the paper's Teacher-FT


@pytest.mark.parametrize(
    ("student", "teacher", "rows", "teachers"),
    [(BOTH, TARGET, 336, 36), (BOTH, BOTH, 336, 336), (TARGET, SOURCE, 36, 270), (SOURCE, TARGET, 300, 36)],
)
def test_students_and_teachers_have_the_domains_that_are_asked_for(student, teacher, rows, teachers):
    asked = SourceDomain("qnli", limit="300", student=student, teacher=teacher)
    data = with_source(target(), asked, Hub(), 0)
    assert len(data.splits["train"]) == rows
    assert data.splits["train"].from_source == {BOTH: 300, SOURCE: 300, TARGET: 0}[student]
    assert len(data.for_teacher.splits["train"]) == teachers
    own = data.for_teacher.splits["holdout"]
    assert len(own) == (30 if teacher == SOURCE else 4)
    assert (own == data.splits["holdout"]) == (teacher != SOURCE)
    assert data.for_teacher.splits["dev"] == data.splits["dev"]


def test_a_teacher_of_the_source_alone_is_chosen_on_the_source_whatever_chooses_the_student():
    own = load_data(get_task("rte"), EMBEDDED, Hub(), "20 a class", "dev", 0.1, 0)
    data = with_source(own, SourceDomain("qnli", limit="300", teacher=SOURCE), Hub(), 0)
    assert data.select_on == "dev"
    assert "holdout" not in data.splits
    made_of = data.for_teacher
    assert made_of.select_on == "holdout"
    assert (len(made_of.splits["train"]), len(made_of.splits["holdout"])) == (270, 30)
    source = with_source(own, SourceDomain("qnli", limit="300", student=SOURCE), Hub(), 0).splits["train"]
    assert {*made_of.splits["train"].ids, *made_of.splits["holdout"].ids} == set(source.ids)
    whole = with_source(own, SourceDomain("qnli", limit="300", teacher=SOURCE, holdout=0.0), Hub(), 0).for_teacher
    assert len(whole.splits["train"]) == 300
    for teacher in (TARGET, BOTH):
        made_of = with_source(own, SourceDomain("qnli", limit="300", teacher=teacher), Hub(), 0).for_teacher
        assert made_of.select_on == "dev"


def test_a_source_of_which_nobody_is_made_is_not_read(monkeypatch):
    import kdlab.data.domains

    own = target()
    monkeypatch.setattr(kdlab.data.domains, "rows_of_other", lambda *_: pytest.fail("the source's rows were read"))
    data = with_source(own, SourceDomain("qnli", student=TARGET), Hub(), 0)
    assert data.splits == own.splits
    assert data.fingerprint == own.fingerprint
    assert data.for_teacher.splits == own.splits
    assert data.notes[-1] == "source domain: qnli is not read, for nobody is made of its rows"
    with pytest.raises(KdlabError, match="There is no task 'qnly'"):
        with_source(own, SourceDomain("qnly", student=TARGET), Hub(), 0)


def test_the_module_reads_two_domains_into_one_stream(cache):
    asked = SourceDomain("sst2", limit="40")
    data = DomainDataModule.read("rt", profile="embedded", limit_train="10 a class", source=asked, cache=cache)
    assert data.sizes["train"] == 18 + 40
    batches = list(data.train_dataloader())
    assert sum(int((batch.domain == 1).sum()) for batch in batches) == 40
    assert sum(len(batch) for batch in batches) == 58
    alone = DomainDataModule.read("rt", profile="embedded", limit_train="10 a class", cache=cache)
    assert alone.sizes["train"] == 18
    assert all(batch.domain is None for batch in alone.train_dataloader())


def test_the_target_is_the_same_whatever_is_done_with_it():
    whole, other = target(), target(wishes={"reward": CarvedRows(0.25)})
    assert set(other.splits["train"].ids) | set(other.splits["reward"].ids) == set(whole.splits["train"].ids)
    assert Counter(whole.splits["train"].labels) == {0: 18, 1: 18}
    assert target().splits == whole.splits
    assert target(seed=1).splits["train"].ids != whole.splits["train"].ids


def test_a_teacher_keeps_what_the_students_method_carves_out():
    whole, wishes = target(), {"reward": CarvedRows(0.25)}
    carved = target(wishes=wishes)
    assert len(carved.splits["train"]) == 27
    assert carved.for_teacher.training_fingerprint == whole.training_fingerprint  # the teacher of every method
    assert carved.notes[-1].endswith(
        "carved out of train; a teacher that is trained for this run is trained on them too"
    )
    own = load_data(get_task("rte"), EMBEDDED, Hub(), "20 a class", "holdout", 0.1, 0, wishes, wishes)
    assert own.splits == carved.splits
    assert own.for_teacher is own  # its own method has carved them out
    assert "teacher" not in own.notes[-1]


@pytest.mark.parametrize(("teacher", "rows"), [(TARGET, 36), (BOTH, 336), (SOURCE, 270)])
def test_a_teacher_beside_a_source_keeps_what_is_carved_out(teacher, rows):
    asked = SourceDomain("qnli", limit="300", teacher=teacher)
    carved, whole = (
        with_source(target(wishes=wishes), asked, Hub(), 0) for wishes in ({"reward": CarvedRows(0.25)}, None)
    )
    assert len(carved.splits["train"]) == 27 + 300
    assert len(carved.for_teacher.splits["train"]) == rows
    assert carved.for_teacher.training_fingerprint == whole.for_teacher.training_fingerprint


def test_what_is_left_out_of_the_source_does_not_depend_on_how_much_of_the_target_is_taken(monkeypatch):
    import kdlab.data.domains

    whole = target(None)
    some = whole.splits["train"].take(range(50))
    other = Examples((1,), ("Only the source has this.",), ("And this.",), (0,))
    monkeypatch.setattr(kdlab.data.domains, "rows_of_other", lambda *_: (joined(some, other), "of both"))
    for amount in (None, "20 a class"):
        data = with_source(target(amount), SourceDomain("qnli"), Hub(), 0)
        assert data.splits["train"].from_source == 1
        assert "1 of both, without 50 whose text the target has" in data.notes[-1].replace(
            "1 rows of both", "1 of both"
        )


def test_source_rows_that_the_target_has_are_left_out():
    before = target(None)
    some = before.splits["dev"].take(range(10))
    data = dataclasses.replace(before, splits={**before.splits, "dev": some})
    asked = SourceDomain("rte")  # itself: what was held out and trained on is all there
    with pytest.raises(KdlabError) as error:
        with_source(data, asked, Hub(), 0)
    assert "data.source=rte" in str(error.value)
    assert "left" in str(error.value)


@pytest.mark.parametrize(
    ("task", "source", "words"),
    [
        ("rte", "sst2", ["data.source=sst2", "pairs"]),
        ("rte", "qqp", ["data.source=qqp", "its labels", "not_duplicate", "not_entailment"]),
        ("rte", "nothing", ["nothing"]),
    ],
)
def test_sources_that_do_not_fit(task, source, words):
    with pytest.raises(KdlabError) as error:
        with_source(target(task=task), SourceDomain(source), Hub(), 0)
    assert all(word in str(error.value) for word in words), str(error.value)


@pytest.mark.parametrize(("scores", "fits"), [("[0, 1]", True), ("[0, 2]", False), ("[1, 5]", False)])
def test_scores_are_joined_where_their_range_is_one(tmp_path, scores, fits):
    low, high = scores.strip("[]").split(", ")
    rows = [(f"A review of number {i}.", (low, high)[i % 2]) for i in range(40)]
    (tmp_path / "train.csv").write_text("text,label\n" + "".join(f"{text},{score}\n" for text, score in rows))
    file = tmp_path / "mine.yaml"
    file.write_text(f"name: mine\nfiles: {{train: train.csv}}\nscore_range: {scores}\n")
    before = target("50", "watches")
    if fits:
        joint = with_source(before, SourceDomain(str(file)), Hub(), 0).splits["train"]
        assert set(joint.labels[-joint.from_source :]) == {0.0, 1.0}
        return
    with pytest.raises(KdlabError) as error:
        with_source(before, SourceDomain(str(file)), Hub(), 0)
    assert f"its scores go from {low} to {high} and those of watches from 0 to 1" in str(error.value)
    assert "give them as a task file with that score_range" in str(error.value)


def test_examples_keep_their_domain():
    one = Examples((1, 2), ("a", "b"), None, (0, 1))
    marked = dataclasses.replace(one, domain=(0, 1))
    assert joined(one, marked).domain == (0, 0, 0, 1)
    assert joined(one, one).domain is None
    assert marked.take([1]).domain == (1,)
    assert marked.from_source == 1
    assert one.fingerprint() != marked.fingerprint()
    assert one.fingerprint() == Examples((1, 2), ("a", "b"), None, (0, 1)).fingerprint()
    assert sizes_of({"train": one}) == {"train": 2}
    assert sizes_of({"train": marked, "dev": one}) == {"train": 2, "dev": 2, SOURCE_ROWS: 1}


@pytest.mark.parametrize("seed", range(8))
def test_no_reported_example_is_in_the_reward_part(seed):
    for task in ("rte", "rt"):
        data = target("20 a class", task, {"reward": ValidationRows(64, 0.25)}, seed)
        reward = data.splits["reward"]
        reported = {text for split in data.reported_splits for text in _texts(data.splits[split])}
        assert len(reward) >= 2
        assert not reported & set(_texts(reward))
        assert not set(_texts(data.splits["train"])) & set(_texts(reward))


def _texts(examples: Examples) -> list[tuple[str, ...]]:
    pairs = examples.text_pair or ("",) * len(examples)
    return list(zip(examples.text, pairs, strict=True))


def test_a_reward_part_comes_of_the_validation_part_where_there_is_one():
    with_validation = target("20 a class", "rt", {"reward": ValidationRows(64, 0.25)})
    assert with_validation.sizes["reward"] == 64
    assert "64 of the" in with_validation.notes[-1]
    assert with_validation.sizes["train"] == 36
    carved = target("20 a class", "rte", {"reward": ValidationRows(64, 0.25)})
    assert carved.sizes["reward"] == 9
    assert carved.sizes["train"] == 27
    with pytest.raises(KdlabError, match=r"rte has none but those that are reported: set l2a\.reward=carved"):
        target("20 a class", "rte", {"reward": ValidationRows(64, 0.0, "set l2a.reward=carved")})


def test_a_reward_part_of_too_few_rows_names_its_own_setting():
    with pytest.raises(KdlabError, match=r"^reward_rows=1 is less than the 2 labels of the data"):
        target("20 a class", "rt", {"reward": ValidationRows(1)})


def test_a_set_of_the_hub_is_not_looked_for_in_the_targets_folder(monkeypatch, tmp_path):
    import kdlab.data.wishes

    spec = dataclasses.replace(get_task("sst2"), name="own_reviews", folder="", hub=("own/reviews", "plain"))
    asked = []

    def read(spec, source, hub, seed):
        asked.append(source)
        return Loaded({"train": Examples((0, 1), ("good", "bad"), None, (1, 0))})

    monkeypatch.setattr(kdlab.data.wishes, "find_task", lambda name, hub: (spec, None))
    monkeypatch.setattr(kdlab.data.wishes, "read_source", read)
    local = Source("local", str(tmp_path))
    rows, _ = rows_of_other(OtherTaskRows("hub:own/reviews", None, "data.source"), get_task("rt"), local, Hub())
    assert asked == [Source("hub", "own/reviews/plain")]
    assert rows.labels == (1, 0)
    wrong = OtherTaskRows("hub:own/reviews", str(tmp_path), "data.source", "data.source_dir")
    with pytest.raises(KdlabError, match=r"^data.source_dir .*: own_reviews comes from the hub, so leave it out"):
        rows_of_other(wrong, get_task("rt"), local, Hub())


def test_a_reward_part_needs_two_labels(monkeypatch):
    import kdlab.data.task_data

    loaded = kdlab.data.task_data.read_source(get_task("rte"), EMBEDDED, Hub(), 0)
    only = [i for i, label in enumerate(loaded.splits["train"].labels) if label == 0]
    rows = dataclasses.replace(loaded, splits={**loaded.splits, "train": loaded.splits["train"].take(only)})
    monkeypatch.setattr(kdlab.data.task_data, "read_source", lambda *_: rows)
    with pytest.raises(KdlabError, match="all of one label, so no score could tell"):
        target("100", "rte", {"reward": CarvedRows(0.25)})


def test_a_regression_with_a_constant_target_is_refused(monkeypatch):
    import kdlab.data.task_data

    loaded = kdlab.data.task_data.read_source(get_task("stsb"), EMBEDDED, Hub(), 0)
    train = loaded.splits["train"]
    flat = dataclasses.replace(train, labels=(2.5,) * len(train))
    rows = dataclasses.replace(loaded, splits={**loaded.splits, "train": flat})
    monkeypatch.setattr(kdlab.data.task_data, "read_source", lambda *_: rows)
    with pytest.raises(KdlabError, match="all of one score"):
        target("100", "stsb", {"reward": CarvedRows(0.25)})
