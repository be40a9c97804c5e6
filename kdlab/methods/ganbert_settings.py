"""Settings of ``ganbert``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kdlab.errors import KdlabError
from kdlab.methods.shared.settings import MethodConfig, at_least, check_weights, one_of, positive

CLASSES: dict[str, dict[str, Any]] = {
    "study": {"unknown": True},  # k + 2 classes: labels, UNK, FAKE
    "original": {"unknown": False},  # k + 1 classes, as in the TensorFlow code: UNK is the fake class
}
"""What ``ganbert.preset`` sets where a key of its own does not."""


@dataclass
class GANBERTConfig(MethodConfig):
    """Settings of ``ganbert``.

    Attributes:
        preset: What ``unknown`` is where it is left open: ``study`` has it, ``original`` doesn't.
        unknown: Whether there is a class UNK beside the labels, for what is real and none of them.
        game: Play at all; off is the twin that learns from labelled rows alone, in the same steps over the same rows.
        noise: Numbers of the noise that features are made of.
        hidden: Units of the generator's hidden layer; None takes the features' width.
        dropout: Of that layer.
        generator_learning_rate: The generator's, which stays as it is through training.
        matching_weight: Weight of the feature matching in the generator's loss.
        epsilon: ε in the generator's loss.
    """

    preset: str = "study"
    unknown: bool | None = None
    game: bool = True
    noise: int = 100
    hidden: int | None = None
    dropout: float = 0.1
    generator_learning_rate: float = 2e-5  # at 5e-4 it outruns the discriminator, and the student learns nothing
    matching_weight: float = 1.0
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        """Fills in what the preset says, so that records show it."""
        for key, value in CLASSES.get(self.preset, {}).items():
            if getattr(self, key) is None:
                setattr(self, key, value)

    @property
    def further_classes(self) -> int:
        """How many classes there are besides the labels."""
        return int(bool(self.unknown)) + int(self.game)

    def validate(self) -> None:
        """Checks words and ranges."""
        one_of(self, "preset", CLASSES)
        at_least(self, 1, "noise", "hidden")
        positive(self, "generator_learning_rate", "epsilon")
        check_weights(self, "matching_weight")
        if not 0 <= self.dropout < 1:
            raise KdlabError(f"{self.section}.dropout is {self.dropout}: it must lie in [0, 1).")
