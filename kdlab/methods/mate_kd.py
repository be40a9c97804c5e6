"""MATE-KD: masked adversarial text (Rashid, Lioutas and Rezagholizadeh 2021, arXiv:2105.05912)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from kdlab.methods.adversarial_text import AdversarialText, AdversarialTextConfig
from kdlab.methods.base import MethodConfig
from kdlab.methods.shared.settings import ROBERTA_PAIR


@dataclass
class MateKDConfig(AdversarialTextConfig):
    """Settings of ``mate_kd``: those of ``AdversarialTextConfig``.

    Attributes:
        n_g: Batches that the generator trains on in a cycle, 10.
    """

    n_g: int | None = 10


class MateKD(AdversarialText):
    """Max: ``KL(T(x') ‖ S(x'))``; min: ``⅓ CE + ⅓ KL(T(x) ‖ S(x)) + ⅓ KL(T(x') ‖ S(x'))`` (section 3, Algorithm 1).

    ``x'`` is the batch with 30 % of its tokens masked and filled in by a masked LM. For regression every divergence is
    a squared error. Departures from the paper's letter: an example has at least one masked token, and the generator
    fills in no special token.
    """

    name: ClassVar[str] = "mate_kd"
    Config: ClassVar[type[MethodConfig]] = MateKDConfig
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "paper": {"training.learning_rate": 2e-5, **ROBERTA_PAIR},
        # a generator this small attacks only so; experiments/cilda/attack.py
        "embedded": {"mate_kd.generator_learning_rate": 1e-3, "mate_kd.gumbel_temperature": 2.0},
    }
    config: MateKDConfig
