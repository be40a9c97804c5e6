"""Studies from their files to their tables: what stands in them, and what is run for them."""

from __future__ import annotations

import csv
import dataclasses
import io
import re
from pathlib import Path

import pytest
from cli_fixtures import Lab, open_lab
from helpers import tiny_record
from ood_fixtures import write_sets

from kdlab.commands.experiment import find_file, is_study
from kdlab.data.tasks import get_task
from kdlab.errors import KdlabError
from kdlab.planning.augment import plan_augmentation
from kdlab.planning.plan import make_plan
from kdlab.results.run_record import Fingerprints, RunRecord, SourceRecord, StudentRecord, TeacherRecord, TrainingRecord
from kdlab.studies.columns import Column, find_column
from kdlab.studies.fill import make_table
from kdlab.studies.read import read_study
from kdlab.system.cache import Cache

ROOT = Path(__file__).parents[2]
FILES = sorted(file for file in (ROOT / "experiments").rglob("*.yaml") if is_study(file))
CELLS = {
    "methods": 11,
    **{
        f"ad2/{name}": n
        for name, n in zip(
            ["table1", "table2", "table3", "table4", "table5", "figure2"], (32, 12, 24, 24, 18, 7), strict=True
        )
    },
    **{f"cilda/{name}": n for name, n in (("table1", 32), ("table2", 15), ("figure2", 28))},
    **{
        f"mixkd/{name}": n for name, n in (("table1", 36), ("table2", 2), ("table3", 48), ("table4", 4), ("table5", 16))
    },
    "mixkd/figure1": 12,
    "mixkd/figure2": 2,
    "mixkd/figure3": 27,
    "scarce/methods": 28,
    "scarce/papers": 6,
    "mixkd/table1_bt": 48,
    "ad2/figure2_da": 14,
    "scarce/augmenters": 20,
    **{
        f"l2a/{name}": n
        for name, n in (("table1", 40), ("table2", 20), ("table3", 4), ("figure2", 24), ("figure3", 8), ("scarce", 14))
    },
    **{
        f"robustness/{name}": n
        for name, n in (("table1", 7), ("table2", 7), ("table3", 12), ("table4", 3), ("heatmap", 12), ("scarce", 20))
    },
}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory):
    return open_lab(tmp_path_factory)


def test_every_file_is_counted():
    assert {str(file.relative_to(ROOT / "experiments").with_suffix("")) for file in FILES} == set(CELLS)


def test_the_page_on_studies_names_each_file():
    named = set()
    page = (ROOT / "docs" / "studies.md").read_text(encoding="utf-8")
    for folder, studies in re.findall(r"^\| (?:`(\w+)` )?\| (`[^|]*`) \|", page, re.MULTILINE):
        for first, last in re.findall(r"`(\w+)`(?: to `(\w+)`)?", studies):
            numbers = range(int(first[-1]), int(last[-1]) + 1) if last else ()
            names = [f"{first[:-1]}{number}" for number in numbers] or [first]
            named |= {f"{folder}/{one}".removeprefix("/") for one in names}
    assert named == set(CELLS)


@pytest.mark.parametrize("name", CELLS)
def test_a_file_expands_to_its_cells(name: str):
    study = read_study(find_file(name), {}, "embedded")
    assert len(study.cells) == CELLS[name]
    assert len({cell.name for cell in study.cells}) == CELLS[name]
    assert not any("{" in str(value) for cell in study.cells for value in cell.settings.values())
    specs = {task: get_task(task) for task in study.tasks}
    make_table(study, specs, {})  # each of the paper's figures is in a column that the task has
    assert study.title
    if name not in ("methods", "scarce/methods", "scarce/augmenters"):
        assert study.source


def augmenter_of(file: str) -> str:
    """What makes a file of new examples, by its name, as the first lines of the studies say."""
    task, _, maker = Path(file).stem.partition("-")
    if maker == "cbert" and get_task(task).regression:  # it is told labels
        return "contextual"
    return {"bt": "back_translation"}.get(maker, maker)


