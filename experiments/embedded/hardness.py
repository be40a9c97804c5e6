"""How hard the embedded corpus is: baselines that see only words, a teacher, and a student of its bottom layers.

    python experiments/embedded/hardness.py --tasks rte,mrpc,qqp,qnli,mnli --seeds 3

Every model is trained on the task's train split and measured on its dev split with the task's first metric of accuracy,
Matthews or Pearson correlation.
"""

from __future__ import annotations

import argparse
import statistics
import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from scipy.sparse import csr_matrix, hstack
from scipy.stats import pearsonr
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import matthews_corrcoef
from torch.nn import functional as F
from transformers import AutoModelForSequenceClassification, AutoTokenizer, BertForSequenceClassification

from kdlab.data.embedded import generate
from kdlab.data.examples import Examples
from kdlab.data.tasks import get_task

BACKBONE = Path(__file__).parents[2] / "kdlab" / "models" / "embedded"
PAIR_TASKS = ("rte", "mrpc", "qqp", "qnli", "mnli")
TOKENS = r"(?u)\b\w+\b"


@dataclass(frozen=True)
class Settings:
    """How teacher and student are fine-tuned."""

    lr: float = 2e-4
    epochs: int = 4
    batch: int = 32
    warmup: float = 0.1
    weight_decay: float = 0.01
    student_layers: int = 2


@dataclass(frozen=True)
class Score:
    """What one task's run found."""

    task: str
    majority: float
    second_only: float
    words: float
    teacher: tuple[float, ...]
    student: tuple[float, ...]
    teacher_seconds: float
    student_seconds: float


def metric(task: str, predicted: np.ndarray, labels: np.ndarray) -> float:
    """Accuracy, Matthews correlation for CoLA, Pearson correlation for STS-B."""
    if task == "stsb":
        return float(pearsonr(predicted, labels)[0])
    if task == "cola":
        return float(matthews_corrcoef(labels, predicted))
    return float((predicted == labels).mean())


@lru_cache(maxsize=4)
def splits_of(task: str) -> dict[str, Examples]:
    """The task's splits, made once."""
    return generate(task)


def majority(task: str) -> float:
    """The metric of the commonest label; 0 for correlations."""
    labels = list(splits_of(task)["dev"].labels or ())
    return 0.0 if task in ("stsb", "cola") else max(map(labels.count, set(labels))) / len(labels)


def _columns(task: str, second_only: bool) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Train and dev texts of each column."""
    train, dev = splits_of(task)["train"], splits_of(task)["dev"]
    columns = [] if second_only else [(train.text, dev.text)]
    if train.text_pair is not None and dev.text_pair is not None:
        columns.append((train.text_pair, dev.text_pair))
    return columns


def _shared(columns: list[tuple[tuple[str, ...], tuple[str, ...]]], split: int) -> csr_matrix:
    """Share and number of the second text's words and bigrams that the first has too."""
    analyse = CountVectorizer(ngram_range=(1, 2), token_pattern=TOKENS).build_analyzer()
    rows = []
    for first, second in zip(columns[0][split], columns[1][split], strict=True):
        one, two = set(analyse(first)), set(analyse(second))
        for wanted in (0, 1):
            mine, yours = ({w for w in words if w.count(" ") == wanted} for words in (one, two))
            rows.append([len(mine & yours) / max(1, len(yours)), len(mine & yours), len(yours - mine)])
    return csr_matrix(np.array(rows).reshape(len(columns[0][split]), -1))


def bag_of_words(task: str, second_only: bool = False) -> float:
    """A linear model on words and bigrams of each text (as separate features) and their overlap."""
    columns = _columns(task, second_only)
    train, dev = splits_of(task)["train"], splits_of(task)["dev"]
    features: tuple[list[csr_matrix], list[csr_matrix]] = ([], [])
    for column in columns:
        vectorizer = CountVectorizer(ngram_range=(1, 2), token_pattern=TOKENS)
        features[0].append(vectorizer.fit_transform(column[0]))
        features[1].append(vectorizer.transform(column[1]))
    if len(columns) == 2:
        for split in (0, 1):
            features[split].append(_shared(columns, split))
    model = Ridge(alpha=3.0) if task == "stsb" else LogisticRegression(C=0.3, max_iter=2000)
    model.fit(hstack(features[0]).tocsr(), np.array(train.labels))
    return metric(task, model.predict(hstack(features[1]).tocsr()), np.array(dev.labels))


def encode(examples: Examples, folder: Path) -> list[dict[str, list[int]]]:
    """Token ids and types of every example."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    pairs = None if examples.text_pair is None else list(examples.text_pair)
    encoded = tokenizer(list(examples.text), pairs, truncation=True, max_length=128)
    return [
        {"input_ids": ids, "token_type_ids": types}
        for ids, types in zip(encoded["input_ids"], encoded["token_type_ids"], strict=True)
    ]


def collate(rows: list[dict[str, list[int]]]) -> dict[str, torch.Tensor]:
    """Rows as tensors ``(B, T)`` with an attention mask."""
    longest = max(len(row["input_ids"]) for row in rows)
    columns = {name: [row[name] + [0] * (longest - len(row[name])) for row in rows] for name in rows[0]}
    columns["attention_mask"] = [[1] * len(row["input_ids"]) + [0] * (longest - len(row["input_ids"])) for row in rows]
    return {name: torch.tensor(column) for name, column in columns.items()}


def loss_of(task: str, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Cross-entropy, or squared error for STS-B; logits ``(B, C)``."""
    return F.mse_loss(logits[:, 0], labels.float()) if task == "stsb" else F.cross_entropy(logits, labels)


