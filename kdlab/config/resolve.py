"""The configuration of a run: typed, layered, and checked in one place.

Layers, each over the one before: defaults, the method's presets for all profiles, the profile, the method's presets for
that profile, the same for a BiLSTM as the student, the YAML file of ``--config``, the flags and ``key=value`` words of
the command line.
"""

from __future__ import annotations

import inspect
import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from kdlab.config.files import flatten
from kdlab.config.schema import LOGGERS, PROFILES, Resolved, RunConfig
from kdlab.data.domains import BOTH, DOMAINS, TARGET
from kdlab.data.selection import AUTO, parse_rule
from kdlab.errors import KdlabError, nearest
from kdlab.methods import METHODS
from kdlab.methods.base import DistillModule, MethodConfig

_LARGEST = 2**31 - 1  # of any number: beyond it seeds and sizes overflow inside the libraries
_MOST_SEEDS = 1000
_MOST_WORKERS = 256


PRESETS: dict[str, dict[str, Any]] = {
    # the papers fine-tune with the settings of Devlin et al. 2019 and select on dev, as their tables do
    "paper": {
        "data.selection": "dev",
        "data.select_by": "metric",
        "data.max_length": 128,
        "teacher.min_steps": 0,
        "training.min_steps": 0,
    },
    # an encoder of a million weights, at the settings that experiments/embedded/hardness.py measures
    "embedded": {
        "teacher.learning_rate": 2e-4,
        "teacher.epochs": 4,
        "training.learning_rate": 2e-4,
        "training.epochs": 4,
        "student.source": "layers:bottom:2",
    },
    # a network whose weights are all drawn takes longer steps than one that was pretrained
    "bilstm": {"training.learning_rate": 1e-3},
}


class Draft:
    """Settings of a run before it is known which encoder they are for: typed and checked, open to one more preset.

    Args:
        method: The method's class.
        teacher_method: The class of the method that makes the teacher.
        overrides: Dotted keys from the YAML file and the command line.

    Raises:
        KdlabError: Unknown key, wrong type, or a value out of range.
    """

    def __init__(
        self, method: type[DistillModule], teacher_method: type[DistillModule], overrides: Mapping[str, Any]
    ) -> None:
        if method.name == teacher_method.name and method is not teacher_method:
            raise KdlabError(
                f"The method and teacher.method are two classes of one name, '{method.name}', and would share a "
                "section: give one of them another `name`."
            )
        self._methods = {kind.name: kind for kind in (teacher_method, method)}
        self._names = method.name, teacher_method.name
        self._overrides = overrides
        self._tree = _empty_tree(list(self._methods.values()), method)
        self._known = list(flatten(_container(self._tree)))
        paper = ("paper",) if overrides.get("profile") == "paper" else ()  # may name the pair
        for name in ("*", *paper):
            self._apply(name)
        for key, value in overrides.items():
            set_value(self._tree, key, value, self._known)
        for key in sorted(OmegaConf.missing_keys(self._tree)):
            raise KdlabError(f"'{key}' has no default: give {key}=VALUE.")
        self.resolved = self._resolve()

    def with_preset(self, name: str) -> Resolved:
        """The settings under one more preset, which gives way to what the user says."""
        self._apply(name)
        self.resolved = self._resolve()
        return self.resolved

    def with_defaults(self, values: Mapping[str, Any]) -> Resolved:
        """The settings with other defaults, which give way to what the user says."""
        for key, value in values.items():
            if key not in self._overrides:
                set_value(self._tree, key, value, self._known)
        self.resolved = self._resolve()
        return self.resolved

    def _apply(self, preset: str) -> None:
        own, teachers = (self._methods[name] for name in self._names)
        layers = [PRESETS.get(preset, {})]
        if teachers is not own:
            layers.append(_for_teacher(teachers.name, teachers.presets.get(preset, {})))
        layers.append(own.presets.get(preset, {}))
        for key, value in ((k, v) for layer in layers for k, v in layer.items()):
            if key not in self._overrides:
                set_value(self._tree, key, value, self._known)

    def _resolve(self) -> Resolved:
        own, teachers = self._names
        plain = _container(self._tree)
        check_values(plain, set(self._methods))
        run = _to_run(self._tree)
        configs = {}
        for name in self._methods:
            config = OmegaConf.to_object(self._tree[name])
            if isinstance(config, MethodConfig):
                vars(config)["section"] = name  # a method that inherits its settings has a section of its own
                config.validate()
                plain[name] = asdict(config)  # with what a setting left open to another
            configs[name] = config
        if teachers != own and not plain[teachers]:
            del plain[teachers]  # it has no settings
        _check(run)
        return Resolved(run, configs[own], configs[teachers], plain)


