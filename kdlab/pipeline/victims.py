"""Who is attacked: a finished run's student and teacher, or a fine-tuned classifier, each with its data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kdlab.attacks.victim import EncoderVictim
from kdlab.config.schema import DataConfig
from kdlab.data.sources import Hub, choose_source, find_task
from kdlab.data.task_data import TaskData, load_data
from kdlab.errors import KdlabError
from kdlab.models.checkpoint import cached_on_disk, head_order, load_encoder
from kdlab.models.encoder import TextEncoder, usable_positions
from kdlab.pipeline.attack import AttackedModel
from kdlab.pipeline.finished import CONFIG, FinishedRun, open_run
from kdlab.planning.attack import LONGEST, name_of
from kdlab.planning.attack_settings import check_task
from kdlab.planning.backbone import open_checkpoint
from kdlab.system.files import fingerprint
from kdlab.system.hardware import Hardware

ATTACKS = "attacks"
STUDENT, TEACHER = "student", "teacher"


@dataclass(frozen=True)
class Asked:
    """What the command line says besides the attacks' own settings.

    Attributes:
        task: The task of a victim that is no run.
        data_dir: ``--data-dir`` for it.
        profile: ``--profile`` for it.
        labels: Order of a head's outputs that are called LABEL_0, LABEL_1, …
        out: Folder for what is found; None takes ``attacks`` in the run's folder, or below the working directory.
        fresh: Whether a folder that holds something else is set aside.
        accelerator: ``auto``, ``cpu`` or ``gpu``.
    """

    task: str | None = None
    data_dir: str | None = None
    profile: str = "auto"
    labels: tuple[str, ...] | None = None
    out: str | None = None
    fresh: bool = False
    accelerator: str = "auto"


@dataclass(frozen=True)
class OpenVictim:
    """A model with the data that it is attacked on.

    Attributes:
        model: The model.
        task: The data.
        models_of: The checkpoint that masked LM and sentence encoder are made of by default.
        folder: For what is found.
    """

    model: AttackedModel
    task: TaskData
    models_of: str
    folder: Path


def open_victim(name: str, asked: Asked, hub: Hub, hardware: Hardware) -> OpenVictim:
    """A run's student, or a fine-tuned classifier, with the data that it is attacked on.

    Args:
        name: A run's folder, a checkpoint's, or a name on the hub.
        asked: What the command line says.
        hub: Whether it answers.
        hardware: Where models run.

    Raises:
        KdlabError: There is no such model, it is no classifier of the task, or its data can't be read.
    """
    path = Path(name).expanduser()
    if (path / CONFIG).is_file():
        run = open_run(path.resolve())
        if asked.task is not None and asked.task not in (run.record.task, run.task_setting):
            raise KdlabError(
                f"--task {asked.task}: the run in {path} is on {run.record.task}, so leave --task out, or attack "
                f"{path / 'student'}."
            )
        folder = Path(asked.out).expanduser() if asked.out else run.folder.path / ATTACKS / STUDENT
        return OpenVictim(student_of(run, hardware), task_of(run, hub), models_of(run), folder)
    if asked.task is None:
        raise KdlabError(f"{name} is no run of kdlab's, so say which task it is for: --task sst2.")
    checkpoint = open_checkpoint(name, hub)
    if asked.labels is not None:
        checkpoint = checkpoint.with_labels(asked.labels)
    spec, base = find_task(asked.task, hub)
    check_task(spec)
    source = choose_source(spec, base, asked.profile, asked.data_dir, hub)
    task = load_data(spec, source, hub, None, "dev", 0.0, 0)
    order = head_order(checkpoint, spec.labels, spec.aliases)
    if order is None:
        what = f"its labels are {', '.join(checkpoint.head_labels)}" if checkpoint.has_head else "it has no head"
        raise KdlabError(
            f"{name} is no classifier of {spec.name} ({', '.join(spec.labels)}): {what}. Give a fine-tuned one, or "
            "--labels for a head that calls them LABEL_0, LABEL_1, …"
        )
    length = min(LONGEST, usable_positions(checkpoint.config))
    key = fingerprint("victim", checkpoint.weights_fingerprint, checkpoint.tokenizer_fingerprint, order, length)

    def load() -> EncoderVictim:
        encoder = load_encoder(checkpoint, spec.labels, order, 0)
        return EncoderVictim(encoder, spec.labels, checkpoint.tokenizer, length, hardware.device)

    title = name_of(checkpoint.source)
    folder = Path(asked.out).expanduser() if asked.out else Path(ATTACKS) / f"{title}-{spec.name}-{key[:8]}"
    return OpenVictim(AttackedModel(title, key, load), task, name, folder)


def student_of(run: FinishedRun, hardware: Hardware, name: str | None = None) -> AttackedModel:
    """A finished run's student.

    Args:
        run: The run.
        hardware: Where it runs.
        name: For tables; None takes method and seed.
    """
    checkpoint, length = run.student, run.record.max_length
    prints = checkpoint.weights_fingerprint, checkpoint.tokenizer_fingerprint
    return AttackedModel(
        name or title_of(run),
        fingerprint("victim", *prints, run.order, length),
        lambda: _victim(load_encoder(checkpoint, run.labels, run.order, 0), run, hardware),
    )


def teacher_of(run: FinishedRun, teacher: TextEncoder, key: str, hardware: Hardware) -> AttackedModel:
    """A finished run's teacher.

    Args:
        run: The run.
        teacher: Its teacher.
        key: The teacher's fingerprint.
        hardware: Where it runs.
    """
    length = run.record.max_length
    # the tokenizer as it was before training: how it cuts and pads is saved with a student, and differs between them
    name = fingerprint("teacher victim", key, run.record.fingerprints.tokenizer, length)
    return AttackedModel(TEACHER, name, lambda: _victim(teacher, run, hardware))


def _victim(encoder: TextEncoder, run: FinishedRun, hardware: Hardware) -> EncoderVictim:
    return EncoderVictim(encoder, run.labels, run.student.tokenizer, run.record.max_length, hardware.device)


def title_of(run: FinishedRun) -> str:
    """Method and seed, by which a table names its student."""
    return f"{run.record.method}-s{run.record.seed}"


def told_apart(titles: Sequence[str], paths: Sequence[str | Path]) -> list[str]:
    """Titles of models; where several have one, the last two parts of their paths stand for it.

    Args:
        titles: Of N models.
        paths: Where each of them is.
    """
    parts = [Path(path).parts[-2:] for path in paths]
    return [
        title if titles.count(title) == 1 else "-".join(part.strip("/") for part in own).strip("-")
        for title, own in zip(titles, parts, strict=True)
    ]


def models_of(run: FinishedRun) -> str:
    """The checkpoint that masked LM and sentence encoder are made of where none is named."""
    teacher = run.record.teacher
    if teacher is not None and cached_on_disk(teacher.source):
        return teacher.source
    return str(run.student.folder)


def task_of(run: FinishedRun, hub: Hub) -> TaskData:
    """The data of a finished run, cut as it was.

    Raises:
        KdlabError: It is not where it was, or is other data.
    """
    spec, base = find_task(run.task_setting, hub)
    known = {name: value for name, value in run.data.items() if name in DataConfig.__dataclass_fields__}
    data = DataConfig(**known)
    source = choose_source(spec, base, run.profile, data.dir, hub)
    task = load_data(spec, source, hub, data.amount, data.selection, data.holdout, data.split_seed)
    split = task.reported_splits[0]
    recorded = run.record.fingerprints.splits.get(split)
    if recorded is not None and recorded != task.fingerprints[split]:
        raise KdlabError(
            f"{split} of {spec.name} in {source.where} is not what the run in {run.folder.path} was judged on: put the "
            "data back where it was, or attack its folder student/ with --task and --data-dir."
        )
    return task
