"""What a study says of attacks, by arithmetic on records that are made up."""

from __future__ import annotations

import csv
import dataclasses
import io
from pathlib import Path

import pytest
from attacked_fixtures import write_attacked
from helpers import tiny_record

from kdlab.data.tasks import get_task
from kdlab.errors import KdlabError
from kdlab.evaluation.metrics import wilson
from kdlab.results.run_record import ClassScores, Fingerprints, RunRecord, StudentRecord, TeacherRecord, TrainingRecord
from kdlab.studies.answers import figure, interval
from kdlab.studies.attacked import attack_figure, read_attacked
from kdlab.studies.claims import judge_study, verdict_markdown
from kdlab.studies.columns import UNDER_ATTACK, Column, find_column
from kdlab.studies.fill import make_table
from kdlab.studies.heatmap import draw_heatmaps
from kdlab.studies.read import read_study
from kdlab.studies.schema import Study
from kdlab.studies.verdicts import CONTRADICTED, REPRODUCED, UNDECIDED

RTE = get_task("rte")
SPECS = {"rte": RTE}
BOTH = ["bae", "pruthi"]
COMMON = "tasks: [rte]\ncommon: {evaluation.attack: [bae, pruthi]}\n"
CELLS = "cells: {a: {method: kd}, b: {method: kd}}\n"


def record(seed: int = 0, taught: bool = False) -> RunRecord:
    """Right on 8 of 10 examples, trained for two hours to .9 on rows of train."""
    confusion = ClassScores({}, [[5, 1], [1, 3]], 0.0)
    return dataclasses.replace(
        tiny_record(),
        seed=seed,
        student=StudentRecord("layers", 1, 1.0, {"dev": {"accuracy": 0.8}}, {"dev": confusion}),
        teacher=TeacherRecord("bert", "as it is", 9, 1.0, {"dev": {"accuracy": 0.9}}) if taught else None,
        fingerprints=Fingerprints("run", "data", "0123456789" if taught else None, "tokenizer"),
        training=TrainingRecord(1, 1, 7200.0, {"accuracy": 0.9}, 512),
    )


@pytest.fixture
def read(tmp_path: Path):
    def study(text: str) -> Study:
        (tmp_path / "s.yaml").write_text(text, encoding="utf-8")
        return read_study(tmp_path / "s.yaml", {})

    return study


def runs(root: Path, row: str, *seeds: dict[str, str]) -> list[tuple[RunRecord, Path]]:
    """Runs of a row on RTE, one for each seed with what attacks made of its examples."""
    return [(record(i), write_attacked(root / f"{row}{i}", recipes)) for i, recipes in enumerate(seeds)]


def column(name: str) -> Column:
    return find_column(name, RTE, (), BOTH)


def test_columns_of_attacks_and_training():
    assert column("bae aua") == Column("bae", "aua", recipes=("bae",))
    assert column("bae words changed") == Column("bae", "words changed", recipes=("bae",))
    assert column("aua") == Column("", "aua", recipes=("bae", "pruthi"))
    assert column("accuracy") == Column("dev", "accuracy")
    assert column("bae accuracy") == Column("bae", "accuracy", recipes=("bae",))
    assert column("training accuracy") == Column("training", "accuracy")
    for name in ("bae aua", "aua", "words changed", "minutes", "training accuracy", "pruthi drop", "accuracy"):
        assert column(name).name == name
    with pytest.raises(KdlabError, match=r"no column 'textfooler aua' on rte.*bae aua, .*pruthi queries, aua, drop"):
        column("textfooler aua")
    with pytest.raises(KdlabError, match="no column 'aua' on rte"):
        find_column("aua", RTE)


def test_figures_are_those_of_the_outcomes(tmp_path: Path):
    run = write_attacked(tmp_path, {"bae": "ssfff+++++", "pruthi": "ssffffff++"})
    expected = {
        "bae accuracy": 0.8,
        "bae aua": 0.3,
        "bae drop": 0.5,
        "bae success": 5 / 8,
        "bae words changed": 20.0,
        "bae queries": sum(10 * n for n in range(3, 11)) / 8,
        "aua": (0.3 + 0.6) / 2,
        "drop": (0.5 + 0.2) / 2,
        "success": (5 / 8 + 2 / 8) / 2,
        "minutes": 120.0,
        "hours": 2.0,
        "training accuracy": 0.9,
    }
    assert {name: figure(column(name), record(), run) for name in expected} == pytest.approx(expected)
    assert interval(column("bae aua"), record(), run) == wilson(3, 10)
    assert interval(column("bae drop"), record(), run) == wilson(5, 10)
    assert interval(column("bae success"), record(), run) == wilson(5, 8)
    assert interval(column("accuracy"), record(), run) == wilson(8, 10)
    for name in ("aua", "bae queries", "bae words changed", "minutes", "training accuracy"):
        assert interval(column(name), record(), run) is None