@torch.no_grad()
def evaluate(model: BertForSequenceClassification, task: str, split: str, folder: Path) -> float:
    """The task's metric on a labelled split."""
    examples = splits_of(task)[split]
    rows = encode(examples, folder)
    order = sorted(range(len(rows)), key=lambda i: len(rows[i]["input_ids"]))
    model.eval()
    predicted = np.zeros(len(rows))
    for start in range(0, len(order), 128):
        chosen = order[start : start + 128]
        logits = model(**collate([rows[i] for i in chosen])).logits
        predicted[chosen] = (logits[:, 0] if task == "stsb" else logits.argmax(1)).numpy()
    return metric(task, predicted, np.array(examples.labels))


def fine_tune(
    model: BertForSequenceClassification, task: str, seed: int, settings: Settings, folder: Path = BACKBONE
) -> None:
    """A plain loop: AdamW, linear warm-up and decay, batches of similar length."""
    torch.manual_seed(seed)
    train = splits_of(task)["train"]
    rows, labels = encode(train, folder), torch.tensor(train.labels)
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=settings.lr, weight_decay=settings.weight_decay, fused=True)
    total = settings.epochs * (len(rows) // settings.batch)
    warm = settings.warmup * total
    scheduler = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / warm, (total - step) / (total - warm))
    )
    model.train()
    for _ in range(settings.epochs):
        noise = torch.rand(len(rows), generator=generator).tolist()
        order = sorted(range(len(rows)), key=lambda i: len(rows[i]["input_ids"]) + 6 * noise[i])
        starts = range(0, len(order) - settings.batch + 1, settings.batch)
        for at in torch.randperm(len(starts), generator=generator).tolist():
            chosen = order[starts[at] : starts[at] + settings.batch]
            loss = loss_of(task, model(**collate([rows[i] for i in chosen])).logits, labels[chosen])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            scheduler.step()


def new_teacher(task: str, seed: int, folder: Path = BACKBONE) -> BertForSequenceClassification:
    """The backbone with a fresh head."""
    torch.manual_seed(seed)
    return AutoModelForSequenceClassification.from_pretrained(
        folder, num_labels=get_task(task).num_outputs, dtype=torch.float32
    )


def new_student(teacher: BertForSequenceClassification, layers: int) -> BertForSequenceClassification:
    """The teacher's embeddings, bottom layers, pooler and head."""
    config = type(teacher.config).from_dict({**teacher.config.to_dict(), "num_hidden_layers": layers})
    student = BertForSequenceClassification(config)
    student.load_state_dict(teacher.state_dict(), strict=False)
    return student


def measure(task: str, seeds: int, settings: Settings, folder: Path = BACKBONE) -> Score:
    """Baselines once, teacher and student for every seed; the student starts from the teacher of its seed."""
    teachers, students, seconds = [], [], [0.0, 0.0]
    for seed in range(seeds):
        started = time.process_time()
        teacher = new_teacher(task, seed, folder)
        fine_tune(teacher, task, seed, settings, folder)
        teachers.append(evaluate(teacher, task, "dev", folder))
        half = time.process_time()
        student = new_student(teacher, settings.student_layers)
        fine_tune(student, task, seed, settings, folder)
        students.append(evaluate(student, task, "dev", folder))
        seconds[0] += (half - started) / seeds
        seconds[1] += (time.process_time() - half) / seeds
        print(f"  {task} seed {seed}: teacher {teachers[-1]:.3f}, student {students[-1]:.3f}", flush=True)
    second = bag_of_words(task, second_only=True) if get_task(task).text_pair else float("nan")
    return Score(
        task, majority(task), second, bag_of_words(task), tuple(teachers), tuple(students), seconds[0], seconds[1]
    )


def spread(values: tuple[float, ...]) -> str:
    """Mean and standard deviation."""
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{statistics.mean(values):.3f} ± {deviation:.3f}"


def main() -> None:
    """Read the command line, measure, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", default=",".join(PAIR_TASKS), help="names with commas between")
    parser.add_argument("--seeds", type=int, default=3, help="fine-tuning seeds")
    parser.add_argument("--backbone", type=Path, default=BACKBONE)
    parser.add_argument("--lr", type=float, default=Settings.lr)
    parser.add_argument("--epochs", type=int, default=Settings.epochs)
    parser.add_argument("--student-layers", type=int, default=Settings.student_layers)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    settings = Settings(lr=arguments.lr, epochs=arguments.epochs, student_layers=arguments.student_layers)
    scores = [measure(task, arguments.seeds, settings, arguments.backbone) for task in arguments.tasks.split(",")]
    print("task  majority  second-only  words  teacher        student        CPU s (teacher, student)")
    for score in scores:
        print(
            f"{score.task:5} {score.majority:8.3f} {score.second_only:12.3f} {score.words:6.3f}  "
            f"{spread(score.teacher)}  {spread(score.student)}  "
            f"{score.teacher_seconds:.0f}, {score.student_seconds:.0f}"
        )


if __name__ == "__main__":
    main()
