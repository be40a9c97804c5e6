"""Files of studies: what is read from them, and a sentence with the line for whatever is wrong in one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kdlab.errors import KdlabError
from kdlab.studies.read import read_study
from kdlab.studies.schema import Figure

TABLE = """\
title: A table
source: A paper, table 1
statistic: median
runs: 5
tasks: [rte, mrpc]
seeds: 3
fill: {donor: base}
profiles:
  embedded: {fill: {donor: embedded}, set: {training.epochs: 4}}
common: {student.source: "{donor}:layers:bottom:3"}
of_task: {mrpc: {training.epochs: 5}}
cells:
  FT: {method: finetune}
  KD:
    method: kd
    kd.alpha: 0.7
paper:
  FT: {rte: 58.48, mrpc: {f1: 81.68, accuracy: 71.08 ± 0.5}}
  KD: {rte: 60, mrpc: null}
elsewhere: {Teacher: {rte: 66.4}}
claims:
  KD is better: {better: KD, than: FT, tasks: [rte], paper: 1.5}
  KD is closer: {better: KD, than: FT, column: kl, lower: true}
search: {training.learning_rate: [1.0e-5, 5.0e-5]}
count: 4
"""


@pytest.fixture
def write(tmp_path: Path):
    def written(text: str) -> Path:
        (tmp_path / "table.yaml").write_text(text, encoding="utf-8")
        return tmp_path / "table.yaml"

    return written


def test_a_file_is_read(write):
    study = read_study(write(TABLE), {"seeds": 5})
    assert (study.title, study.source, study.statistic, study.runs) == ("A table", "A paper, table 1", "median", 5)
    assert (study.rows, study.tasks) == (("FT", "KD"), ("rte", "mrpc"))
    assert [cell.name for cell in study.cells] == ["FT on rte", "FT on mrpc", "KD on rte", "KD on mrpc"]
    assert study.cells[3].settings == {
        "seeds": 5,
        "student.source": "base:layers:bottom:3",
        "method": "kd",
        "kd.alpha": 0.7,
        "training.epochs": 5,
        "task": "mrpc",
    }
    assert study.cells[3].line == 14
    assert study.paper["FT"] == {
        "rte": {"": Figure(58.48)},
        "mrpc": {"f1": Figure(81.68), "accuracy": Figure(71.08, 0.5)},
    }
    assert study.paper["KD"]["mrpc"] == {"": None}
    assert study.elsewhere == {"Teacher": {"rte": {"": Figure(66.4)}}}
    first, second = study.claims
    assert (first.pairs, first.tasks, first.paper) == ((("KD", "FT"),), ("rte",), 1.5)
    assert (second.tasks, second.column, second.lower) == (("rte", "mrpc"), "kl", True)
    assert study.search == {"training.learning_rate": [1e-5, 5e-5]}


def test_profiles_words_and_tasks(write):
    file = write(TABLE)
    embedded = read_study(file, {}, "embedded").cells[0].settings
    assert embedded["profile"] == "embedded"
    assert embedded["student.source"] == "embedded:layers:bottom:3"
    assert embedded["training.epochs"] == 4
    assert read_study(file, {"donor": "own"}, "embedded").cells[0].settings["student.source"] == "own:layers:bottom:3"
    some = read_study(file, {"tasks": ["mrpc"], "training.epochs": 1})
    assert [cell.name for cell in some.cells] == ["FT on mrpc", "KD on mrpc"]
    assert {cell.settings["training.epochs"] for cell in some.cells} == {1}
    assert [claim.text for claim in some.claims] == ["KD is closer"]
    assert read_study(file, {"task": "rte"}).tasks == ("rte",)
    with pytest.raises(KdlabError, match=r"tasks=sst2: .*has figures of rte, mrpc"):
        read_study(file, {"tasks": "sst2"})
    with pytest.raises(KdlabError, match="a list of names"):
        read_study(file, {"tasks": [3]})
    assert read_study(write("cells: {a: {method: kd}}\ntasks: [rte]"), {"tasks": ["qnli"]}).tasks == ("qnli",)


def test_a_number_is_as_good_a_name_as_any(write):
    text = "tasks: [rte]\ncells: {3: {method: mixkd}, 6: {method: pkd}}\npaper: {3: {rte: 1}, 6: {rte: 2}}\n"
    study = read_study(write(text + "claims: {c: {better: 6, than: 3}}"), {})
    assert [cell.settings["method"] for cell in study.cells] == ["mixkd", "pkd"]
    assert study.paper["6"]["rte"][""] == Figure(2.0)
    assert study.claims[0].better == ("6",)


def test_a_setting_may_have_the_task_in_it(write):
    changed = TABLE.replace("kd.alpha: 0.7", 'augment: "{donor}/{task}-eda.parquet"')
    study = read_study(write(changed), {"ood.sets": "{task}.yaml"})
    assert [cell.settings.get("augment") for cell in study.cells] == [
        None,
        None,
        "base/rte-eda.parquet",
        "base/mrpc-eda.parquet",
    ]
    assert [cell.settings["ood.sets"] for cell in study.cells] == 2 * ["rte.yaml", "mrpc.yaml"]


def test_settings_vary(write):
    study = read_study(
        write("tasks: [rte]\ncells: {MixKD: {method: mixkd}}\nvary: {mixkd.ratio: [1, 2], mixkd.alpha_sm: [1, 10]}"), {}
    )
    assert study.rows[:2] == ("MixKD, ratio 1, alpha_sm 1", "MixKD, ratio 1, alpha_sm 10")
    assert study.cells[3].settings == {"method": "mixkd", "mixkd.ratio": 2, "mixkd.alpha_sm": 10, "task": "rte"}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("title: A table", "titel: A table", r":1: .*'titel'.*title"),
        ("title: A table", "title: [a]", r":1: 'title' must be a text"),
        ("statistic: median", "statistic: medium", r":3: .*'medium'.*median"),
        ("runs: 5", "runs: 0", r":4: 'runs' must be a whole number from 1"),
        ("tasks: [rte, mrpc]", "tasks: rte", r":5: 'tasks' must be a list of names"),
        ("  embedded: {fill", "  embeded: {fill", r":9: 'embeded' is no profile"),
        ("set: {training", "sets: {training", r":9: a profile holds 'fill' and 'set'"),
        ('"{donor}:', '"{doner}:', r":10: .*\{doner\}.* there is task, donor"),
        ("of_task: {mrpc:", "of_task: {sst2:", r":11: 'of_task' names sst2, and 'tasks' does not"),
        ("  FT: {method: finetune}", "  FT: finetune", r":13: 'FT' must hold settings"),
        ("  FT: {rte: 58.48,", "  FD: {rte: 58.48,", r":18: .*'FD'.*FT"),
        ("rte: 58.48,", "rte: 58.48 points,", r":18: '58.48 points' is no figure"),
        ("  KD: {rte: 60, mrpc: null}", "  KD: {rte: 60}", r":19: 'KD' has no figure of the paper's on mrpc"),
        ("  KD: {rte: 60, mrpc: null}\n", "", r"'KD' has no figure of the paper's on rte"),
        ("mrpc: null", "mrpc: null, sst2: 1", r":19: 'sst2' is none of the file's tasks"),
        ("{Teacher:", "{FT:", r":20: 'FT' is a cell too"),
        ("{better: KD, than: FT, tasks", "{better: KDD, than: FT, tasks", r":22: .*'KDD'.*KD"),
        ("{better: KD, than: FT, tasks", "{better: KD, tasks", r":22: the claim 'KD is better' has no 'than'"),
        ("{better: KD, than: FT, tasks: [rte]", "{better: KD, than: FT, tasks: [sst2]", r":22: 'sst2' is none"),
        ("lower: true", "lower: 1", r":23: 'lower' must be true or false"),
        ("[1.0e-5, 5.0e-5]", "1.0e-5", r":24: 'training.learning_rate' must hold a list of values"),
        (
            "  FT: {method: finetune}",
            "  teacher: {method: finetune}",
            r":13: 'teacher' is the row of the teacher's own",
        ),
        (
            "  FT: {method: finetune}",
            "  1.5: {method: finetune}",
            r"YAML reads a name here as 1.5: write quotes around",
        ),
        ('"{donor}:', '"{donor[a][b]}:', r":10: .* there is task, donor"),
        ("fill: {donor: base}", "fill: {donor: base, task: rte}", ":7: 'task' is filled in with the task's name"),
        ("column: kl", "colum: kl", r":23: .*'colum'.*column"),
        ("count: 4", "count: 5", r":25: 'count' says 5, and 2 rows on 2 tasks are 4"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(write, old: str, new: str, said: str):
    assert TABLE.count(old) == 1, "the test changes one place"
    with pytest.raises(KdlabError, match=said):
        read_study(write(TABLE.replace(old, new)), {})


def test_what_is_no_study(write, tmp_path: Path):
    for text in ("", "- a", "cells: {}", "title: a"):
        with pytest.raises(KdlabError, match="is no study: it must hold 'cells'"):
            read_study(write(text), {})
    assert read_study(write("common: {task: sst2}\ncells: {a: {method: kd}}"), {}).tasks == ("sst2",)
    with pytest.raises(KdlabError, match="names no 'tasks'"):
        read_study(write("cells: {a: {method: kd}}"), {})
    with pytest.raises(KdlabError, match="must hold a list of values"):
        read_study(write("tasks: [rte]\ncells: {a: {method: kd}}\nvary: {kd.alpha: 3}"), {})
    with pytest.raises(KdlabError, match="not valid YAML"):
        read_study(write("cells: {a: [\n"), {})
    with pytest.raises(KdlabError, match="can't be read"):
        read_study(tmp_path / "nothing.yaml", {})


ATTACKED = """\
tasks: [rte]
rows: cells
common: {evaluation.attack: [bae, pruthi]}
cells: {a: {method: kd}, b: {method: kd}, c: {method: kd}}
logs: {b: {rte: {bae aua: 37.4}}}
claims: {a is best: {better: [a], than: [b, c], column: aua, over: examples, other_rows: true}}
heatmap: [pruthi]
"""


def test_attacks_are_read(write):
    study = read_study(write(ATTACKED), {})
    assert study.attacks_of("rte") == ["bae", "pruthi"]
    assert study.table_rows == ("a", "b", "c")
    assert study.logs == {"b": {"rte": {"bae aua": Figure(37.4)}}}
    assert study.heatmap == ("pruthi",)
    (claim,) = study.claims
    assert (claim.pairs, claim.over, claim.other_rows) == ((("a", "b"), ("a", "c")), "examples", True)
    recipes = ATTACKED.replace("rows: cells", "rows: recipes").replace("logs: {b:", "logs: {bae:")
    assert read_study(write(recipes), {}).table_rows == ("bae", "pruthi")
    assert (
        read_study(write(recipes), {"evaluation.attack": ["bae", "pruthi", "textfooler"]}).table_rows[2] == "textfooler"
    )


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("rows: cells", "rows: models", r":2: .*'models'.*cells, recipes"),
        ("rows: cells", "rows: recipes", r":5: .*'b'.*bae"),  # the logs are of a cell
        ("logs: {b:", "logs: {d:", r":5: .*'d'"),
        ("than: [b, c]", "than: [b, d]", r":6: .*'d'"),
        ("than: [b, c]", "than: []", r":6: .*'\[\]'"),
        ("over: examples", "over: sentences", r":6: .*'sentences'.*examples"),
        ("other_rows: true", "other_rows: 1", r":6: 'other_rows' must be true or false"),
        ("heatmap: [pruthi]", "heatmap: [textfooler]", r":7: .*'textfooler'.*bae, pruthi"),
        ("heatmap: [pruthi]", "heatmap: pruthi", r":7: 'heatmap' must be a list of names"),
        ("common: {evaluation.attack: [bae, pruthi]}", "common: {}", r":4: its cells are not attacked"),
        ("[bae, pruthi]}", "[bae, pruthy]}", r":3: There is no recipe 'pruthy': did you mean pruthi"),
    ],
)
def test_what_is_wrong_of_attacks_is_said_with_its_line(write, old: str, new: str, said: str):
    assert ATTACKED.count(old) == 1, "the test changes one place"
    with pytest.raises(KdlabError, match=said):
        read_study(write(ATTACKED.replace(old, new)), {})


def test_the_files_on_the_page_of_studies_are_read(write):
    page = (Path(__file__).parents[2] / "docs" / "studies.md").read_text(encoding="utf-8")
    files = re.findall(r"^```yaml\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert [len(read_study(write(text), {}).claims) for text in files] == [2, 1]