def test_what_is_not_there_is_none(tmp_path: Path):
    assert figure(column("bae aua"), record(), tmp_path) is None
    one = write_attacked(tmp_path, {"bae": "ff"})
    assert figure(column("bae words changed"), record(), one) is None  # nothing succeeded
    assert figure(column("bae aua"), record(), one) == 1.0
    assert figure(column("aua"), record(), one) is None  # pruthi has not attacked
    assert interval(column("pruthi aua"), record(), one) is None
    (one / "attacks" / "student" / "figures.json").write_text('{"bae": {"key": 1, "victim": 1, "figures": {}}}')
    with pytest.raises(KdlabError, match=r"figures.json can't be read .*remove it"):
        attack_figure(column("bae aua"), one)


def test_examples_of_attacks(tmp_path: Path):
    run = write_attacked(tmp_path, {"bae": "sf+f", "pruthi": "sf++"})
    ids, aua = read_attacked(run, column("aua"))
    assert [number for number, _ in ids] == [0, 1, 2, 3]
    assert aua.tolist() == [0, 1, 0, 0.5]
    assert read_attacked(run, column("bae drop"))[1].tolist() == [0, 0, 1, 0]
    success = read_attacked(run, column("success"))[1].tolist()
    assert success[0] != success[0]  # NaN: it was not attacked
    assert success[1:] == [0, 1, 0.5]
    write_attacked(run, {"pruthi": "sf++"}, first=1)
    with pytest.raises(KdlabError, match="its recipes have attacked different examples"):
        read_attacked(run, column("aua"))


def test_a_single_run_has_its_interval_and_several_their_deviation(read, tmp_path: Path):
    paper = "paper: {a: {rte: {accuracy: 81, bae aua: 32.24, success: 5}}, b: {rte: null}}\n"
    study = read(COMMON + CELLS + paper + "logs: {a: {rte: {bae aua: 37.4}}, b: {rte: {bae aua: 9}}}")
    results = {
        ("a", "rte"): runs(tmp_path, "a", {"bae": "ssfff+++++", "pruthi": "ssffffff++"}),
        ("b", "rte"): runs(tmp_path, "b", *({"bae": s, "pruthi": s} for s in ("f+", "ff"))),
    }
    table = make_table(study, SPECS, results)
    header, (first, second) = table.texts()
    assert header == ["", "accuracy", "bae aua", "success"]
    assert first == ["a", "80.0 [49.0, 94.3] (81)", "30.0 [10.8, 60.3] (32.24; logs 37.4)", "43.8 (5)"]
    assert second == ["b", "80.0 ± 0.0", "75.0 ± 35.4 (logs 9)", "25.0 ± 35.4"]
    text = table.markdown()
    assert "in brackets the paper's and its logs'." in text
    assert "Attacked: 10 of rte's dev (seed 0, fixed); 2 of rte's dev (seed 0, fixed)." in text
    assert "SUBSTITUTED in attacks: neighbours: kdlab's own." in text
    row = next(r for r in csv.DictReader(io.StringIO(table.comma_separated())) if r["column"] == "bae aua")
    assert (row["paper"], row["logs"], row["unit"]) == ("32.24", "37.4", "points")
    assert (float(row["low"]), float(row["high"])) == pytest.approx([100 * x for x in wilson(3, 10)], rel=1e-4)


def test_the_best_run_is_hard_to_fool(read, tmp_path: Path):
    study = read(
        "statistic: best\n" + COMMON + CELLS + "paper: {a: {rte: {bae aua: 1, bae success: 1}}, b: {rte: null}}"
    )
    results = {("a", "rte"): runs(tmp_path, "a", {"bae": "f+++"}, {"bae": "ff++"})}
    assert make_table(study, SPECS, results).texts()[1][0][1:3] == 2 * ["50.0 ± 17.7 (1)"]


def test_without_a_paper_all_recipes_and_their_mean_are_shown(read, tmp_path: Path):
    results = {("a", "rte"): runs(tmp_path, "a", {"bae": "f+", "pruthi": "++"})}
    table = make_table(read(COMMON + CELLS), SPECS, results).texts()
    assert table[0] == ["", "accuracy", "bae aua", "pruthi aua", "aua"]
    assert table[1][0][2:] == ["50.0 [9.5, 90.5]", "0.0 [0.0, 65.8]", "25.0"]


