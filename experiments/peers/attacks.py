"""``python -m experiments.peers.attacks --python ENV/bin/python``: attacks beside TextAttack's, in turn.

Both sides attack the same sentences of SST-2's dev with the same victim, masked LM, sentence encoder, neighbours,
tagger and stop words, draw typing errors alike, and have as many threads. kdlab attacks in ``compat``, so that both do
the same work; how many examples end alike is shown. Loading and a first example are timed on neither side. TextAttack
pads what victim and masked LM read to 512 tokens; that is mended, and for a few sentences left as it is.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kdlab.attacks import load_recipe
from kdlab.attacks.engine import Models
from kdlab.attacks.kit import MASKED_LM, SENTENCE_ENCODER, kit_for
from kdlab.attacks.masked_words import MaskedWords
from kdlab.attacks.sentences import SentenceEncoder
from kdlab.attacks.store import Store
from kdlab.attacks.study import Target, run_study
from kdlab.attacks.victim import EncoderVictim
from kdlab.models.checkpoint import load_encoder, resolve_checkpoint
from kdlab.models.generator import load_masked_lm
from kdlab.models.sentences import load_sentence_model
from kdlab.system.cache import Cache
from kdlab.system.draw import Draw
from kdlab.system.memory import keep_freed_memory
from kdlab.system.quiet import quiet_libraries
from kdlab.transformations.resources import Resources
from kdlab.transformations.tagger import UNIVERSAL

WANTED = {"textfooler": 3.0, "bae": 6.0, "deepwordbug": 2.0, "pruthi": 1.3}
"""Times TextAttack's speed with its padding mended."""
LABELS = ("negative", "positive")
LENGTH = 128
SIDE = Path(__file__).with_name("textattack_attacks.py")
WARM = ("the film is a warm and rather funny one , but its many jokes are all too long", 1)
Job = dict[str, Any]
"""Recipe, examples (number, text, label), seed, threads, folders, and ``stretches``: a name and how many examples."""


def examples_of(data: Path, count: int, seed: int) -> list[tuple[int, str, int]]:
    """Sentences of SST-2's dev, drawn by chance, with their numbers and labels."""
    lines = (data / "SST-2" / "dev.tsv").read_text(encoding="utf-8").split("\n")[1:]
    rows = [line.rsplit("\t", 1) for line in lines if line]
    return [(i, rows[i][0], int(rows[i][1])) for i in Draw(f"peers {seed}").some(range(len(rows)), count)]


def kdlab_side(job: Job, out: Path) -> None:
    """What kdlab does, in a process of its own."""
    import torch

    quiet_libraries()
    keep_freed_memory()  # as the command does
    torch.set_num_threads(job["threads"])
    kind, compat = load_recipe(job["recipe"]), job["mode"] == "compat"
    one = resolve_checkpoint(job["victim"], offline=True)
    victim = EncoderVictim(load_encoder(one, LABELS, list(range(len(LABELS))), 0), LABELS, one.tokenizer, LENGTH)

    def models(folder: Path) -> Models:
        """With nothing known of masked LM and sentence encoder, which are kept as `kdlab attack` keeps them."""
        words = sentences = None
        if MASKED_LM in kind.needs:
            lm = resolve_checkpoint(job["masked_lm"], offline=True)
            words = MaskedWords(load_masked_lm(lm, 0), LENGTH, compat, store=_store(folder / "words"))
        if SENTENCE_ENCODER in kind.needs:
            encoder = resolve_checkpoint(job["sentence_encoder"], offline=True)
            store = _store(folder / "sentences")
            sentences = SentenceEncoder(load_sentence_model(encoder), encoder.tokenizer, LENGTH, store=store)
        return Models(victim, words, sentences)

    def attacked(examples: Sequence[Any], own: Models) -> list[Any]:
        targets = [Target(i, (text,), label) for i, text, label in examples]
        kit = kit_for(job["recipe"], kind.needs, [target.texts for target in targets], resources, columns=("sentence",))
        return list(run_study(targets, kind().build(kit), own, job["seed"], job["mode"]))

    made = {}
    with tempfile.TemporaryDirectory() as name:
        resources = Resources(job["resources"], Cache(Path(name) / "cache"))
        for stretch, count in job["stretches"].items():
            own = models(Path(name) / stretch)
            examples = job["examples"][:count]
            attacked([(-1, *WARM)], own)
            started = time.perf_counter(), time.process_time()
            found = attacked(examples, own)
            wall, cpu = time.perf_counter() - started[0], time.process_time() - started[1]
            rows = [[o.id, o.status, o.attacked[0], o.queries] for o in found]
            made[stretch] = {"seconds": wall, "cpu": cpu, "outcomes": sorted(rows)}
    out.write_text(json.dumps(made), encoding="utf-8")