@pytest.mark.full
@pytest.mark.parametrize("name", CELLS)
def test_a_file_is_planned_to_the_last_cell(lab: Lab, name: str, tmp_path: Path):
    study = read_study(find_file(name), {}, "embedded")
    words = ["--profile", "embedded", "accelerator=cpu"]
    for file, cell in {str(c.settings["augment"]): c for c in study.cells if "augment" in c.settings}.items():
        cut = ("data.limit_train", "data.target_per_class", "data.selection")
        rows = {key: value for key, value in cell.settings.items() if key in cut} | {"task": cell.task}
        if (maker := augmenter_of(file)) != "back_translation":  # whose translators are not here
            plan_augmentation([maker], 1, None, {"profile": "embedded", **rows}, Cache(tmp_path / "cache"))
        out = ("--out", str(tmp_path / Path(file).name))
        made = lab.run(
            "augment", "--with", "eda", "--no-teacher", *out, *words, *(f"{key}={value}" for key, value in rows.items())
        )
        assert made.code == 0, made.err
    more = [f"augmented={tmp_path}"] if any("augment" in cell.settings for cell in study.cells) else []
    done = lab.run("experiment", name, *words, "--dry-run", *more)
    assert done.code == 0, done.err
    assert len(done.out.splitlines()) == CELLS[name] + 1


@pytest.mark.parametrize("name", [name for name in CELLS if name.startswith("l2a/")])
def test_rows_that_l2a_is_rewarded_on_choose_every_rows_epoch_and_are_never_reported(name: str, cache: Cache):
    study = read_study(find_file(name), {"tasks": ["rt"]}, "embedded")
    plans = [make_plan({**cell.settings, "augment": None}, cache) for cell in study.cells]
    for task in (plan.task for plan in plans):
        assert task.select_on == "dev"
        assert task.reported_splits == ["test"]
        chosen, reported = set(task.splits["dev"].text), set(task.splits["test"].text)
        assert not chosen & reported
        assert set(task.splits["reward"].text if "reward" in task.splits else ()) <= chosen
    rewarded = [plan.task for plan in plans if "selector" in plan.method.players_of(plan.settings.method)]
    assert [len(task.splits["reward"]) for task in rewarded] == [128] * len(rewarded) != []


def test_a_study_is_found_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    assert find_file("mixkd/table1") == ROOT / "experiments" / "mixkd" / "table1.yaml"
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "own.yaml").write_text("cells: {a: {method: kd}}")
    assert find_file("own") == Path("experiments/own.yaml")
    assert find_file("there.yaml") == Path("there.yaml")
    with pytest.raises(KdlabError, match=r"There is no study 'mixkd/tabel1'. There are: ad2/figure2, .*own"):
        find_file("mixkd/tabel1")


SMALL = """\
title: A small study
source: a paper
statistic: median
tasks: [rte]
seeds: 2
cells:
  FT: {method: finetune}
  KD:
    method: kd
paper:
  FT: {rte: 58.48}
  KD: {rte: 59.57 ± 0.2}
elsewhere: {Other: {rte: 60}}
claims:
  KD is better: {better: KD, than: FT}
"""


@pytest.fixture
def words(lab: Lab, tmp_path: Path):
    small = {"data.dir": str(lab.data), "teacher.source": str(lab.teacher), "out": str(tmp_path / "out")}
    small |= {"teacher.epochs": 1, "training.epochs": 1, "student.source": "layers:0,1", "precision": "32"}
    return [f"{key}={value}" for key, value in {**small, "accelerator": "cpu"}.items()]


def test_a_study_is_run_once_and_written(lab: Lab, tmp_path: Path, words: list[str]):
    file = tmp_path / "small.yaml"
    file.write_text(SMALL)
    plan = lab.run("experiment", file, "--dry-run", *words)
    assert plan.out.splitlines()[-1].split() == ["KD", "rte", "kd", "2", "0", "of", "2"]
    done = lab.run("experiment", file, *words)
    assert done.code == 0, done.err
    assert "1 of 4 runs are finished; about " in done.out
    assert "4 of 4 runs are finished." in done.out
    table = (tmp_path / "out" / "tables").glob("*")
    assert sorted(path.suffix for path in table) == [".csv", ".md", ".tex"]
    text = next((tmp_path / "out" / "tables").glob("*.md")).read_text()
    assert done.out.endswith(
        f"Tables: {next((tmp_path / 'out' / 'tables').glob('*.md')).with_suffix('')}.md, .tex, .csv\n"
    )
    assert text in done.out
    lines = text.splitlines()
    assert lines[0] == "A small study. a paper."
    assert lines[2] == "|  | accuracy |"
    assert lines[4].startswith("| teacher | ")
    assert lines[5] == "| Other | – (60) |"
    assert lines[6].startswith("| FT | ")
    assert lines[6].endswith(" (58.48) |")
    assert lines[7].endswith(" (59.57 ± 0.2) |")
    assert "Ours: median ± standard deviation over 2 seeds, in points; in brackets the paper's." in lines
    assert "The paper: the median of its runs." in lines
    verdict = next(line for line in lines if line.startswith("| KD is better"))
    assert "2 seeds can't decide, whatever they say: 5 are the fewest" in verdict
    assert "| +1.09 |" in verdict
    again = lab.run("experiment", file, *words)
    assert "Training" not in again.out
    assert again.out.endswith(done.out[done.out.index("A small study") :])
    three = lab.run("experiment", file, "--seeds", "3", *words)
    assert three.out.count("Training the student") == 2


