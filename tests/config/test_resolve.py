"""How layers of settings become one configuration: what goes over what, and what gives way to the user."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pytest

from kdlab.config.resolve import PRESETS, Draft
from kdlab.errors import KdlabError
from kdlab.methods.base import DistillModule, MethodConfig
from kdlab.methods.finetune import FineTune
from kdlab.methods.kd import KD


@dataclass
class LayeredConfig(MethodConfig):
    """Settings of the method below."""

    a: int = 1
    b: int = 1
    c: int = 1
    d: int = 1
    e: float | None = None

    def validate(self) -> None:
        if self.a < 0:
            raise KdlabError(f"{self.section}.a is {self.a}")


class Layered(DistillModule):
    """A method whose presets say by their numbers where a value came from."""

    Config = LayeredConfig
    presets: ClassVar = {
        "*": {"layered.b": 2, "layered.c": 2, "layered.d": 2},
        "paper": {"layered.c": 3, "layered.d": 3, "training.epochs": 33},
        "embedded": {"layered.d": 4, "training.epochs": 44},
    }


def values(resolved) -> tuple[int, ...]:
    return tuple(getattr(resolved.method, name) for name in "abcd")


def draft(teacher_method=FineTune, **overrides) -> Draft:
    return Draft(Layered, teacher_method, {"method": "layered", **overrides})


def test_each_layer_goes_over_the_one_before():
    assert values(draft().resolved) == (1, 2, 2, 2)
    assert values(draft(profile="paper").resolved) == (1, 2, 3, 3)
    assert values(draft().with_preset("embedded")) == (1, 2, 2, 4)
    assert values(draft(profile="paper").with_preset("embedded")) == (1, 2, 3, 4)


def test_what_the_user_says_goes_over_every_preset():
    said = {f"layered.{name}": 9 for name in "abcd"}
    assert values(draft(profile="paper", **said).with_preset("embedded")) == (9, 9, 9, 9)
    kept = draft(**{"training.epochs": 5, "student.source": "layers:0"}).with_preset("embedded")
    assert (kept.run.training.epochs, kept.run.student.source) == (5, "layers:0")
    assert kept.run.training.learning_rate == PRESETS["embedded"]["training.learning_rate"]


def test_a_methods_preset_goes_over_that_of_all_methods():
    assert PRESETS["embedded"]["training.epochs"] == 4
    assert draft().with_preset("embedded").run.training.epochs == 44
    assert draft(profile="paper").resolved.run.training.epochs == 33


def test_the_teachers_method_has_its_section_and_changes_nothing_else():
    resolved = Draft(KD, Layered, {"method": "kd", "layered.a": 7}).with_preset("embedded")
    assert resolved.teacher_method == LayeredConfig(7, 2, 2, 4)
    assert resolved.plain["layered"] == {"a": 7, "b": 2, "c": 2, "d": 4, "e": None}
    assert resolved.run.training.epochs == PRESETS["embedded"]["training.epochs"]  # the run's are its own method's
    assert resolved.run.teacher.epochs == 44  # its training is the teacher's here
    assert "finetune" not in draft().resolved.plain  # no settings, no section


def test_one_method_for_both_has_one_section():
    resolved = Draft(FineTune, FineTune, {"method": "finetune"}).resolved
    assert resolved.plain["finetune"] == {}
    assert resolved.method == resolved.teacher_method


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ({"layered.f": 1}, "There is no setting 'layered.f'"),
        ({"layered": 1}, "'layered' is a section: set one of layered.a"),
        ({"layered.a": "many"}, "layered.a=many has the wrong type"),
        ({"layered.a": -1}, "layered.a is -1"),
        ({"layered.e": float("inf")}, "layered.e=inf: it must be a finite number"),
        ({"layered.a": 2**31}, "no number here goes beyond"),
        ({"kd.alpha": 1}, "'kd.alpha' is a setting of kd, and this run has another method"),
        ({"task": ""}, "'task' is empty"),
        ({"teacher.source": "${out}"}, "variables are not filled in here"),
        ({"logger": "csv"}, "it is a list"),
        ({"data.holdout": 0.95}, "data.holdout=0.95"),
        ({"profile": "papers"}, "profile of the name 'papers'"),
    ],
)
def test_what_is_wrong_is_said_with_its_key(overrides, said):
    with pytest.raises(KdlabError) as error:
        draft(**overrides)
    assert said in str(error.value)
