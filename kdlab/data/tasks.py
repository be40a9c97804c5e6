"""The tasks that have a name: GLUE's, and those of ``kdlab.data.domain_tasks``.

This module imports only the standard library, so that ``--list tasks`` answers at once.
"""

from __future__ import annotations

from kdlab.data.domain_tasks import DOMAIN
from kdlab.data.spec import AUGMENTED_ROWS, DEV, SOURCE_ROWS, TEST, TRAIN, UNLABELLED, Metric, TaskSpec, numbered
from kdlab.errors import nearest

__all__ = [
    "AUGMENTED_ROWS",
    "DEV",
    "DOMAIN",
    "GLUE",
    "SOURCE_ROWS",
    "TASKS",
    "TEST",
    "TRAIN",
    "UNLABELLED",
    "Metric",
    "TaskSpec",
    "get_task",
    "owner_of",
]

_BINARY_NLI = ("entailment", "not_entailment")


def _glue(
    name: str, folder: str, description: str, text: str, labels: tuple[str, ...], text_pair: str | None = None
) -> TaskSpec:
    """A plain GLUE task: accuracy, one dev and one test split, label names on the hub and 0/1 or names in the files."""
    return TaskSpec(
        name=name,
        text=text,
        text_pair=text_pair,
        labels=labels,
        hub=("nyu-mll/glue", name),
        folder=folder,
        submission={TEST: f"{folder}.tsv"},
        submission_names=labels[0] == "entailment",
        description=description,
    )


def _with(spec: TaskSpec, changes: dict[str, object]) -> TaskSpec:
    """A copy of the task with fields replaced."""
    return TaskSpec(**{**spec.__dict__, **changes})


_COLA = ("unacceptable", "acceptable")
_SST2 = ("negative", "positive")
_MRPC = ("not_equivalent", "equivalent")
_QQP = ("not_duplicate", "duplicate")
_MNLI = ("entailment", "neutral", "contradiction")
_WNLI = ("not_entailment", "entailment")
_MNLI_SPLITS = {
    TRAIN: "train",
    DEV: "validation_matched",
    "dev_mm": "validation_mismatched",
    TEST: "test_matched",
    "test_mm": "test_mismatched",
}
_MNLI_FILES = {
    TRAIN: "train.tsv",
    DEV: "dev_matched.tsv",
    "dev_mm": "dev_mismatched.tsv",
    TEST: "test_matched.tsv",
    "test_mm": "test_mismatched.tsv",
}

GLUE: dict[str, TaskSpec] = {
    "cola": _with(
        _glue("cola", "CoLA", "is the sentence acceptable English?", "sentence", _COLA),
        {
            "metrics": ("matthews", "accuracy"),
            "aliases": numbered(_COLA),
            "glue_header": ("source", "label", "mark", "sentence"),
        },
    ),
    "sst2": _with(
        _glue("sst2", "SST-2", "sentiment of a movie-review sentence", "sentence", _SST2), {"aliases": numbered(_SST2)}
    ),
    "mrpc": _with(
        _glue("mrpc", "MRPC", "do two news sentences mean the same?", "sentence1", _MRPC, "sentence2"),
        {
            "metrics": ("f1", "accuracy"),
            "aliases": numbered(_MRPC),
            "glue_columns": ("#1 String", "#2 String", "Quality"),
            "other_files": {TRAIN: ("msr_paraphrase_train.txt",), TEST: ("msr_paraphrase_test.txt",)},
        },
    ),
    "stsb": TaskSpec(
        name="stsb",
        text="sentence1",
        text_pair="sentence2",
        metrics=("pearson", "spearman"),
        score_range=(0.0, 5.0),
        hub=("nyu-mll/glue", "stsb"),
        folder="STS-B",
        glue_columns=("sentence1", "sentence2", "score"),
        submission={TEST: "STS-B.tsv"},
        description="similarity of two sentences from 0 to 5 (regression)",
    ),
    "qqp": _with(
        _glue("qqp", "QQP", "do two questions ask the same?", "question1", _QQP, "question2"),
        {
            "metrics": ("f1", "accuracy"),
            "aliases": numbered(_QQP),
            "skip_malformed": True,
            "glue_columns": ("question1", "question2", "is_duplicate"),
        },
    ),
    "mnli": _with(
        _glue("mnli", "MNLI", "entailment, neutral or contradiction; matched and mismatched", "premise", _MNLI),
        {
            "text_pair": "hypothesis",
            "splits": _MNLI_SPLITS,
            "files": _MNLI_FILES,
            "glue_columns": ("sentence1", "sentence2", "gold_label"),
            "submission": {TEST: "MNLI-m.tsv", "test_mm": "MNLI-mm.tsv", "test_ax": "AX.tsv"},
            "further": {"test_ax": "ax"},
        },
    ),
    "qnli": _glue("qnli", "QNLI", "does the sentence answer the question?", "question", _BINARY_NLI, "sentence"),
    "rte": _glue("rte", "RTE", "does the first text entail the second?", "sentence1", _BINARY_NLI, "sentence2"),
    "wnli": _with(
        _glue("wnli", "WNLI", "does the sentence with the pronoun resolved follow?", "sentence1", _WNLI, "sentence2"),
        {"aliases": numbered(_WNLI), "submission_names": False},
    ),
    "ax": _with(
        _glue("ax", "AX", "GLUE's diagnostic set: predicted by a model trained on MNLI", "premise", _MNLI),
        {
            "text_pair": "hypothesis",
            "splits": {TRAIN: "train", DEV: "validation_matched", TEST: "test"},
            "files": {TRAIN: "train.tsv", DEV: "dev_matched.tsv", TEST: "diagnostic.tsv"},
            "other_files": {TEST: ("AX.tsv", "ax.tsv")},
            "other_folders": ("diagnostic", "MNLI"),
            "glue_columns": ("sentence1", "sentence2", "gold_label"),
            "train_task": "mnli",
        },
    ),
}

TASKS: dict[str, TaskSpec] = {**GLUE, **DOMAIN}


def owner_of(spec: TaskSpec, split: str) -> TaskSpec:
    """The task that a split's data belongs to: AX borrows train and dev from MNLI."""
    return TASKS[spec.train_task] if spec.train_task and split not in spec.unlabelled_splits else spec


def get_task(name: str) -> TaskSpec:
    """The task of that name, one of ``TASKS``.

    Raises:
        KdlabError: No such task; the message lists the nearest names.
    """
    if name not in TASKS:
        raise nearest(name, TASKS, "task")
    return TASKS[name]
