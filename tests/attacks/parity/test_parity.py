"""Attacks in ``compat`` mode are TextAttack's, example by example: see the package's docstring for how to run this."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from attacks.parity.kdlab_side import kdlab_side
from attacks.parity.tiny import make_masked_lm, make_sentence_encoder

RECIPES = ("textfooler", "bae", "deepwordbug", "pruthi")
SENTENCES = 872  # of SST-2 dev: all
WITH_ENCODER = 150  # sentences that are compared through a sentence encoder too, each as long as its window
WINDOW = 15  # words
REAL = 100  # sentences that real models are attacked with
NOISE, TRIES = 1e-5, 20  # half-width; runs with noise in which a difference may vanish
SUCCESS = (0.2, 0.8)  # shares between which a recipe's successes must lie, else the test shows little
SIDE = Path(__file__).with_name("textattack_side.py")
NEEDED = ("KDLAB_TEXTATTACK", "KDLAB_GLUE", "KDLAB_RESOURCES")
MODELS = ("KDLAB_VICTIM", "KDLAB_MASKED_LM", "KDLAB_SENTENCE_ENCODER")

Outcome = dict[str, Any]
Job = dict[str, Any]


def _missing(names: tuple[str, ...]) -> str:
    return ", ".join(name for name in names if not os.environ.get(name))


pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        bool(_missing(NEEDED)), reason=f"not set: {_missing(NEEDED)}; see tests/attacks/parity/__init__.py"
    ),
]


@dataclass
class Compared:
    """Both sides' outcomes of one recipe."""

    recipe: str
    theirs: list[Outcome]
    ours: list[Outcome]
    their_seconds: float
    our_seconds: float

    @property
    def different(self) -> list[int]:
        """Places of examples that differ in status, text or queries."""
        return [place for place, pair in enumerate(zip(self.theirs, self.ours, strict=True)) if not alike(*pair)]

    @property
    def success(self) -> float:
        """Successes among the examples that TextAttack attacked."""
        count = Counter(outcome["status"] for outcome in self.theirs)
        return count["succeeded"] / max(1, count["succeeded"] + count["failed"])

    def row(self) -> str:
        """A line of the table."""
        attacked = sum(outcome["status"] != "skipped" for outcome in self.theirs)
        equal = len(self.theirs) - len(self.different)
        return (
            f"| {self.recipe} | {len(self.theirs)} | {attacked} | {self.success:.1%} | {equal} | "
            f"{self.their_seconds:.0f} | {self.our_seconds:.0f} |"
        )


HEAD = (
    "| recipe | examples | attacked | succeeded | the same | TextAttack, s | kdlab, s |\n|---|---|---|---|---|---|---|"
)


def alike(theirs: Outcome, ours: Outcome) -> bool:
    """Whether an example has the same status, text and count of queries."""
    return all(theirs[name] == ours[name] for name in ("id", "status", "text", "queries"))


