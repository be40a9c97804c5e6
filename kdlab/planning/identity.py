"""Which settings stand in a fingerprint: those of the first records always, later ones where they leave their default.

So a setting that is added makes no record and no cached teacher another one, as long as it stands at its default. A
default that changes would do so in silence: a test holds them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import MISSING, asdict, fields
from typing import Any

from kdlab.config.schema import Resolved, TeacherConfig
from kdlab.methods.base import DistillModule, MethodConfig, TrainingConfig
from kdlab.methods.shared.settings import NOT_IN_FINGERPRINT

NOT_IN_IDENTITY = (
    *("out", "fresh", "logger", "seeds", "seed", "profile", "accelerator", "devices", "precision", "compile"),
    "teacher",  # its fingerprint says it all
    "evaluation",  # it changes nothing of the student
    "augment",  # its examples stand in the data's fingerprint
    *("method", "task", "data", "student", "training"),  # put in below
)
# the data has a fingerprint of its own
NOT_IN_DATA = ("dir", "workers", "source", "source_dir", "limit_source", "labelled", "unlabelled")
# they stand elsewhere in the teacher's fingerprint
TEACHERS_OWN = ("source", "seed", "labels", "method", "domain", "labelled")

WAS = {"select_by": "metric"}
"""What the first records were made with, where a later setting's default is another."""

FIRST: dict[str, frozenset[str]] = {
    section: frozenset(names.split())
    for section, names in {
        "data": "limit_train max_length split_seed selection holdout",
        "student": "source",
        "training": "epochs max_steps batch_size learning_rate weight_decay warmup clip accumulate",
        "kd": "alpha temperature scale_t2",
        "pkd": "alpha temperature beta layer_map",
        "tinybert_kd": "layer_map attention relation_heads hidden_weight attention_weight temperature layer_epochs "
        "layer_learning_rate",
        "annealing_kd": "tau epochs_each annealing_learning_rate",
        "ad2": "preset steps step_size epsilon norm init_std raw alpha temperature kd adversarial deep_kd "
        "feature_weight attention_weight layer_map attention attention_loss relation_heads measure_random",
        "mixkd": "alpha_sm alpha_tmkd beta ratio per_sample",
        "mate_kd": "generator n_g n_s p gumbel_temperature generator_learning_rate head_steps temperature ce_weight "
        "kd_weight adv_weight",
        "cilda": "generator n_g n_s p gumbel_temperature generator_learning_rate head_steps temperature ce_weight "
        "kd_weight adv_weight crd_weight alpha1 alpha2 crd_temperature width",
        "l2a": "samples source_samples edit_prior alpha word_temperature keep_original masked_lm head_steps attention "
        "relation_heads attention_weight hidden_weight dark_weight temperature selector keep_rate reward reward_rows "
        "reward_fraction reward_by selector_hidden selector_learning_rate discount baseline sample_from weights "
        "generator_learning_rate generator_batch",
    }.items()
}
"""The settings of the first records of each section."""


def run_part(settings: Resolved, method: type[DistillModule], task: str) -> dict[str, Any]:
    """The settings that the record of a run depends on, as plain values.

    Args:
        settings: Of the run.
        method: The method's class.
        task: The task's name: a file may be named in several ways, and what is in it has fingerprints.
    """
    run = settings.run
    own_name = method.name
    own = method_part(settings.method) if isinstance(settings.method, MethodConfig) else settings.plain[own_name]
    return {
        "method": own_name,
        "task": task,
        "data": _kept(run.data, FIRST["data"], NOT_IN_DATA, WAS),
        "student": _kept(run.student, FIRST["student"], ()),
        "training": training_part(run.training),
        own_name: own,
        **_kept(run, frozenset(), NOT_IN_IDENTITY),
    }


def training_part(training: TrainingConfig) -> dict[str, Any]:
    """The settings that shape what a training makes."""
    others = TEACHERS_OWN if isinstance(training, TeacherConfig) else ()
    return _kept(training, FIRST["training"], [*NOT_IN_FINGERPRINT, *others])


def method_part(config: MethodConfig) -> dict[str, Any]:
    """A method's settings; those of a user's own file all stand in, for its content is fingerprinted too."""
    section = type(config).section  # where the class was made, whoever inherits it
    if section not in FIRST and not type(config).__module__.startswith("kdlab."):
        return _chosen(asdict(config), {}, frozenset(), config.not_in_fingerprint)
    required = {f.name: getattr(config, f.name) for f in fields(config) if f.default is f.default_factory is MISSING}
    defaults = asdict(type(config)(**required))
    first = FIRST.get(section, frozenset()) | required.keys()  # what has no default always stands in
    return _chosen(asdict(config), defaults, first, config.not_in_fingerprint)


def _kept(
    config: Any, first: frozenset[str], left_out: Iterable[str], was: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    return _chosen(asdict(config), {**asdict(type(config)()), **(was or {})}, first, left_out)


def _chosen(
    values: Mapping[str, Any], defaults: Mapping[str, Any], first: frozenset[str], left_out: Iterable[str]
) -> dict[str, Any]:
    """Those of the first records, and those that are not at their default."""
    never = set(left_out)
    return {
        name: value
        for name, value in values.items()
        if name not in never and (name in first or name not in defaults or value != defaults[name])
    }
