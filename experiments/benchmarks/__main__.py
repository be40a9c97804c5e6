"""``python -m experiments.benchmarks``: speed and memory as ratios of two things measured in turn in one run.

Everything runs alternately on the same machine, and the medians of the ratios are shown: a noisy machine moves both.
The table goes to standard output, the figures with machine and versions to a JSON file.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

# cases of `world.CASES` that are measured against a loop written by hand
AGAINST = ("finetune", "kd", "kd, dropout", "mixkd", "ad2", "ad2, own pass", "ad2, deep kd", "pkd", "tinybert_kd")
CYCLE = "mate_kd"  # against a loop with the structure of MATE-KD's public code, over a whole cycle
FILLED, REWARDED, PLAYED, ATTACKED = "masked lm", "l2a", "ganbert", "attacks"
# name: what must hold of the ratio
BOUNDS = {
    "speed": (">=", 0.95),
    "memory": ("<=", 1.1),
    "whole": (">=", 0.93),
    "cached kd": ("<=", 1.08),
    "ad2, shared pass": ("<=", 2.5),
    "ad2, own pass": ("<=", 2.9),
    "deep kd": ("<=", 1.35),
    "cycle": (">=", 1.7),
    "memory of a cycle": ("<=", 1.0),
    "student step": ("<=", 1.0),
    "padded to 128": (">=", 5.0),
    "no buckets": (">=", 1.5),
    "one word at a time": (">=", 8.0),
    "one word at a time, long": (">=", 6.0),
    "epoch of l2a": ("<=", 2.0),
    "reward": ("<=", 0.25),
    "step of ganbert": ("<=", 1.25),
    "memory of ganbert": ("<=", 1.15),
    "attack": (">=", 0.8),
    "passes": (">=", 0.7),
    "second victim": (">=", 1.5),
    "shown": (">=", 0.0),
    "memory of many": ("<=", 1.1),
}
WHOLE_RUN = 90.0  # CPU seconds
START = 1.5  # CPU seconds to the first step beyond the imports of torch, lightning and transformers' BERT


@dataclass
class Row:
    """One comparison.

    Attributes:
        what: In words; for speed and memory the case that is measured against its hand-written loop.
        bound: What the ratio must keep.
        ratio: Median over the rounds.
        low: Smallest of the rounds.
        high: Largest of the rounds.
        first: Median of what is above the line (samples/s, MiB or ms).
        second: Median of what is below it.
    """

    what: str
    bound: str
    ratio: float
    low: float
    high: float
    first: float
    second: float

    @property
    def held(self) -> bool:
        """Whether the bound is kept."""
        sign, limit = BOUNDS[self.bound]
        return self.ratio >= limit if sign == ">=" else self.ratio <= limit


def compare(what: str, bound: str, first: Callable[[], float], second: Callable[[], float], rounds: int) -> Row:
    """Measures two things in turn, changing who goes first."""
    pairs = []
    for number in range(rounds):
        if number % 2:
            b, a = second(), first()
        else:
            a, b = first(), second()
        pairs.append((a, b))
    ratios = [a / b for a, b in pairs]
    medians = [statistics.median(side) for side in zip(*pairs, strict=True)]
    row = Row(what, bound, statistics.median(ratios), min(ratios), max(ratios), *medians)
    print(f"{what}, {bound}: {_spread(row)}", file=sys.stderr, flush=True)
    return row


def check_losses(folder: Path, cases: Sequence[str]) -> dict[str, float]:
    """The largest difference between kdlab's loss and the hand-written loop's over 20 steps, for each case."""
    from experiments.benchmarks.world import run_kdlab, run_reference

    found = {}
    for method in (case for case in cases if not case.endswith(", dropout")):
        ours, theirs = run_kdlab(method, 20, False, folder).losses, run_reference(method, 20, False).losses
        found[method] = max(abs(a - b) for a, b in zip(ours, theirs, strict=True))
        if found[method] > 1e-5:
            raise SystemExit(f"{method}: losses differ by {found[method]:.2e}: the two loops do not do the same")
    return found


def peak_memory(side: str, method: str, steps: int, bf16: bool) -> float:
    """Largest resident memory of a process of its own that trains, in MiB."""
    command = [sys.executable, "-m", "experiments.benchmarks", "--one", side, method, str(steps), str(int(bf16))]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def one(side: str, method: str, steps: int, bf16: bool) -> None:
    """What ``peak_memory`` runs: both sides import the same, so that only the training differs."""
    from experiments.benchmarks.world import run_kdlab, run_reference

    with tempfile.TemporaryDirectory() as folder:
        if side == "kdlab":
            run_kdlab(method, steps, bf16, Path(folder))
        else:
            run_reference(method, steps, bf16)
    sys.stdout.write(f"{high_water()}\n")


def high_water() -> float:
    """Largest resident memory of this program so far, in MiB; ``ru_maxrss`` would count the process that forked it."""
    status = Path("/proc/self/status")
    if not status.is_file():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def trained(only: Sequence[str]) -> list[str]:
    """The cases with a loop by hand that are asked for, all where nothing is."""
    return [case for case in (*AGAINST, CYCLE) if not only or case in only]


def measure(rounds: int, steps: int, bf16: bool, folder: Path, only: list[str]) -> list[Row]:
    """Every comparison, or some of them."""
    from experiments.benchmarks.reference_text import N_G, N_S
    from experiments.benchmarks.whole import time_by_hand, time_kdlab
    from experiments.benchmarks.world import BATCH, run_forwards, run_kdlab, run_reference

    def a_step(case: str) -> float:  # in ms
        return 1000 * BATCH / run_kdlab(case, steps, bf16, folder).rate

    rows = []
    for case in trained(only):
        # a cycle is timed from the student's first batch to the generator's last in the next, when all is warm
        length, skip = (N_G + N_S + N_G, N_G - 1) if case == CYCLE else (steps, 3)
        bounds = ("cycle", "memory of a cycle") if case == CYCLE else ("speed", "memory")
        rows.append(
            compare(
                case,
                bounds[0],
                lambda m=case, n=length, s=skip: run_kdlab(m, n, bf16, folder, s).rate,
                lambda m=case, n=length, s=skip: run_reference(m, n, bf16, s).rate,
                rounds,
            )
        )
        rows.append(
            compare(
                case,
                bounds[1],
                lambda m=case: peak_memory("kdlab", m, steps, bf16),
                lambda m=case: peak_memory("reference", m, steps, bf16),
                1,
            )
        )
    if FILLED in only:
        rows += filled(rounds)
    if REWARDED in only:
        rows += rewarded(rounds, steps, bf16, folder)
    if PLAYED in only:
        rows += played(rounds, steps, bf16, folder)
    if ATTACKED in only:
        rows += attacked(rounds)
    if only:
        return rows
    rows.append(
        compare(
            "kd by hand / kd, time of 3 epochs with their validations",
            "whole",
            lambda: time_by_hand(steps, bf16),
            lambda: time_kdlab(steps, bf16, folder),
            rounds,
        )
    )
    for bound, slow, fast in (
        ("cached kd", "kd", "finetune"),
        ("ad2, shared pass", "ad2", "finetune"),
        ("ad2, own pass", "ad2, own pass", "finetune"),
    ):
        rows.append(
            compare(
                f"{slow} / {fast}, time of a step",
                bound,
                lambda m=slow: a_step(m),
                lambda m=fast: a_step(m),
                rounds,
            )
        )
    rows.append(
        compare(
            "kd with deep KD / kd by hand with an online teacher, time of a step",
            "deep kd",
            lambda: a_step("kd, deep kd"),
            lambda: 1000 * BATCH / run_reference("kd, online teacher", steps, bf16).rate,
            rounds,
        )
    )
    rows.append(
        compare(
            "student step of cilda / (2.3 kd + a forward pass of generator and teacher), time of a step",
            "student step",
            lambda: a_step("cilda, student steps"),
            lambda: 2.3 * a_step("kd") + run_forwards(steps, bf16),
            rounds,
        )
    )
    for bound, batching in (("padded to 128", "128"), ("no buckets", "dynamic")):
        rows.append(
            compare(
                f"finetune: kdlab's buckets / {bound}, samples/s",
                bound,
                lambda: run_kdlab("finetune", steps, bf16, folder).rate,
                lambda b=batching: run_reference("finetune", steps, bf16, batching=b).rate,
                rounds,
            )
        )
    rows += filled(rounds) + rewarded(rounds, steps, bf16, folder) + played(rounds, steps, bf16, folder)
    return rows + attacked(rounds)


def filled(rounds: int) -> list[Row]:
    """What a masked LM is asked by `kdlab augment` beside one word at a time."""
    from experiments.benchmarks.augmentation import in_batches, one_at_a_time

    rows = []
    for share, of, bound in ((0.0, "a word", "one word at a time"), (0.2, "a fifth", "one word at a time, long")):
        what = f"{of} of each sentence from a masked LM: kdlab's processes / one word at a time, words/s"
        sides = (functools.partial(side, share) for side in (in_batches, one_at_a_time))
        rows.append(compare(what, bound, *sides, rounds))
    return rows


def rewarded(rounds: int, steps: int, bf16: bool, folder: Path) -> list[Row]:
    """What `l2a` costs beside its loss on as many candidates, and what its rewards do."""
    from experiments.benchmarks.l2a import REWARD_ROWS, time_epoch, time_loss

    epochs: list[tuple[float, float]] = []

    def epoch() -> float:
        epochs.append(time_epoch(steps, bf16, folder))
        return epochs[-1][0]

    what = "an epoch of l2a / its loss by hand on as many candidates, time"
    rows = [compare(what, "epoch of l2a", epoch, lambda: time_loss(steps, bf16), rounds)]
    shares = [score / whole for whole, score in epochs]
    medians = [statistics.median(side) for side in zip(*epochs, strict=True)]
    what = f"rewards on {REWARD_ROWS} rows / an epoch of l2a, time"
    rows.append(Row(what, "reward", statistics.median(shares), min(shares), max(shares), medians[1], medians[0]))
    return rows


def played(rounds: int, steps: int, bf16: bool, folder: Path) -> list[Row]:
    """What `ganbert`'s game costs beside fine-tuning the same encoder in batches of the same size."""
    from experiments.benchmarks.world import run_kdlab

    def a_rate(case: str) -> float:
        return run_kdlab(case, steps, bf16, folder).rate

    what = "ganbert / finetune"
    speed = compare(
        f"{what}, time of a step", "step of ganbert", lambda: 1 / a_rate(PLAYED), lambda: 1 / a_rate("finetune"), rounds
    )
    sides = (functools.partial(peak_memory, "kdlab", case, steps, bf16) for case in (PLAYED, "finetune"))
    return [speed, compare(f"{what}, peak memory of a process", "memory of ganbert", *sides, 1)]


