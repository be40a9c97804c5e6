"""The methods by name. A method is imported when it is used; one outside the package is ``path/to/file.py:Class``."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from kdlab.errors import KdlabError, nearest

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

    if ".py:" in name:
        file, _, attribute = name.rpartition(":")
        kind = _from_file(Path(file).expanduser(), attribute)
    elif name.endswith(".py"):
        raise KdlabError(f"--method {name} names a file without a class: write {name}:Class.")
    elif name in METHODS:
        module, _, attribute = METHODS[name][0].partition(":")
        kind = getattr(importlib.import_module(module), attribute)
    else:
        raise nearest(name, METHODS, "method")
    if not (isinstance(kind, type) and issubclass(kind, DistillModule)):
        raise KdlabError(f"{name} is no subclass of kdlab.methods.base.DistillModule.")
    return kind


def about_method(name: str) -> list[str]:
    """A method's name, and for a user's own file its content's fingerprint."""
    from kdlab.system.files import file_digest

    if ".py:" not in name:
        return [name]
    file, _, attribute = name.rpartition(":")
    return [attribute, file_digest(Path(file).expanduser())]


def _from_file(file: Path, attribute: str) -> object:
    from kdlab.system.files import fingerprint

    if not file.is_file():
        raise KdlabError(f"There is no file {file}: give --method path/to/file.py:Class.")
    name = f"kdlab_user_{file.stem}_{fingerprint(str(file.resolve()))[:8]}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise KdlabError(f"{file} can't be imported as Python.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up where annotations are strings
    try:
        spec.loader.exec_module(module)
    except Exception as e:
        del sys.modules[name]
        raise KdlabError(f"{file} can't be imported: {type(e).__name__}: {e}") from e
    if not hasattr(module, attribute):
        known = [n for n, v in vars(module).items() if isinstance(v, type) and v.__module__ == module.__name__]
        raise nearest(attribute, known, f"class in {file}")
    return getattr(module, attribute)