def test_a_teacher_is_attacked_too(read, tmp_path: Path):
    run = write_attacked(tmp_path / "a", {"bae": "f+", "pruthi": "f+"})
    write_attacked(run, {"bae": "ff", "pruthi": "f+"}, "teacher")
    study = read(COMMON + CELLS + "elsewhere: {teacher: {rte: {bae aua: 60, aua: 50}}}")
    table = make_table(study, SPECS, {("a", "rte"): [(record(taught=True), run)]}).texts()
    assert table[1][0] == ["teacher", "100.0 [34.2, 100.0] (60)", "75.0 (50)"]


def test_rows_of_recipes_are_means_over_cells(read, tmp_path: Path):
    figures = "paper: {bae: {rte: {aua: 35.6, queries: 60}}, pruthi: {rte: null}}\n"
    study = read(COMMON + CELLS + "rows: recipes\n" + figures)
    results = {
        ("a", "rte"): runs(tmp_path, "a", {"bae": "f+", "pruthi": "++"}, {"bae": "ff", "pruthi": "++"}),
        ("b", "rte"): runs(tmp_path, "b", {"bae": "++", "pruthi": "ff"}, {"bae": "f+", "pruthi": "ff"}),
    }
    header, body = make_table(study, SPECS, results).texts()
    assert header == ["", "aua", "queries"]
    assert body == [["bae", "50.0 ± 35.4 (35.6)", "15.0 ± 0.0 (60)"], ["pruthi", "50.0 ± 0.0", "15.0 ± 0.0"]]
    assert "of the mean over 2 cells over 2 seeds" in make_table(study, SPECS, results).markdown()
    less = {**results, ("b", "rte"): results["b", "rte"][:1]}
    assert make_table(study, SPECS, less).texts()[1][0][1] == "25.0 (35.6)"  # the one seed that both cells have
    bare = make_table(read(COMMON + CELLS + "rows: recipes\n"), SPECS, {})
    assert bare.texts()[0] == ["", *UNDER_ATTACK]
    with pytest.raises(KdlabError, match="The rows are recipes, and 'accuracy' is none of aua, drop"):
        make_table(read(COMMON + CELLS + "rows: recipes\nelsewhere: {x: {rte: {accuracy: 3}}}"), SPECS, {})


CLAIM = "claims: {c: {better: %s, than: %s, column: %s%s}}"


def judged(study: Study, results):
    (one,) = judge_study(study, SPECS, results)
    assert one.verdict is not None
    return one.verdict


def test_claims_are_paired_over_sentences(read, tmp_path: Path):
    ours, theirs = "f" * 9 + "+" * 6 + "sss", "+" * 9 + "f" + "+" * 5 + "sss"
    results = {(name, "rte"): runs(tmp_path, name, {"bae": s, "pruthi": s}) for name, s in (("a", ours), ("b", theirs))}
    verdict = judged(read(COMMON + CELLS + CLAIM % ("a", "b", "bae aua", "")), results)
    assert (verdict.answer, verdict.test, verdict.effect) == (REPRODUCED, "McNemar", pytest.approx(8 / 18))
    assert verdict.p == pytest.approx(11 / 2**10)  # nine of ten sentences on which they differ, or ten
    less = judged(read(COMMON + CELLS + CLAIM % ("b", "a", "bae drop", ", lower: true")), results)
    assert (less.answer, less.effect) == (CONTRADICTED, pytest.approx(-8 / 18))
    success = judged(read(COMMON + CELLS + CLAIM % ("a", "b", "bae success", ", lower: true")), results)
    assert success.effect == pytest.approx(8 / 15)  # of those that both were attacked on
    queries = judged(read(COMMON + CELLS + CLAIM % ("a", "b", "bae queries", "")), results)
    assert (queries.answer, queries.effect, queries.p) == (UNDECIDED, 0, 1)


def test_a_mean_over_recipes_is_paired_over_sentences(read, tmp_path: Path):
    results = {
        ("a", "rte"): runs(tmp_path, "a", {"bae": "ffffff", "pruthi": "ffffff"}),
        ("b", "rte"): runs(tmp_path, "b", {"bae": "++++++", "pruthi": "ffffff"}),
    }
    study = read(COMMON + CELLS + CLAIM % ("a", "b", "aua", ""))
    verdict = judged(study, results)
    assert (verdict.test, verdict.effect, verdict.p) == ("sign-flip over examples", 0.5, 1 / 64)
    text = verdict_markdown(judge_study(study, SPECS, results))
    assert "| c | rte | reproduced | +50.0 (+50.0 to +50.0) |" in text
    assert "One-sided sign-flip test over examples (McNemar's for yes or no)" in text
    over_seeds = read(COMMON + CELLS + CLAIM % ("a", "b", "aua", ", over: seeds"))
    assert judged(over_seeds, results).answer == UNDECIDED


