"""What a plan refuses before anything is trained, and the teachers and rows that it plans."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_fixtures import Lab, metrics, open_lab
from helpers import TOYS

from kdlab.data import sources
from kdlab.data.embedded import generate
from kdlab.data.examples import Loaded
from kdlab.data.sources import Hub, Source
from kdlab.data.task_data import load_data
from kdlab.data.tasks import TASKS
from kdlab.errors import KdlabError
from kdlab.planning.plan import make_plan
from kdlab.types import OtherTaskRows

FEW = {"task": "rte", "profile": "embedded", "accelerator": "cpu", "precision": "32", "data.limit_train": "10%"}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory):
    return open_lab(tmp_path_factory)


@pytest.mark.parametrize("method", ["rival", "mate_kd", "cilda"])
def test_several_players_cant_add_up_gradients(lab: Lab, tmp_path: Path, method: str):
    words = lab.words(tmp_path / "out", "training.accumulate=2", method=TOYS.get(method, method))
    done = lab.run(*words)
    assert done.sentence == f"{method} steps several players by hand and can't add up gradients: set accumulate=1."
    assert "Fine-tuning" not in done.out
    assert not (tmp_path / "out").exists()


def test_a_teacher_is_made_by_another_method(lab: Lab, tmp_path: Path):
    plain = lab.run(*lab.words(tmp_path, "--dry-run")).field("teacher")
    words = (f"teacher.method={TOYS['rival']}", "--logger", "csv")
    env = {"KDLAB_CACHE": str(tmp_path / "cache")}
    planned = lab.run(*lab.words(tmp_path / "a", *words, "--dry-run"), env=env)
    assert "to be trained with rival" in planned.field("teacher")
    done = lab.run(*lab.words(tmp_path / "a", *words), env=env)
    assert done.code == 0, done.err
    assert "Fine-tuning the teacher" in done.out
    (file,) = (tmp_path / "a").glob("*/metrics.json")
    key = metrics(file.parent)["fingerprints"]["teacher"]
    assert key[:12] in planned.field("teacher")
    assert key[:12] not in plain
    again = lab.run(*lab.words(tmp_path / "b", *words), env=env)
    assert "found in the cache" in again.field("teacher")
    (other,) = (tmp_path / "b").glob("*/metrics.json")
    assert metrics(other.parent)["teacher"]["metrics"] == metrics(file.parent)["teacher"]["metrics"]
    changed = lab.run(*lab.words(tmp_path, *words, "rival.generator_learning_rate=1e-2", "--dry-run"))
    assert key[:12] not in changed.field("teacher")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("teacher.method=kd",), "teacher.method=kd asks for a teacher itself, so it can't make one"),
        (("teacher.method=finetun",), "There is no method 'finetun': did you mean finetune"),
        (("teacher.method=finetune", "rival.x=1"), "There is no setting 'rival.x'"),
        ((f"teacher.method={TOYS['rival']}", "rival.generator_learning_rate=0"), "rival.generator_learning_rate is 0"),
        ((f"teacher.method={TOYS['rival']}", "teacher.accumulate=2"), "rival steps several players by hand"),
    ],
)
def test_teachers_that_cant_be_made_are_refused(lab: Lab, tmp_path: Path, words: tuple[str, ...], said: str):
    done = lab.run(*lab.words(tmp_path / "out", *words))
    assert said in done.sentence
    assert not (tmp_path / "out").exists()


def test_rows_that_a_method_wants_are_planned_and_fingerprinted(cache):
    plan = make_plan({**FEW, "method": TOYS["pooled"], "training.min_steps": 0}, cache)
    whole = make_plan({**FEW, "method": "kd"}, cache)
    splits = plan.task.splits
    sizes = {name: len(rows) for name, rows in splits.items()}
    assert sizes["reward"] + sizes["train"] == len(whole.task.splits["train"])  # carved out of it
    assert not set(splits["reward"].text) & set(splits["train"].text)
    assert splits["unlabelled"].labels is None
    assert len(splits["unlabelled"]) > 5 * sizes["train"]  # what the limit left over
    assert set(splits["source"].labels) == {0, 1}
    assert plan.task.fingerprint != whole.task.fingerprint
    assert plan.steps() == 4 * -(-(sizes["train"] + 8) // 32)  # of the pool's rows, not of train's
    assert {"reward", "source", "unlabelled"} <= {note.partition(":")[0] for note in plan.task.notes}


def test_unlabelled_rows_need_a_limit(cache):
    with pytest.raises(KdlabError, match="wants unlabelled rows, and --limit-train leaves none over of rte"):
        make_plan({**FEW, "data.limit_train": None, "method": TOYS["pooled"]}, cache)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("mnli", "its labels .* are not those of rte"),
        ("sst2", "one of sst2 and rte has pairs and the other single texts"),
        ("mrpc", "its labels .* are not those of rte"),  # both may write 0 and 1
        ("nosuch", "There is no task 'nosuch'"),
    ],
)
def test_rows_of_another_task_must_have_the_tasks_labels(cache, source: str, said: str):
    with pytest.raises(KdlabError, match=said):
        make_plan({**FEW, "method": TOYS["pooled"], "pooled.source": source}, cache)


def test_labels_of_another_task_are_joined_by_name(cache):
    plan = make_plan({**FEW, "method": TOYS["pooled"], "pooled.source": "qnli"}, cache)
    other = make_plan({**FEW, "method": "kd", "task": "qnli", "data.limit_train": None, "data.selection": "dev"}, cache)
    assert plan.task.splits["source"].text == other.task.splits["train"].text
    names = [
        [spec.labels[i] for i in rows.labels]
        for spec, rows in (
            (plan.task.spec, plan.task.splits["source"]),
            (other.task.spec, other.task.splits["train"]),
        )
    ]
    assert names[0] == names[1]


def test_numbers_for_labels_are_not_names(cache):
    with pytest.raises(KdlabError, match=r"its labels .unacceptable, acceptable. are not those of sst2"):
        make_plan({**FEW, "task": "sst2", "method": TOYS["pooled"], "pooled.source": "cola"}, cache)


def test_rows_of_the_embedded_corpus_dont_go_into_a_real_run(monkeypatch):
    hub, real = Hub(), Source("hub", "nyu-mll/glue/rte")
    monkeypatch.setattr(sources, "hub_reachable", lambda timeout: False)
    monkeypatch.setattr(sources, "load_hub", lambda spec, offline: Loaded(generate(spec.name)))
    wishes = {"source": OtherTaskRows("qnli", None, "mine.source")}
    with pytest.raises(KdlabError, match=r"mine.source=qnli: its data is not on this machine"):
        load_data(TASKS["rte"], real, hub, None, "dev", 0.1, 0, wishes)
    monkeypatch.setattr(sources, "hub_cached", lambda spec: True)
    data = load_data(TASKS["rte"], real, hub, None, "dev", 0.1, 0, wishes)
    assert data.notes[-1] == "source: 3,500 rows for the method, of qnli (hub: nyu-mll/glue/qnli (cached))"


def test_a_teacher_of_other_rows_is_another_teacher(cache, tmp_path):
    file = tmp_path / "maker.py"
    file.write_text(MAKER)
    words = {**FEW, "method": "kd", "teacher.method": f"{file}:Maker", "teacher.epochs": 1}
    one, other = (make_plan({**words, "maker.fraction": f}, cache) for f in (0.2, 0.3))
    assert one.teacher.key != other.teacher.key
    assert one.teacher.key == make_plan({**words, "maker.fraction": 0.2, "kd.alpha": 0.1}, cache).teacher.key
    untaught = {"method": "finetune", "student.source": "embedded:layers:0", "data.limit_train": "10%"}
    assert "kept" not in make_plan({**words, **untaught}, cache).task.splits  # no teacher is made, so none wants rows


def test_two_classes_of_one_name_are_refused(cache, tmp_path):
    for name in ("one", "two"):
        (tmp_path / f"{name}.py").write_text(MAKER)
    words = {"method": f"{tmp_path}/one.py:Maker", "teacher.method": f"{tmp_path}/two.py:Maker"}
    with pytest.raises(KdlabError, match="are two classes of one name, 'maker'"):
        make_plan({**FEW, **words}, cache)


def test_a_masked_lm_is_planned_without_a_teacher(cache, tmp_path):
    (tmp_path / "writes.py").write_text(WRITES)
    words = {"method": f"{tmp_path}/writes.py:Writes", "student.source": "embedded:layers:0"}
    plan = make_plan({**FEW, **words}, cache)
    assert plan.teacher is None
    assert plan.resources["writer"].about()["source"] == "embedded"


MAKER = """
from dataclasses import dataclass

from kdlab.methods.finetune import FineTune
from kdlab.methods.base import MethodConfig
from kdlab.types import CarvedRows


@dataclass
class MakerConfig(MethodConfig):
    fraction: float = 0.2


class Maker(FineTune):
    Config = MakerConfig

    @classmethod
    def splits_of(cls, config):
        return {"kept": CarvedRows(config.fraction)}
"""
WRITES = """
from kdlab.methods.finetune import FineTune
from kdlab.types import MaskedLMResource


class Writes(FineTune):
    @classmethod
    def resources_of(cls, config):
        return {"writer": MaskedLMResource(None, 5, "writes.writer")}

    def take(self, name, resource):
        self.writer = resource
"""
