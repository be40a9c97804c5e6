"""What the student will be made of, decided before any training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kdlab.data.task_data import TaskData
from kdlab.models.checkpoint import Checkpoint, labelled_config
from kdlab.models.encoder import count_parameters
from kdlab.models.student import StudentSpec, select_layers, shallow_config
from kdlab.system.foreign import door


@dataclass(frozen=True)
class StudentPlan:
    """What the student will be made of.

    Attributes:
        spec: What ``--student`` says.
        donor: Checkpoint its weights come from; None is the fine-tuned teacher.
        layers: Which of the donor's layers; None takes the checkpoint as it is.
        config: Hugging Face configuration of the student.
        parameters: Number of weights, head included.
    """

    spec: StudentSpec
    donor: Checkpoint | None
    layers: tuple[int, ...] | None
    config: Any
    parameters: int

    @property
    def made_of(self) -> str:
        """Where its weights start, in words."""
        origin = self.donor.source if self.donor else "the teacher"
        return origin if self.layers is None else f"layers {', '.join(map(str, self.layers))} of {origin}"


def plan_student(
    spec: StudentSpec, donor: Checkpoint | None, teacher: Checkpoint | None, task: TaskData
) -> StudentPlan:
    """What the student will be made of.

    Args:
        spec: What ``--student`` says.
        donor: Checkpoint its weights come from; None is the teacher.
        teacher: The teacher's checkpoint, where there is one.
        task: Its labels are the head's.

    Raises:
        KdlabError: The layers are not there, or the configuration can't be built.
    """
    origin = donor or teacher
    if origin is None:
        raise ValueError("a student of layers needs a donor")
    config = labelled_config(origin.config, task.spec.labels)
    layers = None if spec.checkpoint else select_layers(spec, int(config.num_hidden_layers))
    if layers is not None:
        config = shallow_config(config, layers)
    return StudentPlan(spec, donor, layers, config, count_weights(origin, config))


def count_weights(checkpoint: Checkpoint, config: Any) -> int:
    """Number of weights of a checkpoint's architecture, which its configuration must be able to build."""
    with door(checkpoint.folder / "config.json", "correct it", "describes no encoder that can be built"):
        return count_parameters(config)