def test_cells_of_the_same_runs_have_each_its_own_seeds(lab: Lab, tmp_path: Path, words: list[str]):
    file = tmp_path / "twice.yaml"
    file.write_text("tasks: [rte]\ncells: {FT: {method: finetune, seeds: 2}, once: {method: finetune}}")
    done = lab.run("experiment", file, *words)
    assert done.code == 0, done.err
    assert "3 of 3 runs are finished." in done.out
    assert done.out.count("Training the student") == 2


@pytest.mark.parametrize(("settings", "said"), [("limit_train: 40", 1), ("limit_train: 40, data.split_seed: 1", 0)])
def test_seeds_that_share_their_few_rows_are_said_to(lab: Lab, tmp_path: Path, words: list[str], settings, said):
    file = tmp_path / "few.yaml"
    file.write_text(f"tasks: [rte]\ncommon: {{data.{settings}}}\ncells: {{FT: {{method: finetune}}}}")
    done = lab.run("experiment", file, *words)
    assert done.code == 0, done.err
    assert done.out.count("All seeds have the same training rows and the same teacher") == said


def test_what_is_wrong_is_said_before_the_first_cell(lab: Lab, tmp_path: Path, words: list[str]):
    file = tmp_path / "small.yaml"
    for old, new, said in (
        ("method: kd\n", "method: kdd\n", ":8: cell 'KD on rte': There is no method 'kdd'"),
        ("method: kd\n", "method: kd\n    kd.alfa: 0.1\n", ":8: cell 'KD on rte': There is no setting 'kd.alfa'"),
        ("{rte: 58.48}", "{rte: {f1: 58.48}}", "There is no column 'f1' on rte"),
        ("than: FT}", "than: FT, column: f1}", "There is no column 'f1' on rte"),
        ("method: kd\n", "method: kd\n    data.limit_train: 4\n", "trained on different rows of rte"),
    ):
        file.write_text(SMALL.replace(old, new))
        assert said in lab.run("experiment", file, *words).sentence
        assert not (tmp_path / "out").exists()
    one = f"{{method: finetune, data.dir: {lab.data}}}"
    file.write_text(
        SMALL.replace("{method: finetune}", one).replace("method: kd\n", "method: kd\n    profile: embedded\n")
    )
    others = [word for word in words if not word.startswith(("data.dir", "teacher.source"))]
    sentence = lab.run("experiment", file, *others).sentence
    assert (
        ":8: 'KD on rte' would be of the embedded corpus and 'FT on rte' not, and both stand in one table" in sentence
    )
    file.write_text(SMALL)
    assert "'seeds' is neither a flag nor key=value" in lab.run("experiment", file, "seeds").sentence
    assert "did you mean training.epochs" in lab.run("experiment", file, "training.epoch=1").sentence


def record(value: float, embedded: bool = False, distance: float | None = None, seed: int = 0) -> RunRecord:
    taught = distance is not None
    return dataclasses.replace(
        tiny_record(),
        seed=seed,
        student=StudentRecord("layers", 1, 1.0, {"dev": {"accuracy": value}}),
        teacher=TeacherRecord("bert", "used as it is", 9, 1.0, {"dev": {"accuracy": 0.9}}) if taught else None,
        divergence={"dev": {"kl": distance, "mse": 1.0}} if taught else None,
        fingerprints=Fingerprints("run", "data", "0123456789" if taught else None, "tokenizer"),
        training=TrainingRecord(1, 1, 7200.0),
        source=SourceRecord("local", "here", embedded),
    )


@pytest.fixture
def read(tmp_path: Path):
    def study(text: str):
        (tmp_path / "s.yaml").write_text(text)
        return read_study(tmp_path / "s.yaml", {})

    return study