def dev_sentences() -> list[tuple[str, int]]:
    """SST-2's, as the file has them: with the blank at their end."""
    with (Path(os.environ["KDLAB_GLUE"]) / "SST-2" / "dev.tsv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE))[1:]
    return [(text, int(label)) for text, label in rows]


def run_textattack(job: Job, folder: Path) -> tuple[list[Outcome], float]:
    """TextAttack's outcomes of a job of one recipe, and the seconds of its loop."""
    (recipe,) = job["recipes"]
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "job.json"
    file.write_text(json.dumps(job), encoding="utf-8")
    command = [os.environ["KDLAB_TEXTATTACK"], str(SIDE), str(file), str(folder)]
    env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": ""}
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stderr[-3000:]
    lines = (folder / f"{recipe}.jsonl").read_text(encoding="utf-8").splitlines()
    seconds = json.loads((folder / "seconds.json").read_text(encoding="utf-8"))[recipe]["seconds"]
    return [json.loads(line) for line in lines], float(seconds)


def compare(job: Job, folder: Path) -> Compared:
    """Both sides' outcomes."""
    theirs, their_seconds = run_textattack(job, folder)
    started = time.perf_counter()
    ours = kdlab_side(job)
    seconds = time.perf_counter() - started
    assert len(ours) == len(theirs) == len(job["texts"])
    return Compared(job["recipes"][0], theirs, ours, their_seconds, seconds)


def say(compared: Compared, job: Job, more: str = "") -> None:
    """Prints a table, and the first differences; seen with ``-s``, or where the test fails."""
    lines = [f"\n{HEAD}\n{compared.row()}"]
    for place in compared.different[:10]:
        lines.append(f"{job['texts'][place]!r}, {job['labels'][place]}")
        lines += [f"  TextAttack: {compared.theirs[place]}", f"  kdlab:      {compared.ours[place]}"]
    sys.stdout.write("\n".join([*lines, more, ""]))


def check_success(compared: Compared) -> None:
    """A victim that always or never falls shows little."""
    least, most = SUCCESS
    assert least <= compared.success <= most
    assert not [outcome for outcome in compared.theirs if outcome["status"] == "error"]


@pytest.fixture(scope="module")
def small_job(tmp_path_factory) -> Job:
    """A job for the small victim and tiny models, whose recipe is not chosen yet."""
    folder, resources = tmp_path_factory.mktemp("tiny"), Path(os.environ["KDLAB_RESOURCES"]).resolve()
    for make, name in ((make_masked_lm, "masked_lm"), (make_sentence_encoder, "sentence_encoder")):
        make(folder / name, resources / "bert-base-uncased-vocab.txt")
    rows = dev_sentences()
    return {
        "texts": [text for text, _ in rows],
        "labels": [label for _, label in rows],
        "seed": 0,
        "neighbours": str(resources / "counterfitted_neighbors.json"),
        "nltk_data": str(resources / "nltk"),
        "masked_lm": str(folder / "masked_lm"),
        "sentence_encoder": None,
        "tiny_encoder": str(folder / "sentence_encoder"),
        "victim": "small",
        "victim_train": str(Path(os.environ["KDLAB_GLUE"]).resolve() / "SST-2" / "train.tsv"),
        "double": True,
        "mend_padding": True,
    }


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_sentence_of_sst2_dev(recipe: str, small_job: Job, tmp_path: Path):
    assert len(small_job["texts"]) == SENTENCES
    job = {**small_job, "recipes": [recipe]}
    compared = compare(job, tmp_path)
    say(compared, job)
    assert not compared.different
    check_success(compared)


@pytest.mark.parametrize("recipe", ["textfooler", "bae"])
def test_with_a_sentence_encoder(recipe: str, small_job: Job, tmp_path: Path):
    """Windows, what is compared with what, and the most similar success: what sentences longer than a window show."""
    long = [place for place, text in enumerate(small_job["texts"]) if len(text.split()) >= WINDOW + 5][:WITH_ENCODER]
    job = {
        **small_job,
        "ids": long,
        "texts": [small_job["texts"][place] for place in long],
        "labels": [small_job["labels"][place] for place in long],
        "sentence_encoder": small_job["tiny_encoder"],
        "recipes": [recipe],
    }
    compared = compare(job, tmp_path)
    say(compared, job)
    assert not compared.different
    check_success(compared)


def unexplained(compared: Compared, job: Job) -> list[int]:
    """Places that differ, and still do where logits and similarities move by less than ``NOISE``."""
    left = compared.different
    for seed in range(TRIES):
        if not left:
            break
        again = {
            **job,
            "ids": left,
            "texts": [job["texts"][place] for place in left],
            "labels": [job["labels"][place] for place in left],
            "noise": NOISE,
            "noise_seed": seed,
        }
        left = [
            place
            for place, ours in zip(left, kdlab_side(again), strict=True)
            if not alike(compared.theirs[place], ours)
        ]
    return left


@pytest.mark.skipif(bool(_missing(MODELS)), reason=f"not set: {_missing(MODELS)}")
@pytest.mark.parametrize("recipe", RECIPES)
def test_real_models(recipe: str, small_job: Job, tmp_path: Path):
    """In float32 batches decide last digits: differences stand only where a margin is below them."""
    victim, masked_lm, encoder = (str(Path(os.environ[name]).resolve()) for name in MODELS)
    job = {
        **small_job,
        "texts": small_job["texts"][:REAL],
        "labels": small_job["labels"][:REAL],
        "victim": victim,
        "masked_lm": masked_lm,
        "sentence_encoder": encoder,
        "double": False,
        "recipes": [recipe],
    }
    compared = compare(job, tmp_path)
    left = unexplained(compared, job)
    say(compared, job, f"{len(compared.different)} differ, of which {len(left)} by more than {NOISE:g}: {left}")
    assert not left
