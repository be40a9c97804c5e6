"""Which checkpoint the teacher starts from where the user names none, and how checkpoints are opened."""

from __future__ import annotations

from kdlab.config.schema import RunConfig
from kdlab.data.sources import Hub
from kdlab.errors import KdlabError
from kdlab.models.checkpoint import EMBEDDED, Checkpoint, cached_on_disk, resolve_checkpoint
from kdlab.models.student import parse_student

BACKBONE = "bert-base-uncased"  # the backbone of the papers' teachers


def choose_backbone(run: RunConfig, needed: bool, embedded_data: bool, hub: Hub) -> tuple[str, tuple[str, ...]]:
    """The teacher's checkpoint, and what it stands in for.

    Args:
        run: Settings.
        needed: Whether the method asks for a teacher.
        embedded_data: Whether the data is the embedded corpus.
        hub: Asked whether it can be reached.

    Raises:
        KdlabError: ``--profile paper`` and no backbone to be had.
    """
    if run.teacher.source is not None:
        return run.teacher.source, ()
    if run.profile == "embedded" or embedded_data:
        return EMBEDDED, ()
    if cached_on_disk(BACKBONE) or hub.online:
        return BACKBONE, ()
    if not parse_student(run.student.source).reads_as_teacher and not needed:
        return BACKBONE, ()  # named but never used: no teacher is needed
    if run.profile == "paper":
        raise KdlabError(
            f"--profile paper needs {BACKBONE} from the hub, which is not in its cache and can't be reached: "
            "connect once, or give --teacher FOLDER."
        )
    return EMBEDDED, (
        f"the embedded encoder stands in for {BACKBONE}, which is not in the hub's cache and can't be reached: "
        "--teacher FOLDER gives a real one",
    )


def open_checkpoint(source: str, hub: Hub) -> Checkpoint:
    """A checkpoint whose files can be read, so that a damaged one is refused before any training.

    Args:
        source: A folder, a name on the hub, or ``embedded``.
        hub: Asked whether it answers only where the checkpoint is not on this machine.

    Raises:
        KdlabError: It can't be had or read.
    """
    checkpoint = resolve_checkpoint(source, cached_on_disk(source) or not hub.online)
    checkpoint.check()
    return checkpoint
