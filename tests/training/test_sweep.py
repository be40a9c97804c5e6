"""The W&B sweep: its file is one that W&B takes, and a cell of it runs as W&B's agent runs it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from cli_fixtures import OFFLINE, Lab, metrics, open_lab, read_wandb
from wandb import wandb_agent

FILE = Path(__file__).parents[2] / "experiments" / "sweeps" / "mixkd.yaml"
CELL = {"mixkd.alpha_sm": 0.5, "mixkd.alpha_tmkd": 10, "mixkd.ratio": 2, "training.learning_rate": 3.25e-05}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory):
    return open_lab(tmp_path_factory)


@pytest.fixture
def started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Command line and environment that W&B's own agent makes of the file and one cell."""
    sweep = yaml.safe_load(FILE.read_text())
    for name, value in {"DIR": str(tmp_path), "SWEEP_ID": "sweep123", "RUN_ID": "", "SWEEP_PARAM_PATH": ""}.items():
        monkeypatch.setenv(f"WANDB_{name}", value)  # the agent changes them: monkeypatch puts them back
    found = {}

    class Process:
        def __init__(self, command, env, **_: object):
            found.update(command=command, env=env)

    monkeypatch.setattr(wandb_agent, "AgentProcess", Process)
    agent = object.__new__(wandb_agent.Agent)
    agent._sweep_command = sweep["command"]
    agent._in_jupyter = agent._function = agent._last_report_time = None
    agent._forward_signals = False
    agent._run_processes = {}
    cell = {name: {"value": value} for name, value in CELL.items()}
    agent._command_run({"run_id": "run456", "program": sweep["program"], "args": cell})
    return found["command"], found["env"]


def test_file_is_in_wandbs_format():
    sweep = yaml.safe_load(FILE.read_text())
    known = {"name", "description", "program", "method", "metric", "parameters", "command", "run_cap"}
    assert set(sweep) <= known
    assert sweep["method"] in ("grid", "random", "bayes")
    assert sweep["metric"] == {"name": "val/accuracy", "goal": "maximize"}
    assert (FILE.parents[2] / sweep["program"]).is_file()
    weights = [0.1, 0.5, 1, 2, 10]
    assert sweep["parameters"]["mixkd.alpha_sm"] == sweep["parameters"]["mixkd.alpha_tmkd"] == {"values": weights}
    assert sweep["parameters"]["mixkd.ratio"] == {"values": [1, 2, 3]}
    rate = sweep["parameters"]["training.learning_rate"]
    assert rate["distribution"] == "log_uniform_values"
    assert 0 < rate["min"] < rate["max"] < 1
    assert set(sweep["parameters"]) == set(CELL)


def test_every_value_is_a_setting_that_kdlab_takes(lab: Lab, tmp_path: Path):
    parameters = yaml.safe_load(FILE.read_text())["parameters"]
    values = {name: about.get("values") or [about["min"], about["max"]] for name, about in parameters.items()}
    for i in range(max(map(len, values.values()))):
        chosen = {name: options[i % len(options)] for name, options in values.items()}
        words = [f"{name}={value}" for name, value in chosen.items()]
        done = lab.run(*lab.words(tmp_path, *words, "--print-config", method="mixkd"))
        assert done.code == 0, done.err
        printed = yaml.safe_load(done.out)
        for name, value in chosen.items():
            section, key = name.split(".")
            assert printed[section][key] == value


def test_agents_command(started):
    command, env = started
    words = [f"{name}={value}" for name, value in CELL.items()]
    run = ["python", "-m", "kdlab.run", "--method", "mixkd", "--task", "rte", "--logger", "wandb", *words]
    assert [word for word in command if word != "/usr/bin/env"] == run
    assert env["WANDB_RUN_ID"] == "run456"


@pytest.mark.full
def test_cell_runs_as_the_agent_runs_it(lab: Lab, tmp_path: Path, started):
    command, env = started
    out = tmp_path / "out"
    small = [str(word) for word in lab.words(out)]
    small = [*small[small.index("--data-dir") :], *command[-len(CELL) :]]  # the cell's words stay the last
    search = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # the agent starts `python`
    env = {**env, **OFFLINE, "WANDB_MODE": "offline", "KDLAB_CACHE": str(lab.cache), "PATH": search}
    done = subprocess.run(
        [*command, *small], env={**env, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    (folder,) = (path.parent for path in out.glob("mixkd-rte-local-s0-*/metrics.json"))
    config, lines, about = read_wandb(folder)
    assert (about["id"], about["sweep"]) == ("run456", "sweep123")
    assert {name: config[name] for name in CELL} == CELL  # as the sweep names them, and as kdlab took them
    assert (config["mixkd"]["alpha_sm"], config["mixkd"]["alpha_tmkd"], config["mixkd"]["ratio"]) == (0.5, 10.0, 2)
    assert config["training"]["learning_rate"] == 3.25e-05
    wanted = yaml.safe_load(FILE.read_text())["metric"]["name"]
    values = [line[wanted] for line in lines if wanted in line]
    assert values == [pytest.approx(metrics(folder)["selection"]["value"])]
