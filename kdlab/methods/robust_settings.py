"""Settings of ``robust``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from kdlab.attacks import load_recipe
from kdlab.attacks.kit import LEXICAL
from kdlab.errors import KdlabError
from kdlab.methods.shared.settings import MethodConfig, at_least, fraction, one_of, positive

APPEND, CONTINUE = "append", "continue"
FINETUNE, AUGMENTED = "finetune", "augmented"
"""The phases of ``continue``."""


@dataclass
class RobustConfig(MethodConfig):
    """Settings of ``robust``; the defaults are the robustness study's.

    Attributes:
        use: ``append`` trains on train and augmented examples; ``continue`` fine-tunes on train, then trains on
            augmented ones alone. The examples are those of ``augment=FILE``.
        finetune_epochs: Epochs of that fine-tuning; None takes ``training.epochs``, 0 leaves it out for a student that
            comes fine-tuned.
        finetune_learning_rate: Its peak learning rate; None takes ``training.learning_rate``.
        online: A recipe that attacks the student before each epoch (``kdlab list recipes``, or
            ``path/to/file.py:Class``), one that works with words and letters alone; None attacks nobody.
        attacked: Fraction of train's own rows that it attacks, drawn anew each epoch, in (0, 1].
        resources: Folder of its lexical resources; None takes ``$KDLAB_RESOURCES``.
        alpha: Weight of the soft loss; 1 - alpha is the gold label's. 0 takes no teacher.
        temperature: t > 0; plays no part in regression.
        scale_t2: Whether the soft loss carries t².
        show: Attacked texts of each epoch that are shown, and kept in ``augmented.jsonl``.
    """

    not_in_fingerprint: ClassVar[tuple[str, ...]] = ("resources", "show")  # resources are known by their content

    use: str = APPEND
    finetune_epochs: int | None = None
    finetune_learning_rate: float | None = None
    online: str | None = None
    attacked: float = 0.1
    resources: str | None = None
    alpha: float = 0.0
    temperature: float = 4.0
    scale_t2: bool = True
    show: int = 4

    def attacked_of(self, rows: int) -> int:
        """How many of so many rows are attacked in an epoch; one at least."""
        return 0 if self.online is None or not rows else max(int(self.attacked * rows + 0.5), 1)

    def validate(self) -> None:
        """Checks words, ranges, and what goes together."""
        one_of(self, "use", (APPEND, CONTINUE))
        at_least(self, 0, "finetune_epochs", "show")
        positive(self, "finetune_learning_rate", "temperature", "attacked")
        fraction(self, "attacked", "alpha")
        for name in ("finetune_epochs", "finetune_learning_rate") if self.use == APPEND else ():
            if getattr(self, name) is not None:
                raise KdlabError(
                    f"{self.section}.{name}={getattr(self, name)}: {self.section}.use={APPEND} fine-tunes nobody "
                    f"before it, so leave it out, or set {self.section}.use={CONTINUE}."
                )
        for name in ("attacked", "resources") if self.online is None else ():
            if getattr(self, name) != getattr(type(self), name):
                raise KdlabError(
                    f"{self.section}.{name}={getattr(self, name)} is about attacks in training, and no recipe is "
                    f"named: add {self.section}.online=deepwordbug, or leave it out."
                )
        if self.online is not None:
            self._check_recipe(self.online)

    def _check_recipe(self, name: str) -> None:
        """Raises ``KdlabError`` for a recipe that isn't there, or that a training has nothing for."""
        for need in load_recipe(name).needs:
            if need not in LEXICAL:
                raise KdlabError(
                    f"{self.section}.online={name}: the recipe needs a {need}, and in training nobody answers but the "
                    f"student: take one that works with words and letters alone, such as deepwordbug or pruthi."
                )
