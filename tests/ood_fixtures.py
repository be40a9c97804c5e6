"""Out-of-domain sets of a few examples, one finished run a task, and what such a run's folder holds."""

import json
from pathlib import Path

import pytest
from cli_fixtures import NLI, Lab, pairs, write_tsv

HEURISTICS = ("lexical_overlap", "subsequence", "constituent")
SETS = {"mnli": ["hans", "scitail"], "rte": ["hans", "scitail"], "qqp": ["paws_wiki", "paws_qqp"], "sst2": ["imdb"]}


def write_sets(root: Path) -> Path:
    """A few examples of every set, in the words that the tiny checkpoint knows."""
    rows = pairs(60, NLI, 11)
    hans = [["gold_label", "sentence1", "sentence2", "pairID", "heuristic"]]
    for i, (one, two, label) in enumerate(rows):
        gold = "entailment" if label == "entailment" else "non-entailment"
        hans.append([gold, one, two, f"ex{i}", HEURISTICS[i // 3 % 3]])
    write_tsv(root / "ood/hans/evaluation.tsv", hans)
    folder = root / "domain/scitail"
    folder.mkdir(parents=True)
    lines = [{"premise": a, "hypothesis": b, "label": "entailment" if i % 3 == 0 else "not_entailment"}
             for i, (a, b, _) in enumerate(rows)]  # fmt: skip
    (folder / "test.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (root / "ood/paws_wiki").mkdir()
    csv = "".join(f'{i},"{a}","{b}",{i % 2}\n' for i, (a, b, _) in enumerate(rows))
    (root / "ood/paws_wiki/test.csv").write_text(",sentence1,sentence2,label\n" + csv)
    body = [[i, f"b'{a}'", f'b"{b}"', i % 2] for i, (a, b, _) in enumerate(rows)]
    write_tsv(root / "ood/paws_qqp/dev_and_test.tsv", [["id", "sentence1", "sentence2", "label"], *body])
    (root / "ood/imdb").mkdir()
    texts = [{"text": " ".join(row[0] for row in rows[: 1 + i]), "label": i % 2} for i in range(30)]
    (root / "ood/imdb/test_2000.jsonl").write_text("".join(json.dumps(line) + "\n" for line in texts))
    return root


def open_sets(factory: pytest.TempPathFactory) -> Path:
    """The folder for ``--ood-dir``, made once a session."""
    root = factory.getbasetemp() / "sets"
    return root if root.exists() else write_sets(root)


def open_runs(lab: Lab, factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One finished run a task, made once a session; QQP has its own files. Nobody writes into them."""
    root = factory.getbasetemp() / "ood_runs"
    if not root.exists():
        rows = [[i, i, i, a, b, i % 2] for i, (a, b, _) in enumerate(pairs(40, NLI, 5))]
        for name in ("train", "dev"):
            header = ["id", "qid1", "qid2", "question1", "question2", "is_duplicate"]
            write_tsv(root / "glue" / "QQP" / f"{name}.tsv", [header, *rows])
        for task in (*SETS, "stsb"):
            lab.train(root / task, *(("--data-dir", root / "glue") if task == "qqp" else ()), task=task)
    return {task: next(path.parent for path in (root / task).glob("*/metrics.json")) for task in (*SETS, "stsb")}


def recorded(folder: Path) -> dict:
    return json.loads((folder / "ood.json").read_text())


def contents(folder: Path) -> dict[Path, tuple[int, bytes]]:
    files = (path for path in folder.rglob("*") if path.is_file() and ".locks" not in path.parts)
    return {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in files}  # a lock is touched by every run
