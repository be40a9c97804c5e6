"""Fingerprints: those of the first records stay, and a setting that is added later changes none at its default."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field, fields, replace
from typing import Any

import pytest

from kdlab.config.resolve import Draft
from kdlab.config.schema import Resolved, RunConfig, TeacherConfig
from kdlab.methods import METHODS, load_method
from kdlab.methods.base import MethodConfig, TrainingConfig
from kdlab.methods.finetune import FineTune
from kdlab.methods.shared.settings import NOT_IN_FINGERPRINT
from kdlab.planning.identity import (
    FIRST,
    NOT_IN_DATA,
    NOT_IN_IDENTITY,
    TEACHERS_OWN,
    method_part,
    run_part,
    training_part,
)
from kdlab.planning.plan import make_plan

# of kdlab 0.1.0 before any setting was added: run, what its seeds share, teacher, generator, by their first 16 digits;
# "+" is training.epochs=2 data.limit_train=50% teacher.epochs=3
FIRST_RECORDS = {
    "finetune": ("edf855154f38b2fa", "dffe1b21560180c3", "e55a65f4eac0475b", ""),
    "finetune+": ("3441c0cf9fd3c745", "a49abc5aaeba521e", "13b7b696157b86f9", ""),
    "kd": ("43cb6443f9dda25b", "3b66c8a6fd9fee00", "e55a65f4eac0475b", ""),
    "kd+": ("13f0fe9ed1574dbf", "610bfbf3ebe2efac", "13b7b696157b86f9", ""),
    "pkd": ("4a1adc5c29ab66bb", "5d966d6fc960dd24", "e55a65f4eac0475b", ""),
    "pkd+": ("33eb35c3fc3b5b34", "e0f78f739d7dd0fe", "13b7b696157b86f9", ""),
    "tinybert_kd": ("fe0eae862014b32b", "46085a73d160ecba", "e55a65f4eac0475b", ""),
    "tinybert_kd+": ("7a8b189877bf2c15", "a9b07ffaa5f477d8", "13b7b696157b86f9", ""),
    "annealing_kd": ("303fa7fb464a5eff", "21ec4c5320d73667", "e55a65f4eac0475b", ""),
    "annealing_kd+": ("b4079cbd0f961d5a", "975174081e925800", "13b7b696157b86f9", ""),
    "ad2": ("7462a7528fb5aadb", "0032845125337469", "e55a65f4eac0475b", ""),
    "ad2+": ("b947a7a90f5ca3b9", "d0f0ab29d4a468f7", "13b7b696157b86f9", ""),
    "mixkd": ("35c9ed84615b22c2", "6cf45e25479e0a50", "e55a65f4eac0475b", ""),
    "mixkd+": ("d78f785f4edd2f90", "e6286100f5e6f3d0", "13b7b696157b86f9", ""),
    "mate_kd": ("096d5f0a223d5e8f", "dc89820b883606a8", "e55a65f4eac0475b", "2de1f4bcadf22db0"),
    "mate_kd+": ("71a6cec6096f034d", "78757db6e3a54792", "13b7b696157b86f9", "2de1f4bcadf22db0"),
    "cilda": ("8d3121388bfbfb25", "ea3ce9c67d1f4bbc", "e55a65f4eac0475b", "2de1f4bcadf22db0"),
    "cilda+": ("75b51617549548ef", "e1acac9861386b84", "13b7b696157b86f9", "2de1f4bcadf22db0"),
}
OTHER = {"training.epochs": 2, "data.limit_train": "50%", "teacher.epochs": 3}
FIXED = {"task": "rte", "profile": "embedded", "accelerator": "cpu", "precision": "32"}
# what the first records were made with, where the default is another by now
FIXED |= {"data.select_by": "metric", "teacher.min_steps": 0, "training.min_steps": 0}

# Settings that came after the first records, with their defaults. Add yours here. One that stands in it may not change
# its default: records made at the old one would be taken for records of the new one; raise _FORMAT in planning/plan.py.
LATER: dict[str, Any] = {
    "teacher.method": "finetune",
    "teacher.patience": 0,
    "training.patience": 0,
    "teacher.validate_every": 1,
    "training.validate_every": 1,
    "data.target_per_class": None,
    "data.domains": "both",
    "ganbert.preset": "study",
    "ganbert.unknown": None,
    "ganbert.game": True,
    "ganbert.noise": 100,
    "ganbert.hidden": None,
    "ganbert.dropout": 0.1,
    "ganbert.generator_learning_rate": 2e-5,
    "ganbert.matching_weight": 1.0,
    "ganbert.epsilon": 1e-8,
    "robust.use": "append",
    "robust.finetune_epochs": None,
    "robust.finetune_learning_rate": None,
    "robust.online": None,
    "robust.attacked": 0.1,
    "robust.alpha": 0.0,
    "robust.temperature": 4.0,
    "robust.scale_t2": True,
    "data.select_by": "auto",  # ``WAS`` keeps records of the first default, the metric, apart
}


@pytest.mark.parametrize("name", FIRST_RECORDS)
def test_the_first_records_are_found_again(name, cache):
    plan = make_plan({**FIXED, "method": name.rstrip("+"), **(OTHER if name.endswith("+") else {})}, cache)
    generator = plan.resources.get("generator")
    keys = [plan.identity(0), plan.identity(None), plan.teacher.key, generator.key if generator else ""]
    assert tuple(key[:16] for key in keys) == FIRST_RECORDS[name]


def settings(method: str = "kd", **changes) -> Resolved:
    resolved = Draft(load_method(method), FineTune, {"method": method}).resolved
    return replace(resolved, **changes)


def longer(config: Any, value: int = 3) -> Any:
    """The same settings of a class that has one more, with 3 as its default."""
    kind = type(config)
    more = dataclasses.make_dataclass(kind.__name__, [("later", int, field(default=3))], bases=(kind,))
    more.__module__ = kind.__module__
    return more(**{f.name: getattr(config, f.name) for f in fields(config)}, later=value)


def changed(resolved: Resolved, section: str, value: int) -> Resolved:
    """With one more setting in a section."""
    if section == "run":
        return replace(resolved, run=longer(resolved.run, value))
    if section == "method":
        return replace(resolved, method=longer(resolved.method, value))
    return replace(resolved, run=replace(resolved.run, **{section: longer(getattr(resolved.run, section), value)}))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("section", ["run", "data", "student", "training", "method"])
def test_a_setting_to_come_changes_nothing_at_its_default(method, section):
    before = settings(method)
    kind = load_method(method)
    assert run_part(changed(before, section, 3), kind, "rte") == run_part(before, kind, "rte")
    assert run_part(changed(before, section, 4), kind, "rte") != run_part(before, kind, "rte")


def test_a_setting_of_the_teacher_to_come_changes_nothing_at_its_default():
    assert training_part(longer(TeacherConfig(epochs=5))) == training_part(TeacherConfig(epochs=5))
    assert training_part(longer(TeacherConfig(), 4)) != training_part(TeacherConfig())
    assert training_part(TeacherConfig(source="x", seed=3)) == training_part(TeacherConfig())
    assert training_part(TeacherConfig(epochs=5)) != training_part(TeacherConfig())


def test_later_settings_are_listed_with_their_defaults():
    first = {f"{section}.{name}" for section, names in FIRST.items() for name in names}
    later = {}
    for f in fields(RunConfig):
        default = getattr(RunConfig(), f.name)
        if not dataclasses.is_dataclass(default):
            if f.name not in NOT_IN_IDENTITY:
                later[f.name] = default
            continue
        never = {"data": NOT_IN_DATA, "training": NOT_IN_FINGERPRINT, "evaluation": [g.name for g in fields(default)]}
        section = "training" if f.name == "teacher" else f.name
        left_out = {*never.get(section, ()), *(set(TEACHERS_OWN) - {"method"} if f.name == "teacher" else ())}
        for g in fields(default):
            if f"{section}.{g.name}" not in first and g.name not in left_out:
                later[f"{f.name}.{g.name}"] = getattr(default, g.name)
    for name in METHODS:
        config = load_method(name).Config
        for g in fields(config):
            if f"{name}.{g.name}" not in first and g.name not in config.not_in_fingerprint:
                later[f"{name}.{g.name}"] = g.default
    assert later == LATER


def test_what_does_not_shape_a_student_is_left_out():
    before = settings("mate_kd")
    kind = load_method("mate_kd")
    same = replace(before, run=replace(before.run, out="elsewhere", seeds=3, logger=["csv", "wandb"], fresh=True))
    same = replace(same, run=replace(same.run, data=replace(same.run.data, workers=2, dir="there")))
    same = replace(same, run=replace(same.run, training=replace(same.run.training, eval_batch_size=7, log_every=1)))
    same = replace(same, method=replace(same.method, show_every=0, show=1))
    assert run_part(same, kind, "rte") == run_part(before, kind, "rte")


def test_every_setting_of_a_users_own_method_stands_in():
    @dataclass
    class Mine(MethodConfig):
        a: int = 1
        b: int = 2

    assert method_part(Mine()) == {"a": 1, "b": 2}  # its file's content is fingerprinted too, so none comes later


def test_training_settings_are_those_of_the_first_records():
    names = {f.name for f in fields(TrainingConfig)} - set(NOT_IN_FINGERPRINT)
    assert set(training_part(TrainingConfig())) == names & FIRST["training"]


def test_a_setting_without_a_default_stands_in_and_hides_no_later_one():
    @dataclass
    class Wanted(MethodConfig):
        must: int
        may: int = 2

    Wanted.__module__ = "kdlab.methods.wanted"  # as if it stood in the package
    assert method_part(Wanted(1)) == {"must": 1}
    assert method_part(Wanted(1, 3)) == {"must": 1, "may": 3}
