"""Tasks: columns, labels in order, metrics and splits, for GLUE and for a user's own files.

This module imports only the standard library, so that ``--list tasks`` answers at once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from kdlab.errors import nearest

TRAIN, DEV, TEST = "train", "dev", "test"
SOURCE_ROWS = "train/source"
"""Among the sizes of splits: how many rows of train are a source domain's."""
Metric = Literal["accuracy", "f1", "matthews", "pearson", "spearman"]


@dataclass(frozen=True)
class TaskSpec:
    """One sentence or sentence-pair task.

    Attributes:
        name: The name used on the command line.
        text: Column of the first (or only) sentence.
        text_pair: Column of the second sentence, or None for single sentences.
        label: Column of the label or score.
        labels: Label names in the order of the classifier's outputs; empty for regression.
        metrics: Metrics to report; the first chooses the checkpoint.
        score_range: Smallest and largest score of a regression task, None for classification.
        splits: Split name (train, dev, dev_mm, test, ...) to its name on the hub. The first that starts with ``dev`` is
            the one that the paper profile selects on.
        aliases: Other spellings of a label found in files (``{"0": "not_equivalent"}``).
        hub: Dataset and configuration on the hub.
        folder: Folder in the original GLUE layout.
        other_folders: Further folders of the GLUE layout that may hold its files (``diagnostic`` for AX).
        files: Split name to file name (GLUE layout) or path (a user's own task).
        other_files: Split name to other names of its file (MRPC's ``msr_paraphrase_train.txt``).
        glue_columns: Columns of text, second text and label in the GLUE layout, where they differ from the hub's.
        glue_header: Columns of the files that have no header line (CoLA's train and dev).
        submission: Test split to the file name the GLUE server expects.
        submission_names: True where the server wants label names, False where it wants numbers.
        train_task: Task whose training and dev data this one borrows (AX is a test set for MNLI models).
        further: Optional test split to the task whose test set it is (a model of MNLI also answers AX).
        skip_malformed: True where the published file has broken rows, which are skipped by convention (QQP).
        description: One line for ``--list tasks``.
    """

    name: str
    text: str
    label: str = "label"
    text_pair: str | None = None
    labels: tuple[str, ...] = ()
    metrics: tuple[Metric, ...] = ("accuracy",)
    score_range: tuple[float, float] | None = None
    splits: dict[str, str] = field(default_factory=lambda: {TRAIN: "train", DEV: "validation", TEST: "test"})
    aliases: dict[str, str] = field(default_factory=dict)
    hub: tuple[str, str] | None = None
    folder: str | None = None
    other_folders: tuple[str, ...] = ()
    files: dict[str, str] = field(default_factory=lambda: {TRAIN: "train.tsv", DEV: "dev.tsv", TEST: "test.tsv"})
    other_files: dict[str, tuple[str, ...]] = field(default_factory=dict)
    glue_columns: tuple[str, str | None, str] | None = None
    glue_header: tuple[str, ...] = ()
    submission: dict[str, str] = field(default_factory=dict)
    submission_names: bool = False
    train_task: str | None = None
    further: dict[str, str] = field(default_factory=dict)
    skip_malformed: bool = False
    description: str = ""

    @property
    def regression(self) -> bool:
        """True where the label is a score."""
        return self.score_range is not None

    @property
    def num_outputs(self) -> int:
        """Width of the classifier's output: the number of labels, 1 for regression."""
        return 1 if self.regression else len(self.labels)

    @property
    def file_columns(self) -> tuple[str, str | None, str]:
        """Columns of text, second text and label in files: the GLUE layout's where it has its own names."""
        return self.glue_columns or (self.text, self.text_pair, self.label)

    @property
    def monitor(self) -> str:
        """The metric that chooses a checkpoint."""
        return self.metrics[0]

    @property
    def dev_splits(self) -> tuple[str, ...]:
        """The labelled splits that are reported, in order."""
        return tuple(s for s in self.splits if s.startswith(DEV))

    reported_splits = dev_splits

    @property
    def test_splits(self) -> tuple[str, ...]:
        """The unlabelled splits that are predicted for the server, in order."""
        return tuple(s for s in self.splits if s.startswith(TEST))


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


def _numbered(labels: tuple[str, ...]) -> dict[str, str]:
    """Aliases for files that write a label as its number."""
    return {str(i): label for i, label in enumerate(labels)}


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

TASKS: dict[str, TaskSpec] = {
    "cola": _with(
        _glue("cola", "CoLA", "is the sentence acceptable English?", "sentence", _COLA),
        {
            "metrics": ("matthews", "accuracy"),
            "aliases": _numbered(_COLA),
            "glue_header": ("source", "label", "mark", "sentence"),
        },
    ),
    "sst2": _with(
        _glue("sst2", "SST-2", "sentiment of a movie-review sentence", "sentence", _SST2), {"aliases": _numbered(_SST2)}
    ),
    "mrpc": _with(
        _glue("mrpc", "MRPC", "do two news sentences mean the same?", "sentence1", _MRPC, "sentence2"),
        {
            "metrics": ("f1", "accuracy"),
            "aliases": _numbered(_MRPC),
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
            "aliases": _numbered(_QQP),
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
        {"aliases": _numbered(_WNLI), "submission_names": False},
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


def owner_of(spec: TaskSpec, split: str) -> TaskSpec:
    """The task that a split's data belongs to: AX borrows train and dev from MNLI."""
    return TASKS[spec.train_task] if spec.train_task and split not in spec.test_splits else spec


def get_task(name: str) -> TaskSpec:
    """The GLUE task of that name.

    Raises:
        KdlabError: No such task; the message lists the nearest names.
    """
    if name not in TASKS:
        raise nearest(name, TASKS, "task")
    return TASKS[name]
