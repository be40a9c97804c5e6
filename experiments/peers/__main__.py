"""``python -m experiments.peers --python ENV/bin/python``: whole processes in turn, medians over the rounds.

kdlab trains ``kd`` on SST-2 with a teacher and its answers in the cache; the others ask the same teacher in every step.
All sides train the same rows for the same epochs and answer the hold-out in each epoch, then rows of train, dev and
test. kdlab answers the last three in fp32 whatever the precision of its training, and writes a record besides.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

EPOCHS = 2
BOUNDS = {"speed": 1.25, "wall": 0.8, "textbrewer": 10.0}
LOOPS = Path(__file__).with_name("loops.py")


@dataclass(frozen=True)
class Measured:
    """One process: samples a second of its training, wall and CPU seconds of all of it."""

    rate: float
    wall: float
    cpu: float


def spent(command: list[str], env: dict[str, str]) -> tuple[str, float, float]:
    """Standard output, wall and CPU seconds of a process."""
    before, started = _children(), time.perf_counter()
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    wall = time.perf_counter() - started
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} ended with code {done.returncode}:\n{done.stderr[-3000:]}")
    return done.stdout, wall, _children() - before


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def run_kdlab(words: list[str], folder: Path, env: dict[str, str]) -> Measured:
    """A whole run of kdlab."""
    command = [sys.executable, "-m", "kdlab", "run", *words, "--fresh", "--out", str(folder)]
    _, wall, cpu = spent(command, env)
    newest = max(folder.glob("*/metrics.json"), key=lambda file: file.stat().st_mtime_ns)
    record = json.loads(newest.read_text(encoding="utf-8"))
    trained = EPOCHS * _rows(folder.parent / "shared" / "train.jsonl")
    return Measured(trained / record["training"]["seconds"], wall, cpu)


def _rows(file: Path) -> int:
    return len(file.read_text(encoding="utf-8").splitlines())


def run_peer(python: str, side: str, shared: Path, env: dict[str, str], **settings: Any) -> Measured:
    """A process of another side."""
    found, wall, cpu = spent([python, str(LOOPS), side, str(shared), json.dumps(settings)], env)
    return Measured(json.loads(found.splitlines()[-1])["rate"], wall, cpu)


def main(argv: list[str] | None = None) -> int:
    """Measures, prints a table in Markdown, and says which bounds are kept."""
    parser = argparse.ArgumentParser(prog="python -m experiments.peers", description=__doc__)
    parser.add_argument("--python", required=True, help="interpreter of the others' environment")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=8, help="steps of what is padded to 128 (default: 8)")
    parser.add_argument("--data-dir", help="folder in the GLUE layout; the embedded corpus unless given")
    parser.add_argument("--teacher", help="checkpoint that the teacher starts from; the embedded one unless given")
    parser.add_argument("--limit-train", default="2000")
    parser.add_argument("--bf16-only", action="store_true", help="whole processes in bf16 alone")
    asked = parser.parse_args(argv)
    words = ["--method", "kd", "--task", "sst2", "--limit-train", asked.limit_train, "--accelerator", "cpu"]
    words += ["--data-dir", asked.data_dir] if asked.data_dir else ["--profile", "embedded"]
    words += ["--teacher", asked.teacher] if asked.teacher else []
    words += ["--student", "layers:bottom:3", f"training.epochs={EPOCHS}", "training.learning_rate=5e-5"]
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        env = {**os.environ, "KDLAB_CACHE": str(root / "cache"), "HF_HUB_OFFLINE": "1", "OMP_WAIT_POLICY": "PASSIVE"}
        rows = measure(asked, words, root, env)
    return show(rows)


def measure(asked: argparse.Namespace, words: list[str], root: Path, env: dict[str, str]) -> dict[str, list[Measured]]:
    """Every side in turn, round for round; of what is padded to 128 some steps alone."""
    from kdlab.pipeline.context import ON_TRAIN

    shared = root / "shared"
    precisions = {"bf16": "bf16"} if asked.bf16_only else {"fp32": "32", "bf16": "bf16"}
    settings = dict(zip(("method", "task", "data.limit_train", "accelerator"), words[1:8:2], strict=True))
    settings |= {"data.dir": asked.data_dir} if asked.data_dir else {"profile": "embedded"}
    settings |= {"teacher.source": asked.teacher} if asked.teacher else {}
    settings |= {"student.source": "layers:bottom:3", "precision": "32"}
    spent([sys.executable, "-m", "experiments.peers.prepare", str(shared), json.dumps(settings)], env)
    for precision in precisions.values():
        run_kdlab([*words, "--precision", precision], root / "first", env)  # fills the cache
    whole = {"epochs": EPOCHS, "steps": -1, "judged": ON_TRAIN}
    sides: dict[str, Callable[[], Measured]] = {}
    for name, precision in precisions.items():
        sides[f"kdlab, {name}"] = lambda p=precision: run_kdlab([*words, "--precision", p], root / "runs", env)
        for batches in ("dynamic", "grouped"):
            sides[f"Trainer, {batches}, {name}"] = lambda b=batches, n=name: run_peer(
                asked.python, "trainer", shared, env, batches=b, bf16=n == "bf16", **whole
            )
    short = {"epochs": 1, "steps": asked.steps}
    if not asked.bf16_only:
        sides["Trainer, padded to 128, fp32"] = lambda: run_peer(
            asked.python, "trainer", shared, env, batches="128", bf16=False, **short
        )
        sides["TextBrewer, its defaults, fp32"] = lambda: run_peer(asked.python, "textbrewer", shared, env, **short)
    return take_turns(sides, asked.rounds)


def take_turns(sides: dict[str, Callable[[], Measured]], rounds: int) -> dict[str, list[Measured]]:
    """Every side once a round, in reverse every other time."""
    found: dict[str, list[Measured]] = {name: [] for name in sides}
    for number in range(rounds):
        names = list(sides) if number % 2 == 0 else list(reversed(sides))
        for name in names:
            one = sides[name]()
            found[name].append(one)
            print(
                f"{name}: {one.rate:.1f} samples/s, {one.wall:.1f} s, {one.cpu:.1f} CPU-s", file=sys.stderr, flush=True
            )
    return found


def median(measured: list[Measured], what: str) -> float:
    """Of one figure over the rounds."""
    return statistics.median(getattr(one, what) for one in measured)


def show(rows: dict[str, list[Measured]]) -> int:
    """The table and the bounds; 1 where one is broken."""
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}\n")
    print("| | training, samples/s | process, wall s | CPU s |\n|---|---|---|---|")
    for name, measured in rows.items():
        whole = "128" not in name and "TextBrewer" not in name
        process = f"{median(measured, 'wall'):.1f} | {median(measured, 'cpu'):.1f}" if whole else "– | –"
        spread = f"{min(m.rate for m in measured):.1f} to {max(m.rate for m in measured):.1f}"
        print(f"| {name} | {median(measured, 'rate'):.1f} ({spread}) | {process} |")
    checks = []
    for precision in ("fp32", "bf16"):
        if f"kdlab, {precision}" not in rows:
            continue
        ours = rows[f"kdlab, {precision}"]
        peers = [name for name in rows if name.startswith("Trainer") and name.endswith(precision)]
        fastest = max(median(rows[name], "rate") for name in peers)
        quickest = min(median(rows[name], "wall") for name in peers if "128" not in name)
        checks.append((f"speed, {precision}", median(ours, "rate") / fastest, ">=", BOUNDS["speed"]))
        checks.append((f"wall, {precision}", median(ours, "wall") / quickest, "<=", BOUNDS["wall"]))
    if "TextBrewer, its defaults, fp32" in rows:
        brewed = median(rows["kdlab, fp32"], "rate") / median(rows["TextBrewer, its defaults, fp32"], "rate")
        checks.append(("TextBrewer, fp32", brewed, ">=", BOUNDS["textbrewer"]))
    broken = 0
    for what, ratio, sign, bound in checks:
        held = ratio >= bound if sign == ">=" else ratio <= bound
        broken += not held
        print(f"{'held' if held else 'BROKEN'}: {what} {ratio:.2f} ({sign} {bound})")
    return int(broken > 0)


if __name__ == "__main__":
    sys.exit(main())