def test_seeds_must_agree_on_what_sentences_say(read, tmp_path: Path):
    study = read(COMMON + CELLS + CLAIM % ("a", "b", "bae aua", ""))
    than = [{"bae": "+" * 8 + "ff"}] * 3
    for third, answer in (("f" * 9 + "+", REPRODUCED), ("+" * 9 + "f", UNDECIDED)):
        ours = [{"bae": "f" * 10}, {"bae": "f" * 10}, {"bae": third}]
        results = {("a", "rte"): runs(tmp_path, "a", *ours), ("b", "rte"): runs(tmp_path, "b", *than)}
        verdict = judged(study, results)
        assert (verdict.answer, verdict.agree) == (answer, 3 if answer == REPRODUCED else 2)
    text = verdict_markdown(judge_study(study, SPECS, results))
    assert "| 3 (2 agree) | 2 of 3 seeds agree |" in text


def test_the_best_of_several_is_better_than_each(read, tmp_path: Path):
    cells = "cells: {a: {method: kd}, b: {method: kd}, d: {method: kd}}\n"
    paper = "paper: {a: {rte: {bae aua: 9}}, b: {rte: {bae aua: 5}}, d: {rte: {bae aua: 7.5}}}\n"
    study = read(COMMON + cells + paper + CLAIM % ("a", "[b, d]", "bae aua", ""))
    assert study.claims[0].pairs == (("a", "b"), ("a", "d"))
    signs = {"a": "f" * 10, "b": "+" * 10, "d": "+" * 6 + "f" * 4}
    results = {(name, "rte"): runs(tmp_path, name, {"bae": s}) for name, s in signs.items()}
    text = verdict_markdown(judge_study(study, SPECS, results))
    assert "| reproduced | +60.0 (+30.0 to +90.0), least of 2: a than d | +1.5 | 0.016 | 1 |" in text
    assert "A claim of several rows is true where each comparison is." in text
    del results["d", "rte"]
    assert judge_study(study, SPECS, results)[0].verdict is None


def test_what_is_published_of_each_recipe_makes_the_published_mean(read):
    published = "%s: {a: {rte: {bae aua: 30, pruthi aua: 50}}, b: {rte: {bae aua: %s, pruthi aua: 51}}}\n"
    study = read(COMMON + CELLS + published % ("paper", 20) + published % ("logs", 33) + CLAIM % ("a", "b", "aua", ""))
    (one,) = judge_study(study, SPECS, {})
    assert (one.paper, one.logs) == (4.5, -2)
    assert "| verdict | by (95 %) | paper | logs | p |" in verdict_markdown([one])
    assert "| no runs yet |  | +4.5 | -2 |  |" in verdict_markdown([one])


def test_other_sentences_are_no_pairs(read, tmp_path: Path):
    study = read(COMMON + CELLS + CLAIM % ("a", "b", "bae aua", ""))
    other = [(record(), write_attacked(tmp_path / "b", {"bae": "f+f"}, first=1))]
    results = {("a", "rte"): runs(tmp_path, "a", {"bae": "f+f"}), ("b", "rte"): other}
    with pytest.raises(KdlabError, match="answer different questions"):
        judge_study(study, SPECS, results)


def test_a_heatmap_of_drops(read, tmp_path: Path):
    logs = "logs: {a: {rte: {accuracy: 90, bae aua: 37.5}}, b: {rte: {accuracy: 80, pruthi drop: 30}}}\n"
    study = read(COMMON + CELLS + logs + "heatmap: [pruthi, bae]")
    results = {
        ("a", "rte"): runs(tmp_path, "a", {"bae": "ff++", "pruthi": "sfff"}, {"bae": "f+++", "pruthi": "sfff"}),
    }
    png, svg, lines = draw_heatmaps(study, SPECS, results, tmp_path / "tables")
    assert png.read_bytes().startswith(b"\x89PNG")
    drawn = svg.read_text()
    for text in (
        ">a<",
        ">b<",
        ">pruthi<",
        ">bae<",
        ">62.5<",
        ">0.0<",
        ">52.5<",
        ">30.0<",
        ">ours<",
        ">the paper's logs<",
    ):
        assert text in drawn, text
    rows = {(r["row"], r["recipe"]): r for r in csv.DictReader(io.StringIO(lines.read_text()))}
    assert list(rows) == [("a", "pruthi"), ("a", "bae"), ("b", "pruthi"), ("b", "bae")]
    first = rows["a", "bae"]
    assert [first[name] for name in ("n", "accuracy", "aua", "drop", "paper", "logs")] == [
        *("2", "100", "37.5", "62.5", "", "52.5"),
    ]
    assert float(first["drop_sd"]) == pytest.approx(25 / 2**0.5, rel=1e-4)
    assert (rows["b", "pruthi"]["drop"], rows["b", "pruthi"]["logs"]) == ("", "30")
