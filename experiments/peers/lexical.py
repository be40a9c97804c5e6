"""``python -m experiments.peers.lexical --python ENV/bin/python``: lexical augmenters beside TextAttack's, in turn.

Both sides read the same sentences of SST-2, the same WordNet, neighbours and stop words, and change the same share of
the words. kdlab's figure is the wall time of a whole ``kdlab augment`` with one worker, its start and its file
included; TextAttack's is that of its loop alone.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from kdlab.data.augmented import read_table

AUGMENTERS = ("eda", "wordnet", "synonym_insertion", "embedding")
LEAST = 5.0  # times TextAttack's speed
SIDE = Path(__file__).with_name("textattack_side.py")


def run_kdlab(name: str, folder: Path, arguments: argparse.Namespace) -> float:
    """New sentences a second."""
    out = folder / f"{name}.parquet"
    out.unlink(missing_ok=True)
    words = ["--task", "sst2", "--data-dir", str(folder), "--with", name, "-n", str(arguments.copies)]
    words += ["--resources", str(arguments.resources), "--workers", "1", "--no-teacher", "--out", str(out)]
    started = time.perf_counter()
    subprocess.run([sys.executable, "-m", "kdlab", "augment", *words], check=True, capture_output=True)
    seconds = time.perf_counter() - started
    return int(read_table(out)[0].num_rows) / seconds


def run_textattack(name: str, folder: Path, arguments: argparse.Namespace) -> float:
    """New sentences a second."""
    sentences, resources, copies = folder / "sentences.txt", arguments.resources.resolve(), str(arguments.copies)
    command = [arguments.python, str(SIDE), name, str(sentences), str(resources), copies, str(folder / "out.txt")]
    env = {**os.environ, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=env)
    if done.returncode:
        raise SystemExit(f"TextAttack ended with code {done.returncode}:\n{done.stderr[-3000:]}")
    said = json.loads(done.stdout.splitlines()[-1])
    return float(said["made"] / said["seconds"])


def write_sentences(data: Path, folder: Path, count: int) -> None:
    """The first sentences of SST-2, as GLUE has them and a line each."""
    lines = (data / "SST-2" / "train.tsv").read_text(encoding="utf-8").split("\n")
    (folder / "SST-2").mkdir()
    (folder / "SST-2" / "train.tsv").write_text("\n".join(lines[: count + 1]) + "\n", encoding="utf-8")
    (folder / "SST-2" / "dev.tsv").write_text((data / "SST-2" / "dev.tsv").read_text(encoding="utf-8"))
    (folder / "SST-2" / "test.tsv").write_text((data / "SST-2" / "test.tsv").read_text(encoding="utf-8"))
    texts = [line.split("\t")[0] for line in lines[1 : count + 1]]
    (folder / "sentences.txt").write_text("\n".join(texts) + "\n", encoding="utf-8")


def main() -> int:
    """Prints the table; 1 where kdlab is not fast enough."""
    parser = argparse.ArgumentParser(prog="python -m experiments.peers.lexical", description=__doc__)
    parser.add_argument("--python", required=True, help="of an environment with TextAttack")
    parser.add_argument("--data-dir", type=Path, required=True, help="GLUE's folder, with SST-2")
    parser.add_argument(
        "--resources", type=Path, required=True, help="see docs/augmentation.md; all of them are needed"
    )
    parser.add_argument("--sentences", type=int, default=20_000)
    parser.add_argument("--copies", type=int, default=2)
    arguments = parser.parse_args()
    slow = False
    print("| augmenter | kdlab, sentences/s | TextAttack, sentences/s | ratio |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_sentences(arguments.data_dir, folder, arguments.sentences)
        for augmenter in AUGMENTERS:
            ours, theirs = run_kdlab(augmenter, folder, arguments), run_textattack(augmenter, folder, arguments)
            slow |= ours < LEAST * theirs
            print(f"| `{augmenter}` | {ours:,.0f} | {theirs:,.0f} | {ours / theirs:.1f} |", flush=True)
    print(f"wanted: at least {LEAST:.0f} times; {arguments.sentences:,} sentences, {arguments.copies} copies of each")
    return int(slow)


if __name__ == "__main__":
    sys.exit(main())
