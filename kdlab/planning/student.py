"""What the student will be made of, decided before any training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kdlab.data.task_data import TaskData
from kdlab.models.checkpoint import Checkpoint, labelled_config
from kdlab.models.encoder import count_parameters, depth_of
from kdlab.models.recurrent import bilstm_config
from kdlab.models.student import StudentSpec, select_layers, shallow_config
from kdlab.planning.teacher import TeacherPlan
from kdlab.system.files import fingerprint
from kdlab.system.foreign import door

_FORMAT = 1  # raised when a new BiLSTM is drawn in another way


@dataclass(frozen=True)
class StudentPlan:
    """What the student will be made of.

    Attributes:
        spec: What ``--student`` says.
        donor: Checkpoint its weights come from; None is a fine-tuned encoder, or nothing where they are drawn.
        layers: Which of the donor's layers; None takes the checkpoint as it is, or draws a new network.
        config: Hugging Face configuration of the student.
        parameters: Number of weights, head included.
        finetuned: What is done for a donor that plain fine-tuning makes of the teacher's checkpoint; None for others.
    """

    spec: StudentSpec
    donor: Checkpoint | None
    layers: tuple[int, ...] | None
    config: Any
    parameters: int
    finetuned: TeacherPlan | None = None

    @property
    def made_of(self) -> str:
        """Where its weights start, in words."""
        if self.spec.bilstm:
            c = self.config
            kind = "siamese BiLSTM" if c.pair else "BiLSTM"
            return (
                f"a new {kind} of {c.embedding_size} numbers a token, 2 × {c.hidden_size} and {c.classifier_size} units"
            )
        origin = self.donor.source if self.donor else "the teacher"
        if self.finetuned is not None:
            origin = f"{self.finetuned.checkpoint.source} after plain fine-tuning"
        return origin if self.layers is None else f"layers {', '.join(map(str, self.layers))} of {origin}"

    @property
    def key(self) -> str:
        """Fingerprint of what its weights start from besides the teacher, of which nothing is said here."""
        if self.spec.bilstm:
            return fingerprint("bilstm", _FORMAT, self.config.vocab_size, self.config.separator_token_id)
        if self.finetuned is not None:
            return self.finetuned.key
        return self.donor.weights_fingerprint if self.donor else ""


def plan_student(
    spec: StudentSpec, donor: Checkpoint | None, teacher: Checkpoint | None, task: TaskData
) -> StudentPlan:
    """What the student will be made of.

    Args:
        spec: What ``--student`` says.
        donor: Checkpoint its weights come from; None is the teacher, or nothing for a new network.
        teacher: The teacher's checkpoint, where there is one; a new network reads its token ids.
        task: Its labels are the head's.

    Raises:
        KdlabError: The layers are not there, or the configuration can't be built.
    """
    origin = donor or teacher
    if origin is None:
        raise ValueError("a student of layers needs a donor, and a BiLSTM a tokenizer")
    if spec.bilstm:
        pair, rows = task.spec.text_pair is not None, int(origin.config.vocab_size)
        new = labelled_config(bilstm_config(spec.bilstm, rows, origin.tokenizer, pair, origin.source), task.spec.labels)
        return StudentPlan(spec, None, None, new, count_parameters(new))
    config = labelled_config(origin.config, task.spec.labels)
    layers = None if spec.checkpoint else select_layers(spec, depth_of(config))
    if layers is not None:
        config = shallow_config(config, layers)
    return StudentPlan(spec, donor, layers, config, count_weights(origin, config))


def count_weights(checkpoint: Checkpoint, config: Any) -> int:
    """Number of weights of a checkpoint's architecture, which its configuration must be able to build."""
    with door(checkpoint.folder / "config.json", "correct it", "describes no encoder that can be built"):
        return count_parameters(config)