def _store(folder: Path) -> Store:
    folder.mkdir(parents=True)
    return Store(folder)


def run(command: list[str], job: Job, folder: Path) -> dict[str, Any]:
    """What a side writes."""
    file, out = folder / "job.json", folder / "out.json"
    file.write_text(json.dumps(job), encoding="utf-8")
    out.unlink(missing_ok=True)
    threads = str(job["threads"])
    env = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": threads, "RAYON_NUM_THREADS": threads}
    done = subprocess.run([*command, str(file), str(out)], check=False, capture_output=True, text=True, env=env)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} ended with code {done.returncode}:\n{done.stderr[-3000:]}")
    return dict(json.loads(out.read_text(encoding="utf-8")))


def main() -> int:
    """Prints the table; 1 where kdlab is not fast enough."""
    if sys.argv[1:2] == ["--kdlab"]:
        kdlab_side(json.loads(Path(sys.argv[2]).read_text(encoding="utf-8")), Path(sys.argv[3]))
        return 0
    parser = argparse.ArgumentParser(prog="python -m experiments.peers.attacks", description=__doc__)
    parser.add_argument("--python", required=True, help="of an environment with TextAttack")
    parser.add_argument("--data-dir", type=Path, required=True, help="GLUE's folder, with SST-2")
    parser.add_argument("--resources", type=Path, required=True, help="neighbours, tagger, stop words: docs/attacks.md")
    parser.add_argument("--victim", required=True, help="folder of a classifier of SST-2, negative first")
    parser.add_argument("--masked-lm", required=True, help="folder of a masked LM with its head")
    parser.add_argument("--sentence-encoder", required=True, help="folder of a BERT-like model")
    parser.add_argument("--sentences", type=int, default=40, help="that both sides attack")
    parser.add_argument("--shipped", type=int, default=10, help="of these, for TextAttack's own padding; 0 for none")
    parser.add_argument("--recipes", nargs="+", default=list(WANTED), choices=list(WANTED))
    parser.add_argument("--mode", default="compat", choices=("compat", "fixed"), help="kdlab's")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, default=Path("runs/peers-attacks.json"))
    arguments = parser.parse_args()
    slow, figures = False, {}
    columns = ["recipe", "kdlab, examples/s", "TextAttack, padding mended", "ratio (wanted)", "of CPU time"]
    columns += [f"of {arguments.shipped} examples: kdlab", "TextAttack as shipped", "ratio", "end alike"]
    print(f"| {' | '.join(columns)} |\n{'|---' * len(columns)}|", flush=True)
    with tempfile.TemporaryDirectory() as name:
        for recipe in arguments.recipes:
            job: Job = {
                "recipe": recipe,
                "examples": examples_of(arguments.data_dir, arguments.sentences, arguments.seed),
                "stretches": {"mended": arguments.sentences, "shipped": arguments.shipped},
                "seed": arguments.seed,
                "mode": arguments.mode,
                "threads": arguments.threads,
                "resources": str(arguments.resources.resolve()),
                "tagset": "".join(f"{penn}\t{universal}\n" for penn, universal in UNIVERSAL.items()),
                "victim": arguments.victim,
                "masked_lm": arguments.masked_lm,
                "sentence_encoder": arguments.sentence_encoder,
            }
            if not arguments.shipped:
                del job["stretches"]["shipped"]
            ours = run([sys.executable, "-m", "experiments.peers.attacks", "--kdlab"], job, Path(name))
            theirs = run([arguments.python, str(SIDE)], job, Path(name))
            rates = {
                stretch: [count / side[stretch]["seconds"] for side in (ours, theirs)]
                for stretch, count in job["stretches"].items()
            }
            found = [{row[0]: row[1:] for row in side["mended"]["outcomes"]} for side in (ours, theirs)]
            alike = sum(found[0][i] == found[1][i] for i in found[0])
            cpu = [side["mended"]["cpu"] / arguments.sentences for side in (ours, theirs)]
            figures[recipe] = {"examples/s": rates, "CPU seconds an example": cpu, "alike": alike}
            first, second = rates["mended"]
            slow |= first < WANTED[recipe] * second
            cells = [f"`{recipe}`", f"{first:.2f}", f"{second:.2f}", f"{first / second:.2f} ({WANTED[recipe]:.1f})"]
            cells.append(f"{cpu[1] / cpu[0]:.2f}")
            if "shipped" in rates:
                first, second = rates["shipped"]
                cells += [f"{first:.2f}", f"{second:.3f}", f"{first / second:.1f}"]
            else:
                cells += ["–"] * 3
            print(f"| {' | '.join(cells)} | {alike} of {arguments.sentences} |", flush=True)
    print(f"{arguments.threads} threads, load {' '.join(f'{x:.1f}' for x in os.getloadavg())}")
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    arguments.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    return int(slow)


if __name__ == "__main__":
    sys.exit(main())
