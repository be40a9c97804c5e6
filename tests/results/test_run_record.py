"""``metrics.json``, written and read in one place: what is missing, foreign or newer is one sentence."""

from __future__ import annotations

import dataclasses
import json

import pytest
from helpers import tiny_record

from kdlab import __version__
from kdlab.errors import KdlabError
from kdlab.results.record import RunFolder
from kdlab.results.run_record import FORMAT, METRICS, RunRecord, TeacherRecord


def written(folder, content) -> RunRecord:
    (folder / METRICS).write_text(json.dumps(content))
    return RunRecord.read(folder / METRICS)


@pytest.mark.parametrize("taught", [False, True])
def test_what_is_written_is_read(tmp_path, taught):
    record = tiny_record()
    if taught:
        teacher = TeacherRecord("bert", "used as it is", 10, 2.0, {"dev": {"accuracy": 1}})
        record = dataclasses.replace(record, teacher=teacher, divergence={"dev": {"kl": 0.5}}, retained={"dev": {}})
    assert written(tmp_path, record.to_json()) == record
    assert RunFolder(tmp_path).finished() == record


def test_records_of_the_first_format_are_read(tmp_path):
    old = tiny_record().to_json()
    for name in ("format", "aliases", "resources", "constant", "divergence"):
        del old[name]
    del old["fingerprints"]["experiment"], old["fingerprints"]["splits"]
    record = written(tmp_path, {**old, "generator": {"source": "bert", "head_steps": 3}})
    assert record.resources == {"generator": {"source": "bert", "head_steps": 3}}
    assert (record.aliases, record.constant, record.divergence) == (None, {}, None)
    assert record.fingerprints.run == "run"


def test_records_of_the_third_format_are_read(tmp_path):
    old = {**tiny_record().to_json(), "format": 3}
    for part in ("student", "teacher"):
        if old[part]:
            del old[part]["classes"]
    del old["selection"]["rule"], old["selection"]["ties"]
    record = RunRecord.from_json(old, tmp_path / METRICS)
    assert record.student.classes == {}
    assert (record.selection.rule, record.selection.ties) == ("metric", 0)


def test_records_of_the_second_format_are_read(tmp_path):
    old = {**tiny_record().to_json(), "format": 2}
    for name in ("cost", "memory"):
        del old[name]
    del old["training"]["metrics"], old["training"]["examples"]
    record = written(tmp_path, old)
    assert (record.cost, record.memory, record.training.metrics) == ({}, {}, {})


def without(name: str):
    return lambda content: content.pop(name)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (without("seed"), "metrics.json has no field 'seed', which every record of kdlab's has"),
        (lambda c: c["student"].pop("metrics"), "metrics.json has no field 'student.metrics'"),
        (lambda c: c.update(colour=1), f"has a field 'colour' that kdlab {__version__} does not write"),
        (lambda c: c["source"].update(by="me"), "has a field 'source.by'"),
        (lambda c: c.update(seed="0"), "field 'seed' holds '0', which is no int"),
        (lambda c: c.update(seed=True), "field 'seed' holds True, which is no int"),
        (lambda c: c.update(student=None), "field 'student' holds None, which is no StudentRecord"),
        (lambda c: c["selection"].update(value="high"), "field 'selection.value' holds 'high', which is no float"),
        (
            lambda c: c.update(kdlab="9.0", format=FORMAT + 1),
            f"was written by kdlab 9.0 in format {FORMAT + 1}, and this kdlab {__version__} reads formats up to",
        ),
        (lambda c: c.update(format="new"), "field 'format' holds 'new', which is no int"),
        (lambda c: c.update(format=str(FORMAT)), f"field 'format' holds '{FORMAT}', which is no int"),
        (lambda c: c.update(divergence={"dev": 5}), "field 'divergence.dev' holds 5, which is no dict"),
        (lambda c: c.update(divergence={"dev": {"kl": "x"}}), "field 'divergence.dev.kl' holds 'x', which is no float"),
        (lambda c: c["student"].update(metrics={"dev": 5}), "field 'student.metrics.dev' holds 5"),
        (lambda c: c.update(substituted=[1]), "field 'substituted[0]' holds 1, which is no str"),
        (lambda c: c.update(retained={"dev": None}), "field 'retained.dev' holds None"),
    ],
)
def test_what_is_wrong_with_a_record_is_one_sentence(tmp_path, change, said):
    content = tiny_record().to_json()
    change(content)
    (tmp_path / METRICS).write_text(json.dumps(content))
    for read in (lambda: RunRecord.read(tmp_path / METRICS), RunFolder(tmp_path).finished):
        with pytest.raises(KdlabError) as error:
            read()
        assert said in str(error.value)
        assert str(tmp_path) in str(error.value)


def test_a_file_that_was_cut_off_is_no_finished_run(tmp_path):
    (tmp_path / METRICS).write_text(json.dumps(tiny_record().to_json())[:100])
    assert RunFolder(tmp_path).finished() is None
    assert RunFolder(tmp_path / "nowhere").finished() is None
    with pytest.raises(KdlabError, match=r"metrics\.json can't be read .* is no finished run"):
        RunRecord.read(tmp_path / METRICS)
    with pytest.raises(KdlabError, match="is no record of kdlab's: it holds a list"):
        written(tmp_path, [1])
