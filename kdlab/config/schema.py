"""Every setting of a run, typed, with its default."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from kdlab.data.domains import BOTH, TARGET
from kdlab.data.subset import A_CLASS
from kdlab.methods.base import TrainingConfig

PROFILES = ("auto", "paper", "embedded")


LOGGERS = ("csv", "wandb", "tensorboard")


@dataclass
class DataConfig:
    """Where data comes from and how it is cut.

    Attributes:
        dir: Folder in the original GLUE layout (``--data-dir``); None leaves the choice to the profile.
        limit_train: Seeded stratified part of the training data: ``10%``, ``1%`` or ``500``.
        max_length: Longest input in tokens; None takes 128 or what the encoder has positions for.
        split_seed: Draws the limited subset and the hold-out; the student's seed does not touch it.
        selection: ``holdout``: a part of train chooses the checkpoint and dev is only reported; ``dev``: dev chooses.
        holdout: Fraction of train that is held out; 0 holds nothing out, and then the last epochs are taken.
        select_by: What chooses the epoch, of teacher and student: ``metric`` (the task's first, of equal ones the first
            epoch), ``metric+loss`` (of equal ones by loss), ``loss``, ``divergence`` (from the teacher; the loss for
            what has none), ``last``, ``mean:3`` (the mean of the last three epochs' weights), or ``auto``: ``loss``
            where fewer than 50 examples choose, else ``metric+loss``, and ``last`` where nothing is held out.
        target_per_class: So many training examples of each label, instead of ``limit_train``: 20, 40, 60 or 80 in the
            study of scarce domains (Feng et al. 2021).
        source: A task whose training rows are trained on besides, as a source domain (``--source mnli``); its labels
            are joined to this task's by name and aliases.
        source_dir: Folder with that task's files; None is looked for as this task's are.
        limit_source: Part of the source's rows, as ``limit_train`` says it.
        domains: What the student's training rows are of: ``both``, ``target`` or ``source``.
        labelled: Fraction of train that keeps its labels, in (0, 1], stratified and drawn by ``split_seed``; methods
            that take rows without labels (``ganbert``, ``kd``) train on the others too, other methods leave them out.
        unlabelled: Text without labels to train on besides: a file, or ``rest`` for what ``limit_train`` leaves over.
        workers: Processes that make training batches. A batch of 32 takes 0.03 ms, less than it takes to hand one
            from process to process, so none is the fastest on every machine, and the default.
    """

    dir: str | None = None
    limit_train: str | None = None
    max_length: int | None = None
    split_seed: int = 0
    selection: str = "holdout"
    holdout: float = 0.1
    select_by: str = "auto"
    workers: int = 0
    target_per_class: int | None = None
    source: str | None = None
    source_dir: str | None = None
    limit_source: str | None = None
    domains: str = BOTH
    labelled: float | None = None
    unlabelled: str | None = None

    @property
    def amount(self) -> str | None:
        """How much of the training data is taken, as ``limit_and_rest`` reads it; None for all."""
        return self.limit_train if self.target_per_class is None else f"{self.target_per_class}{A_CLASS}"


@dataclass
class TeacherConfig(TrainingConfig):
    """The teacher: where it comes from and, where it must be fine-tuned, how.

    Attributes:
        source: Folder, name on the hub, or ``embedded``; None leaves the choice to the profile.
        seed: The teacher's own; ``--seeds`` varies the student alone.
        labels: Order of the labels in a checkpoint whose head names them LABEL_0, LABEL_1, …
        method: The method that makes it; its settings stand in its own section. One that asks for a teacher can't.
        domain: Which training rows it is made of where there is a source domain: ``target``, ``source`` or ``both``.
        labelled: Fraction of train whose labels it has; None is that of ``data.labelled``.
    """

    source: str | None = None
    seed: int = 0
    labels: list[str] | None = None
    learning_rate: float = 5e-5
    method: str = "finetune"
    domain: str = TARGET
    labelled: float | None = None


@dataclass
class StudentConfig:
    """The student.

    Attributes:
        source: A checkpoint, ``[DONOR:]layers:bottom:3`` (also top, skip, or a list; the donor is the teacher, and
            ``finetuned`` is the teacher's checkpoint as plain fine-tuning makes it), or ``bilstm`` (also
            ``bilstm:300``): a new BiLSTM of so many hidden units a direction.
    """

    source: str = "layers:bottom:3"


@dataclass
class EvaluationConfig:
    """What else the finished student is evaluated on; nothing here changes the student or the folder of its record.

    Attributes:
        ood: Sets out of domain (``--list ood``).
        ood_dir: Folder with their files (``--ood-dir``); None takes the hub, or the embedded corpus for its own models.
        attack: Recipes that attack teacher and student (``--list recipes``).
        attack_examples: How many examples of the reported split are attacked, drawn by the seed; None takes all.
        attack_seed: Draws examples and the random choices of attacks.
        attack_mode: ``fixed``, or ``compat`` for attacks that are TextAttack 0.3.11's.
        attack_resources: Folder of lexical resources; None takes ``$KDLAB_RESOURCES``.
        attack_masked_lm: A masked LM for recipes that need one, and the sentence encoder with it; None takes the
            checkpoint that the teacher is made of, and the student where there is no teacher.
    """

    ood: list[str] = field(default_factory=list)
    ood_dir: str | None = None
    attack: list[str] = field(default_factory=list)
    attack_examples: int | None = None
    attack_seed: int = 0
    attack_mode: str = "fixed"
    attack_resources: str | None = None
    attack_masked_lm: str | None = None


@dataclass
class RunConfig:
    """Everything that a run depends on; the method's own section stands beside these under the method's name.

    ``augment`` names a file of ``kdlab augment``, whose examples the student is trained on besides the training rows.
    """

    method: str = "mixkd"
    task: str = "rte"
    profile: str = "auto"
    seed: int = 0
    seeds: int = 1
    out: str = "runs"
    fresh: bool = False
    logger: list[str] = field(default_factory=lambda: ["csv"])
    accelerator: str = "auto"
    devices: int = 1
    precision: str = "auto"
    compile: bool = False
    data: DataConfig = field(default_factory=DataConfig)
    teacher: TeacherConfig = field(default_factory=TeacherConfig)
    student: StudentConfig = field(default_factory=StudentConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    augment: str | None = None


@dataclass(frozen=True)
class Resolved:
    """A checked configuration.

    Attributes:
        run: Settings that every run has.
        method: The method's own settings, an instance of its ``Config``.
        teacher_method: Those of the method that makes the teacher.
        plain: Both as one plain dictionary, for records and loggers.
    """

    run: RunConfig
    method: Any
    teacher_method: Any
    plain: dict[str, Any]