def attacked(rounds: int) -> list[Row]:
    """What attacks cost beside the passes of their models, and for a second victim; the memory of many."""
    from experiments.benchmarks.attacks import EXAMPLES, FEW, MANY, Asked, Ran, peak_memory, run_bare, run_engine
    from experiments.benchmarks.attacks import second_victim as run_second

    rows = []
    for recipe in EXAMPLES:
        asked, found = Asked(), [run_engine(recipe)]  # a first time, for what libraries make when they first meet it
        run_engine(recipe, asked=asked)

        def engine(name: str = recipe, runs: list[Ran] = found) -> float:
            runs.append(run_engine(name))
            return runs[-1].rate

        what = f"{recipe}: the engine / the bare passes, attacked examples/s"
        rows.append(compare(what, "attack", engine, functools.partial(run_bare, recipe, asked), rounds))
        shares = [run.passes for run in found[1:]]
        middle = statistics.median(shares)
        rows.append(Row(f"{recipe}: time in passes", "passes", middle, min(shares), max(shares), middle, 1.0))
        read = ", ".join(map(str, found[-1].read))
        print(f"{recipe}: {EXAMPLES[recipe]} examples, {found[-1].fooled} fooled; read by {read}", file=sys.stderr)
    for recipe in EXAMPLES:
        runs = [run_second(recipe) for _ in range(max(rounds // 2, 1))]
        bound = "second victim" if recipe == "bae" else "shown"
        rows.append(
            _ratio(f"{recipe}: second victim / first, attacked examples/s", bound, [(b, a) for a, b, _ in runs])
        )
        if recipe in ("bae", "textfooler"):
            what = f"{recipe}: second victim / the same with nothing known, attacked examples/s"
            rows.append(_ratio(what, "shown", [(b, c) for _, b, c in runs]))
            print(f"{recipe}, read by first, second, second alone: {[run.read for run in runs[0]]}", file=sys.stderr)
    what = f"peak MiB of TextFooler on {MANY:,} sentences / on {FEW}"
    rows.append(compare(what, "memory of many", lambda: peak_memory(MANY), lambda: peak_memory(FEW), 1))
    return rows


def _ratio(what: str, bound: str, pairs: Sequence[tuple[Any, Any]]) -> Row:
    """A comparison of rates that were measured together."""
    ratios, rates = [a.rate / b.rate for a, b in pairs], [(a.rate, b.rate) for a, b in pairs]
    medians = [statistics.median(side) for side in zip(*rates, strict=True)]
    return Row(what, bound, statistics.median(ratios), min(ratios), max(ratios), *medians)


def show(rows: list[Row]) -> None:
    """Prints one line a method, and below them what is compared besides."""
    print("| method | samples/s | of the hand-written loop's (lowest to highest) | peak MiB | of the loop's | |")
    print("|---|---|---|---|---|---|")
    for speed, memory in itertools.pairwise(rows):
        if speed.bound not in ("speed", "cycle"):
            continue
        print(
            f"| {speed.what} | {speed.first:.0f} | {_spread(speed)} | {memory.first:.0f} | {memory.ratio:.2f} "
            f"| {_state(speed)}{_state(memory)} |"
        )
    others = [row for row in rows if row.bound not in ("speed", "memory", "cycle", "memory of a cycle")]
    if not others:
        return
    print("\n| ratio | (lowest to highest) | wanted | |\n|---|---|---|---|")
    for row in others:
        print(f"| {row.what} | {_spread(row)} | {' '.join(map(str, BOUNDS[row.bound]))} | {_state(row)} |")


def _spread(row: Row) -> str:
    return f"{row.ratio:.2f} ({row.low:.2f} to {row.high:.2f})"


def _state(row: Row) -> str:
    sign, limit = BOUNDS[row.bound]
    return "" if row.held else f"BROKEN: {sign} {limit} "


def main() -> int:
    """Measures, prints the table, writes the JSON file; 1 where a bound is broken."""
    parser = argparse.ArgumentParser(prog="python -m experiments.benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--precision", choices=("32", "bf16"), default="32")
    parser.add_argument("--json", type=Path, default=Path("runs/benchmarks.json"))
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        choices=(*AGAINST, CYCLE, FILLED, REWARDED, PLAYED, ATTACKED),
        help="this case alone; repeatable",
    )
    parser.add_argument("--one", nargs=4, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        side, method, steps, bf16 = arguments.one
        one(side, method, int(steps), bool(int(bf16)))
        return 0
    import torch

    from experiments.benchmarks.hooks import LARGEST, measure_hooks
    from experiments.benchmarks.startup import beyond_imports, measure_startup, measure_whole
    from kdlab.results.record import environment
    from kdlab.system.quiet import quiet_libraries

    quiet_libraries()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        also = [] if arguments.only else [f"{CYCLE}, two cycles"]
        differences = check_losses(folder, [*trained(arguments.only), *also])
        rows = measure(arguments.rounds, arguments.steps, arguments.precision == "bf16", folder, arguments.only)
        hooks = {} if arguments.only else measure_hooks(folder)
        startup, whole = ({}, 0.0) if arguments.only else (measure_startup(folder), measure_whole(folder))
    print(f"{platform.machine()}, {torch.get_num_threads()} threads, precision {arguments.precision}, load", end=" ")
    print(" ".join(f"{x:.1f}" for x in os.getloadavg()))
    print("losses over 20 steps differ by at most", ", ".join(f"{m} {d:.1e}" for m, d in differences.items()))
    show(rows)
    if hooks:
        shown = ", ".join(f"{case} {ms:.2f}" for case, ms in hooks.items())
        print(f"\nPython time of the hooks, ms a step: {shown} (wanted: at most {LARGEST})")
    if startup:
        print("\nCPU seconds from the command to its first training step, everything cached:")
        for stage, seconds in startup.items():
            print(f"  {seconds:6.2f}  {stage}")
        print(f"  {beyond_imports(startup):6.2f}  beyond the imports of the libraries (wanted: at most {START})")
        print(f"CPU seconds of the whole run with a cached teacher: {whole:.1f} (wanted: at most {WHOLE_RUN:.0f})")
    content = {
        "environment": environment(f"{torch.get_num_threads()} threads"),
        "precision": arguments.precision,
        "loss differences": differences,
        "ms a step in hooks": hooks,
        "CPU seconds to the first step": startup,
        "CPU seconds of a run with a cached teacher": whole,
        "rows": [{**asdict(row), "held": row.held} for row in rows],
    }
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    arguments.json.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    print(f"JSON: {arguments.json}")
    quick = not startup or beyond_imports(startup) <= START
    kept = (
        quick and all(row.held for row in rows) and whole <= WHOLE_RUN and all(ms <= LARGEST for ms in hooks.values())
    )
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