def _for_teacher(name: str, preset: Mapping[str, Any]) -> dict[str, Any]:
    """What a method's preset says where it makes the teacher: its own settings, and its training's as the teacher's."""
    own = {key: value for key, value in preset.items() if key.startswith(f"{name}.")}
    start = "training."
    return own | {f"teacher.{k.removeprefix(start)}": v for k, v in preset.items() if k.startswith(start)}


def _empty_tree(methods: Sequence[type[DistillModule]], own: type[DistillModule]) -> DictConfig:
    """Every setting with its default: those of all runs, and a section for each method."""
    every = OmegaConf.structured(RunConfig)
    tree = OmegaConf.create({f.name: every._get_node(f.name) for f in fields(RunConfig)})
    for method in methods:
        _check_method(method)
        try:
            tree[method.name] = OmegaConf.structured(method.Config)
        except OmegaConfBaseException as e:
            raise KdlabError(f"A field of {method.__name__}.Config is no setting: {str(e).splitlines()[0]}.") from e
    tree["method"] = own.name
    OmegaConf.set_struct(tree, True)
    return tree


def _check_method(method: type[DistillModule]) -> None:
    """A method's name is its section beside the settings of every run, and its ``Config`` says what is in it."""
    if method is DistillModule:
        raise KdlabError("DistillModule itself is no method: give a subclass that overrides compute_loss.")
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", method.name):
        raise KdlabError(f"The method's name '{method.name}' must be letters, digits, '_' and '-', a letter first.")
    if method.name in {f.name for f in fields(RunConfig)}:
        raise KdlabError(f"A method can't be named '{method.name}', a setting of every run: change its `name`.")
    own = method.Config
    bare = bool(inspect.get_annotations(own)) and "__dataclass_fields__" not in vars(own)
    if not issubclass(own, MethodConfig) or bare:
        raise KdlabError(f"{method.__name__}.Config must be a dataclass (@dataclass) derived from MethodConfig.")


def check_values(plain: dict[str, Any], sections: set[str]) -> None:
    """What no setting may be, a method's own included."""
    for key, value in flatten(plain).items():
        if isinstance(value, float) and not math.isfinite(value):
            raise KdlabError(f"{key}={value}: it must be a finite number.")
        if isinstance(value, int | float) and abs(value) > _LARGEST:
            raise KdlabError(f"{key}={value}: no number here goes beyond {_LARGEST}.")
        if value == "" and key.partition(".")[0] not in sections:
            raise KdlabError(f"'{key}' is empty: give it a value, or leave it out.")


def _container(tree: DictConfig) -> dict[str, Any]:
    return OmegaConf.to_container(tree, resolve=True)  # type: ignore[return-value]


def _to_run(tree: DictConfig) -> RunConfig:
    base = OmegaConf.structured(RunConfig)
    for f in fields(RunConfig):
        base[f.name] = tree[f.name]
    return OmegaConf.to_object(base)  # type: ignore[return-value]


def set_value(tree: DictConfig, key: str, value: Any, known: list[str]) -> None:
    """Sets a setting.

    Args:
        tree: The settings.
        key: Dotted.
        value: As the user gives it.
        known: Every dotted key.

    Raises:
        KdlabError: There is no such setting, it is a section, or the value has the wrong type.
    """
    if key not in known and not any(k.startswith(f"{key}.") for k in known):
        section = key.partition(".")[0]
        if section in METHODS and section not in tree:
            raise KdlabError(f"'{key}' is a setting of {section}, and this run has another method: leave it out.")
        raise nearest(key, known, "setting")
    if key not in known:
        raise KdlabError(f"'{key}' is a section: set one of {', '.join(k for k in known if k.startswith(key + '.'))}.")
    if isinstance(value, str) and "${" in value:
        raise KdlabError(f"{key}={value}: variables are not filled in here, so write the value itself.")
    try:
        OmegaConf.update(tree, key, value)
    except OmegaConfBaseException as e:
        reason, default = str(e).splitlines()[0].rstrip("."), OmegaConf.to_container(tree, resolve=True)
        for part in key.split("."):
            default = default[part]  # type: ignore[index, call-overload]
        if isinstance(default, list):
            reason = "it is a list"
        raise KdlabError(f"{key}={value} has the wrong type: {reason}; the default is {default!r}.") from e


