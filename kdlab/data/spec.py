"""What a task is: columns, labels in order, metrics and splits. This module imports only the standard library."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

TRAIN, DEV, TEST = "train", "dev", "test"
SOURCE_ROWS = "train/source"
"""Among the sizes of splits: how many rows of train are a source domain's."""
AUGMENTED_ROWS = "train/augmented"
"""Among the sizes of splits: how many rows of train were made of others, by ``kdlab augment``."""
UNLABELLED = "train/unlabelled"
"""The split of rows without labels that are trained on beside train; no method's own split can be called so."""
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
        unlabelled: Path of a file with text without labels (a user's own task).
        other_files: Split name to other names of its file (MRPC's ``msr_paraphrase_train.txt``).
        glue_columns: Columns of text, second text and label in the GLUE layout, where they differ from the hub's.
        glue_header: Columns of the files that have no header line (CoLA's train and dev).
        submission: Test split to the file name the GLUE server expects.
        submission_names: True where the server wants label names, False where it wants numbers.
        train_task: Task whose training and dev data this one borrows (AX is a test set for MNLI models).
        further: Optional test split to the task whose test set it is (a model of MNLI also answers AX).
        skip_malformed: True where the published file has broken rows, which are skipped by convention (QQP).
        labelled_test: True where the test splits are labelled: they are reported then, and dev is not.
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
    unlabelled: str | None = None
    other_files: dict[str, tuple[str, ...]] = field(default_factory=dict)
    glue_columns: tuple[str, str | None, str] | None = None
    glue_header: tuple[str, ...] = ()
    submission: dict[str, str] = field(default_factory=dict)
    submission_names: bool = False
    train_task: str | None = None
    further: dict[str, str] = field(default_factory=dict)
    skip_malformed: bool = False
    labelled_test: bool = False
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
    def reported_splits(self) -> tuple[str, ...]:
        """The labelled splits that are reported, in order: dev, or test where that is labelled."""
        reported = TEST if self.labelled_test else DEV
        return tuple(s for s in self.splits if s.startswith(reported))

    @property
    def unlabelled_splits(self) -> tuple[str, ...]:
        """The splits without labels, which are only predicted, in order; none where test is labelled."""
        return () if self.labelled_test else tuple(s for s in self.splits if s.startswith(TEST))


def numbered(labels: tuple[str, ...]) -> dict[str, str]:
    """Aliases for files that write a label as its number."""
    return {str(i): label for i, label in enumerate(labels)}
