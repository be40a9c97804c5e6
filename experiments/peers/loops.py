"""The other sides, in an environment of their own: Hugging Face's Trainer with a loss of its own, and TextBrewer.

Both ask the teacher in every step, with t = 4; the Trainer's α is .5, and TextBrewer learns from the teacher alone, as
its defaults have it. ``python loops.py SIDE FOLDER SETTINGS`` prints JSON: samples a second of the training alone, and
the Trainer's accuracy on the hold-out.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader, Dataset, Subset
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    Trainer,
    TrainingArguments,
)

TEMPERATURE, ALPHA = 4.0, 0.5


class Rows(Dataset):
    """A split, tokenised beforehand."""

    def __init__(self, file: Path, tokenizer: Any, padding: str | bool) -> None:
        rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
        encoded = tokenizer([row["text"] for row in rows], truncation=True, max_length=128, padding=padding)
        self.items = [{name: column[i] for name, column in encoded.items()} for i in range(len(rows))]
        for item, row in zip(self.items, rows, strict=True):
            if "label" in row:
                item["labels"] = row["label"]

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, i: int) -> dict[str, Any]:
        return self.items[i]


class DistillTrainer(Trainer):
    """The loop that most people write: the teacher in ``compute_loss``."""

    def __init__(self, *args: Any, teacher: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.teacher = teacher.eval()

    def compute_loss(self, model: Any, inputs: Any, return_outputs: bool = False, **_: Any) -> Any:
        """(1-α)·CE + α·t²·KL."""
        outputs = model(**inputs)
        if not model.training:
            return (outputs.loss, outputs) if return_outputs else outputs.loss
        with torch.no_grad():
            wanted = self.teacher(**{name: value for name, value in inputs.items() if name != "labels"}).logits
        soft = F.kl_div(
            F.log_softmax(outputs.logits / TEMPERATURE, -1), F.softmax(wanted / TEMPERATURE, -1), reduction="batchmean"
        )
        loss = (1 - ALPHA) * outputs.loss + ALPHA * TEMPERATURE**2 * soft
        return (loss, outputs) if return_outputs else loss


def accuracy(predicted: Any) -> dict[str, float]:
    """Of logits and labels."""
    logits, labels = predicted
    return {"accuracy": float((logits.argmax(-1) == labels).mean())}


def with_trainer(folder: Path, settings: dict[str, Any]) -> dict[str, float]:
    """Training with the evaluations of a run of kdlab: the hold-out in each epoch; then rows of train, dev and test."""
    tokenizer = AutoTokenizer.from_pretrained(folder / "teacher")
    teacher, student = (
        AutoModelForSequenceClassification.from_pretrained(folder / name) for name in ("teacher", "student")
    )
    padding = "max_length" if settings["batches"] == "128" else False
    splits = {file.stem: Rows(file, tokenizer, padding) for file in folder.glob("*.jsonl")}
    arguments = TrainingArguments(
        output_dir=str(folder / "trainer"),
        per_device_train_batch_size=32,
        per_device_eval_batch_size=128,
        num_train_epochs=settings["epochs"],
        max_steps=settings["steps"],
        learning_rate=5e-5,
        warmup_ratio=0.1,
        weight_decay=0.01,
        max_grad_norm=1.0,
        group_by_length=settings["batches"] == "grouped",
        bf16=settings["bf16"],
        use_cpu=True,
        save_strategy="no",
        eval_strategy="epoch" if settings["steps"] < 0 else "no",
        report_to=[],
        disable_tqdm=True,
    )
    trainer = DistillTrainer(
        model=student,
        args=arguments,
        train_dataset=splits["train"],
        eval_dataset=splits["holdout"],
        data_collator=DataCollatorWithPadding(tokenizer),
        compute_metrics=accuracy,
        teacher=teacher,
    )
    found = trainer.train().metrics
    if settings["steps"] > 0:
        return {"rate": 32 * settings["steps"] / found["train_runtime"]}
    judged = Subset(splits["train"], range(min(settings["judged"], len(splits["train"]))))
    for rows in (judged, splits["dev"], splits["test"]):
        trainer.predict(rows)
    accuracies = [line["eval_accuracy"] for line in trainer.state.log_history if "eval_accuracy" in line]
    return {"rate": found["train_samples_per_second"], "accuracy": accuracies[-1]}


def with_textbrewer(folder: Path, settings: dict[str, Any]) -> dict[str, float]:
    """Some steps of its general distiller at its defaults, on inputs padded to 128 as in its examples."""
    from textbrewer import DistillationConfig, GeneralDistiller, TrainingConfig

    tokenizer = AutoTokenizer.from_pretrained(folder / "teacher")
    teacher, student = (
        AutoModelForSequenceClassification.from_pretrained(folder / name) for name in ("teacher", "student")
    )
    rows = Subset(Rows(folder / "train.jsonl", tokenizer, "max_length"), range(32 * settings["steps"]))
    pad = DataCollatorWithPadding(tokenizer)
    loader = DataLoader(rows, batch_size=32, shuffle=True, collate_fn=lambda items: dict(pad(items)))

    def adapt(batch: Any, outputs: Any) -> dict[str, Any]:
        return {"logits": outputs.logits, "losses": outputs.loss}

    distiller = GeneralDistiller(
        TrainingConfig(device="cpu", log_dir=None, output_dir=str(folder / "textbrewer")),
        DistillationConfig(),
        model_T=teacher,
        model_S=student,
        adaptor_T=adapt,
        adaptor_S=adapt,
    )
    optimizer = torch.optim.AdamW(student.parameters(), lr=5e-5)
    started = time.perf_counter()
    with distiller:
        distiller.train(optimizer, loader, num_epochs=1, callback=None)
    return {"rate": 32 * settings["steps"] / (time.perf_counter() - started)}


if __name__ == "__main__":
    side = {"trainer": with_trainer, "textbrewer": with_textbrewer}[sys.argv[1]]
    sys.stdout.write(json.dumps(side(Path(sys.argv[2]), json.loads(sys.argv[3]))) + "\n")