def test_a_table_without_a_paper_shows_metrics_and_divergence(read, tmp_path: Path):
    study = read("tasks: [rte]\ncells: {a: {method: kd}, b: {method: kd}, c: {method: kd}}")
    results = {
        ("a", "rte"): [(record(0.5), tmp_path), (record(0.7), tmp_path)],
        ("b", "rte"): [(record(0.25, embedded=True), tmp_path)],
        ("c", "rte"): [(record(0.8, distance=0.1), tmp_path), (record(0.8, distance=0.2), tmp_path)],
    }
    header, body = make_table(study, {"rte": get_task("rte")}, results).texts()
    assert header == ["", "accuracy", "kl"]
    assert body == [
        ["teacher", "90.0", ""],
        ["a", "60.0 ± 14.1", ""],
        ["b", "25.0", ""],
        ["c", "80.0 ± 0.0", "0.150 ± 0.071"],
    ]
    text = make_table(study, {"rte": get_task("rte")}, results).markdown()
    assert "over 1 to 2 seeds" in text
    assert text.rstrip().endswith("a paper's figures are GLUE's.")


@pytest.mark.parametrize(("statistic", "ours"), [("mean", "50.0"), ("median", "40.0"), ("best", "80.0")])
def test_our_figure_is_made_as_the_paper_makes_its_own(read, tmp_path: Path, statistic: str, ours: str):
    figures = "{accuracy: 60.5 ± 0.5, hours: 5.9, parameters: 109483778}"
    study = read(
        f"statistic: {statistic}\ntasks: [rte]\ncells: {{a: {{method: kd}}}}\npaper: {{a: {{rte: {figures}}}}}"
    )
    runs = [(record(v, seed=i), tmp_path) for i, v in enumerate((0.3, 0.4, 0.8))]
    table = make_table(study, {"rte": get_task("rte")}, {("a", "rte"): runs})
    assert table.texts()[1] == [["a", f"{ours} ± 26.5 (60.5 ± 0.5)", "2.00 ± 0.00 (5.9)", "1 ± 0 (109,483,778)"]]
    rows = list(csv.DictReader(io.StringIO(table.comma_separated())))
    assert [row["column"] for row in rows] == ["accuracy", "hours", "parameters"]
    assert {k: rows[0][k] for k in ("n", "mean", "median", "best", "statistic", "paper", "paper_sd", "unit")} == {
        "n": "3",
        "mean": "50",
        "median": "40",
        "best": "80",
        "statistic": statistic,
        "paper": "60.5",
        "paper_sd": "0.5",
        "unit": "points",
    }
    latex = table.latex()
    assert r"\toprule" in latex
    assert r"26.5 (60.5 $\pm$ 0.5) & 2.00" in latex


def test_sets_out_of_domain_are_evaluated_on_what_is_finished(lab: Lab, tmp_path: Path, words: list[str]):
    file = tmp_path / "small.yaml"
    file.write_text("tasks: [rte]\ncells: {KD: {method: kd, training.epochs: 2}}\n")
    mine = [word for word in words if not word.startswith("training.epochs")]
    assert lab.run("experiment", file, *mine).code == 0
    assert "ood" not in "".join(path.name for path in (tmp_path / "out").rglob("*.json*"))
    hans = write_sets(tmp_path / "sets")
    done = lab.run("experiment", file, *mine, "evaluation.ood=[hans]", f"evaluation.ood_dir={hans}")
    assert done.code == 0, done.err
    assert "Training" not in done.out
    table = next((tmp_path / "out" / "tables").glob("*.md")).read_text().splitlines()
    assert table[0] == "|  | accuracy | hans accuracy | kl |"
    for row in ("| teacher |", "| KD |"):
        assert float(next(line for line in table if line.startswith(row)).split("|")[3]) >= 0


def test_columns_are_named():
    mnli, rte = get_task("mnli"), get_task("rte")
    assert find_column("", rte) == Column("dev", "accuracy")
    assert find_column("dev_mm accuracy", mnli) == Column("dev_mm", "accuracy")
    assert find_column("hans accuracy", mnli, ["hans"]) == Column("hans", "accuracy", ood=True)
    assert find_column("kl", rte) == Column("dev", "kl")
    assert find_column("samples/s", rte).name == "samples/s"
    with pytest.raises(KdlabError, match="no column 'hans f1' on mnli"):
        find_column("hans f1", mnli, ["hans"])
    with pytest.raises(KdlabError, match="no column 'kl' on stsb"):
        find_column("kl", get_task("stsb"))
    for name in ("f1", "hans accuracy", "train accuracy", "test accuracy"):
        with pytest.raises(KdlabError, match=r"There is no column .* on rte\. Known: accuracy, parameters, samples/s"):
            find_column(name, rte)
