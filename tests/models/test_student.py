"""Which layers a student takes, and that it takes them exactly."""

from __future__ import annotations

import pytest
import torch
from helpers import FAMILIES, tiny_batch, tiny_encoder

from kdlab.errors import KdlabError
from kdlab.models.student import StudentSpec, parse_student, select_layers, take_layers


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("layers:bottom:3", StudentSpec(how="bottom", count=3)),
        ("layers:top:2", StudentSpec(how="top", count=2)),
        ("layers:skip:6", StudentSpec(how="skip", count=6)),
        ("layers:0,2,4", StudentSpec(how="list", layers=(0, 2, 4))),
        ("layers:[0, 2, 4]", StudentSpec(how="list", layers=(0, 2, 4))),
        ("layers:5", StudentSpec(how="list", layers=(5,))),
        ("some/model:layers:0,1", StudentSpec(donor="some/model", how="list", layers=(0, 1))),
        ("C:/models/bert:layers:top:1", StudentSpec(donor="C:/models/bert", how="top", count=1)),
        ("distilbert-base-uncased", StudentSpec(checkpoint="distilbert-base-uncased")),
        ("/a/folder", StudentSpec(checkpoint="/a/folder")),
    ],
)
def test_what_a_student_says(text, spec):
    assert parse_student(text) == spec


def test_only_layers_without_a_donor_come_from_the_teacher():
    assert parse_student("layers:bottom:3").from_teacher
    assert not parse_student("other:layers:bottom:3").from_teacher
    assert not parse_student("a/checkpoint").from_teacher


@pytest.mark.parametrize("choice", ["", "bottom", "bottom:0", "middle:3", "bottom:-1", "0,,2", "a,b", "bottom:3:4"])
def test_no_choice_of_layers(choice):
    with pytest.raises(KdlabError, match="no choice of layers; write layers:bottom:3"):
        parse_student(f"layers:{choice}")


@pytest.mark.parametrize(
    ("text", "depth", "layers"),
    [
        ("bottom:3", 12, (0, 1, 2)),
        ("top:3", 12, (9, 10, 11)),
        ("skip:6", 12, (0, 2, 4, 6, 8, 10)),
        ("skip:3", 6, (0, 2, 4)),  # the robustness study's student of DistilBERT
        ("skip:4", 12, (0, 3, 6, 9)),
        ("skip:12", 12, tuple(range(12))),
        ("0,2,4", 6, (0, 2, 4)),
    ],
)
def test_which_layers_are_taken(text, depth, layers):
    assert select_layers(parse_student(f"layers:{text}"), depth) == layers


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("bottom:5", "asks for 5 layers, but its donor has 4"),
        ("skip:5", "asks for 5 layers"),
        ("0,4", r"asks for layer 4, but its donor has 4, numbered 0 to 3"),
        ("2,0", r"\[2, 0\] must rise"),
        ("1,1", "must rise, each one once"),
    ],
)
def test_layers_that_the_donor_does_not_have(text, message):
    with pytest.raises(KdlabError, match=message):
        select_layers(parse_student(f"layers:{text}"), 4)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_student_is_a_copy_of_what_it_takes(family):
    donor = tiny_encoder(family, layers=4)
    before = torch.get_rng_state()
    student = take_layers(donor, (0, 3))
    assert torch.equal(torch.get_rng_state(), before)
    assert student.depth == student.config.num_hidden_layers == 2
    assert donor.depth == 4
    layers = donor.family.layers
    prefix = f"{donor.family.backbone}.{layers}."
    theirs, ours = donor.model.state_dict(), student.model.state_dict()
    for name, value in ours.items():
        origin = name.replace(f"{prefix}1.", f"{prefix}3.")
        assert torch.equal(value, theirs[origin]), name
        assert value.data_ptr() != theirs[origin].data_ptr(), name
    assert len(ours) == len(theirs) - 2 * sum(n.startswith(f"{prefix}1.") for n in theirs)
    with torch.no_grad():
        for p in student.parameters():
            p.add_(1)
    assert all(torch.equal(v, theirs[n]) for n, v in donor.model.state_dict().items())


@pytest.mark.parametrize("family", FAMILIES)
def test_a_student_of_every_layer_answers_as_its_donor(family):
    donor, batch = tiny_encoder(family, layers=3), tiny_batch()
    student = take_layers(donor, (0, 1, 2)).eval()
    assert torch.equal(student.classify(batch), donor.classify(batch))
    assert not torch.equal(take_layers(donor, (0, 1)).eval().classify(batch), donor.classify(batch))


def test_the_student_of_a_frozen_teacher_can_be_trained():
    donor = tiny_encoder(layers=3).requires_grad_(False)
    assert all(p.requires_grad for p in take_layers(donor, (0,)).parameters())
