"""The configuration of a run: typed, layered, and checked in one place.

Layers, each over the one before: defaults, the method's presets for all profiles, the profile, the method's presets for
that profile, the same for a BiLSTM as the student, the YAML file of ``--config``, the flags and ``key=value`` words of
the command line.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from kdlab.config.checks import check_run, check_values
from kdlab.config.files import flatten
from kdlab.config.schema import Resolved, RunConfig
from kdlab.errors import KdlabError, nearest
from kdlab.methods import METHODS
from kdlab.methods.base import DistillModule, MethodConfig

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
        check_run(run)
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
