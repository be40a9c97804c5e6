"""Classes by name: one of kdlab's registries, or one of the user's own, ``path/to/file.py:Class``."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from kdlab.errors import KdlabError, nearest

T = TypeVar("T")


def find_class(name: str, registry: Mapping[str, tuple[str, str]], base: type[T], what: str) -> type[T]:
    """A class, imported when it is asked for.

    Args:
        name: A name of the registry, or ``path/to/file.py:Class``.
        registry: Name to ``module:Class`` and one line.
        base: What it must be a subclass of.
        what: What it is, which is also the name of the flag: ``method`` for ``--method``.

    Raises:
        KdlabError: No such name, file or class, or the class is of another kind.
    """
    if ".py:" in name:
        file, _, attribute = name.rpartition(":")
        kind = _from_file(Path(file).expanduser(), attribute, what)
    elif name.endswith(".py"):
        raise KdlabError(f"--{what} {name} names a file without a class: write {name}:Class.")
    elif name in registry:
        module, _, attribute = registry[name][0].partition(":")
        kind = getattr(importlib.import_module(module), attribute)
    else:
        raise nearest(name, registry, what)
    if not (isinstance(kind, type) and issubclass(kind, base)):
        raise KdlabError(f"{name} is no subclass of {base.__module__}.{base.__qualname__}.")
    return kind


def about_class(name: str) -> list[str]:
    """A class's name, and for a user's own file its content's fingerprint."""
    from kdlab.system.files import file_digest

    if ".py:" not in name:
        return [name]
    file, _, attribute = name.rpartition(":")
    return [attribute, file_digest(Path(file).expanduser())]


def _from_file(file: Path, attribute: str, what: str) -> object:
    from kdlab.system.files import fingerprint  # with numpy, which a list of names needs not

    if not file.is_file():
        raise KdlabError(f"There is no file {file}: give --{what} path/to/file.py:Class.")
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
