"""The methods by name. A method is imported when it is used; one outside the package is ``path/to/file.py:Class``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kdlab.system.own_code import about_class, find_class

if TYPE_CHECKING:
    from kdlab.methods.base import DistillModule

METHODS: dict[str, tuple[str, str]] = {
    "finetune": ("kdlab.methods.finetune:FineTune", "cross-entropy on the gold labels, no teacher in the loss"),
    "kd": ("kdlab.methods.kd:KD", "soft targets at a temperature (Hinton et al. 2015)"),
    "pkd": ("kdlab.methods.pkd:PKD", "kd and [CLS] states of mapped layers (Sun et al. 2019)"),
    "tinybert_kd": (
        "kdlab.methods.tinybert_kd:TinyBERTKD",
        "attention and hidden states, then predictions (Jiao et al. 2020)",
    ),
    "annealing_kd": (
        "kdlab.methods.annealing_kd:AnnealingKD",
        "the teacher's logits grow to full size, then the gold label (Jafari et al. 2021)",
    ),
    "ad2": ("kdlab.methods.ad2:AD2", "soft targets on clean and adversarial embeddings (Zhang et al. 2022)"),
    "mixkd": ("kdlab.methods.mixkd:MixKD", "teacher and student on mixed embeddings (Liang et al. 2021)"),
    "mate_kd": ("kdlab.methods.mate_kd:MateKD", "text that a generator makes against the student (Rashid et al. 2021)"),
    "cilda": ("kdlab.methods.cilda:CILDA", "mate_kd and a contrastive loss over all layers (Haidar et al. 2022)"),
    "ganbert": ("kdlab.methods.ganbert:GANBERT", "few labels, and a generator of features (Croce et al. 2020)"),
    "l2a": ("kdlab.methods.l2a:L2A", "candidates of two domains that a selector keeps (Feng et al. 2021)"),
}


def load_method(name: str) -> type[DistillModule]:
    """The class of a method.

    Args:
        name: A name in ``METHODS``, or ``path/to/file.py:Class``.

    Raises:
        KdlabError: No such method, file or class, or the class is no ``DistillModule``.
    """
    from kdlab.methods.base import DistillModule

    return find_class(name, METHODS, DistillModule, "method")


def about_method(name: str) -> list[str]:
    """A method's name, and for a user's own file its content's fingerprint."""
    return about_class(name)