def _check(run: RunConfig) -> None:
    """Ranges and words, each with the key that is wrong."""
    _one_of("profile", run.profile, PROFILES)
    _one_of("data.selection", run.data.selection, ("holdout", "dev"))
    for name in run.logger:
        _one_of("logger", name, LOGGERS)
    if not 1 <= run.seeds <= _MOST_SEEDS:
        raise KdlabError(f"seeds={run.seeds}: it says how many, 1 to {_MOST_SEEDS}; --seed says which.")
    if run.seeds > 1 and "wandb" in run.logger and os.environ.get("WANDB_RUN_ID"):
        raise KdlabError(
            f"seeds={run.seeds}, but WANDB_RUN_ID (which a sweep's agent sets) names one W&B run: "
            "give one --seed a run, for instance as a parameter of the sweep."
        )
    for key, seed in (("seed", run.seed), ("teacher.seed", run.teacher.seed), ("data.split_seed", run.data.split_seed)):
        _at_least(key, seed, 0)
    if not 0 <= run.data.workers <= _MOST_WORKERS:
        raise KdlabError(f"data.workers={run.data.workers}: it says how many processes, 0 to {_MOST_WORKERS}.")
    _check_selection(run)
    _check_domains(run)
    if run.evaluation.ood_dir is not None and not run.evaluation.ood:
        raise KdlabError(
            f"--ood-dir {run.evaluation.ood_dir}: evaluation.ood names no set to read there; add "
            "evaluation.ood=[hans], say (--list ood has the others), or leave --ood-dir out."
        )
    if run.data.max_length is not None:
        _at_least("data.max_length", run.data.max_length, 8)
    for section, t in (("teacher", run.teacher), ("training", run.training)):
        for name in ("epochs", "batch_size", "accumulate", "log_every"):
            _at_least(f"{section}.{name}", getattr(t, name), 1)
        for name in ("eval_batch_size", "patience", "min_steps"):
            _at_least(f"{section}.{name}", getattr(t, name), 0)
        if t.max_steps == 0 or t.max_steps < -1:
            raise KdlabError(f"{section}.max_steps={t.max_steps}: a number of steps, or -1 for all epochs.")
        if t.learning_rate <= 0:
            raise KdlabError(f"{section}.learning_rate={t.learning_rate}: it must be positive.")
        if t.batch_size % t.accumulate:
            raise KdlabError(f"{section}.batch_size={t.batch_size} must be a multiple of accumulate={t.accumulate}.")
        for name in ("weight_decay", "warmup", "clip", "checkpoint_every"):
            if getattr(t, name) < 0:
                raise KdlabError(f"{section}.{name}={getattr(t, name)}: it can't be negative.")
        if t.warmup > 1:
            raise KdlabError(f"{section}.warmup={t.warmup}: it is a fraction of the steps, at most 1.")


def _check_selection(run: RunConfig) -> None:
    """What chooses the checkpoint, and whether there is something to choose it on."""
    if not 0 <= run.data.holdout < 0.9:
        raise KdlabError(f"data.holdout={run.data.holdout}: it is the fraction of train held out, from 0 to 0.9.")
    if run.data.select_by == AUTO:
        return  # it is settled when the data is read, and checked again
    rule = parse_rule(run.data.select_by)
    if run.data.selection == "holdout" and run.data.holdout == 0 and rule.chooses:
        raise KdlabError(
            f"data.holdout=0 leaves nothing to choose a checkpoint on by {run.data.select_by}: add data.select_by=last "
            "or mean:3, or select on dev (data.selection=dev)."
        )
    for section, training in (("teacher", run.teacher), ("training", run.training)):
        if training.patience and not rule.chooses:
            raise KdlabError(
                f"{section}.patience={training.patience} ends a training behind its best epoch, and data.select_by="
                f"{run.data.select_by} knows no best one: leave one of them out."
            )
        if training.max_steps >= 0 and rule.count:
            raise KdlabError(
                f"{section}.max_steps={training.max_steps} may end a training before its last epochs, which data."
                f"select_by={run.data.select_by} averages: say how many epochs instead."
            )


def _check_domains(run: RunConfig) -> None:
    """What is said of a source domain, and how much of the target is taken."""
    data = run.data
    if data.target_per_class is not None:
        _at_least("data.target_per_class", data.target_per_class, 1)
        if data.limit_train is not None:
            raise KdlabError(
                f"--target-per-class {data.target_per_class} and --limit-train {data.limit_train} both say how much of "
                "the training data is taken: leave one of them out."
            )
    said = {
        "data.source_dir": (data.source_dir, None),
        "data.limit_source": (data.limit_source, None),
        "data.domains": (data.domains, BOTH),
        "teacher.domain": (run.teacher.domain, TARGET),
    }
    for key in ("data.domains", "teacher.domain"):
        _one_of(key, said[key][0], DOMAINS)  # type: ignore[arg-type]
    for key, (value, default) in said.items():
        if data.source is None and value != default:
            raise KdlabError(f"{key}={value}, but there is no source domain: name one by --source, or leave {key} out.")


def _one_of(key: str, value: str, words: tuple[str, ...]) -> None:
    if value not in words:
        raise nearest(value, words, f"{key} of the name")


def _at_least(key: str, value: int, least: int) -> None:
    if value < least:
        raise KdlabError(f"{key}={value}: it must be {least} or more.")
