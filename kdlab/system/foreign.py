"""The door through which files come in that may be anybody's: configurations, records, manifests, YAML, tables.

Only regular files of bounded size are opened, and whatever goes wrong while one is read, in whatever library, becomes
one sentence. Outside the door an unexpected exception keeps its traceback: it is a fault of kdlab's own.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

import yaml

from kdlab.errors import KdlabError
from kdlab.system.shown import clipped, shown

MIB = 1 << 20
JSON_LIMIT = 256 * MIB  # a tokenizer of a quarter of a million words takes 20
YAML_LIMIT = MIB // 4  # PyYAML reads about 100 kB a second
TABLE_LIMIT = 8192 * MIB
_ODD_NUMBER = re.compile(r"[-+]?(0[0-9_]+|[0-9_]*:.*)")  # octal, and sixty times sixty
_VALUES = 20_000  # of a YAML file, those of aliases counted at each place


def reason(error: BaseException) -> str:
    """What an error says, on one line of at most 300 characters; its kind where it says nothing."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    text = " ".join(str(error).split()).partition(" For further information visit")[0].rstrip(".:")
    if isinstance(error, RecursionError):
        text = "it is nested too deeply"
    elif isinstance(error, LookupError):  # says the key alone
        text = f"{type(error).__name__} {text}"
    return clipped(text or type(error).__name__, 300)


@contextmanager
def door(path: Path | str, advice: str, fault: str = "can't be read") -> Iterator[None]:
    """For code that has a library read a foreign file: whatever that raises becomes one sentence.

    Args:
        path: The file or folder, or what else is read, for the message.
        advice: What to do about it.
        fault: What is wrong with it.

    Raises:
        KdlabError: Anything went wrong inside; one that was raised there comes through as it is.
    """
    try:
        yield
    except (KdlabError, KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as error:  # libraries in Rust panic with an exception that is no Exception
        raise KdlabError(f"{path} {fault} ({reason(error)}): {advice}.") from error


@contextmanager
def opened(path: Path, limit: int = TABLE_LIMIT) -> Iterator[BinaryIO]:
    """A regular file, open for reading its bytes.

    Args:
        path: The file. Links are followed: the hub's cache is made of them.
        limit: Its size in bytes at most.

    Raises:
        KdlabError: It is not there, may not be read, is a device or a pipe, or is larger.
    """
    advice = "check the path and its permissions"
    with door(path, advice):
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        about = os.fstat(descriptor)
        what = "a folder" if stat.S_ISDIR(about.st_mode) else "a device or a pipe"
        if not stat.S_ISREG(about.st_mode):
            os.close(descriptor)
            raise KdlabError(f"{path} is {what}, not a file: give a file.")
        if about.st_size > limit:
            os.close(descriptor)
            raise KdlabError(
                f"{path} has {about.st_size:,} bytes, and kdlab reads such a file up to {limit:,}: check that it is "
                "the right one."
            )
        file = os.fdopen(descriptor, "rb")
    with file:
        yield file


@contextmanager
def unpacked(path: Path) -> Iterator[BinaryIO]:
    """A regular file as ``opened`` gives it, or what is inside it where its name ends in ``.gz``.

    Raises:
        KdlabError: It can't be opened. What is broken inside shows while it is read, so read it behind a ``door``.
    """
    with opened(path) as file:
        if path.suffix != ".gz":
            yield file
            return
        with gzip.open(file) as inside:
            yield cast("BinaryIO", inside)


def check_regular(path: Path, limit: int = TABLE_LIMIT) -> None:
    """Raises ``KdlabError`` where a path is no regular file of at most so many bytes that may be read."""
    with opened(path, limit):
        pass


def read_text(path: Path, limit: int = JSON_LIMIT) -> str:
    """A UTF-8 file, with or without byte-order mark.

    Raises:
        KdlabError: It can't be read, or is no UTF-8; the message names the line.
    """
    with opened(path, limit) as file, door(path, "check the disk"):
        raw = file.read(limit + 1).removeprefix(b"\xef\xbb\xbf")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise KdlabError(
            f"{path}:{line}: byte 0x{raw[error.start]:02x} is not UTF-8: save the file as UTF-8."
        ) from error


def read_json(path: Path, advice: str, limit: int = JSON_LIMIT) -> Any:
    """The content of a JSON file.

    Args:
        path: The file.
        advice: What to do where it is no JSON.
        limit: Its size in bytes at most.

    Raises:
        KdlabError: It can't be read or is no JSON.
    """
    text = read_text(path, limit)
    with door(path, advice):
        return json.loads(text, object_pairs_hook=once)


def once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object; ``json`` would take the last of two fields of one name, and nobody would know.

    Raises:
        ValueError: A field stands there twice.
    """
    content = dict(pairs)
    if len(content) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"field '{clipped(shown(twice), 60)}' stands there twice")
    return content


def read_fields(path: Path, advice: str, limit: int = JSON_LIMIT) -> dict[str, Any]:
    """The content of a JSON file that holds one object.

    Raises:
        KdlabError: It can't be read, is no JSON, or holds something else.
    """
    content = read_json(path, advice, limit)
    if not isinstance(content, dict):
        raise KdlabError(f"{path} holds {_kind(content)} where fields are needed ({{…}}): {advice}.")
    return content


def read_yaml(path: Path, texts: Sequence[str] = ()) -> tuple[Any, yaml.Node | None]:
    """The content of a YAML file, and its tree, whose nodes know their lines and the text that was written.

    Args:
        path: The file.
        texts: Fields at its top whose values are taken as they were written, whatever YAML makes of them.

    Raises:
        KdlabError: It can't be read, is no YAML (the message names the line where PyYAML knows it), names a field
            twice, holds a number that YAML reads otherwise than it looks, or its aliases make more of it than fits
            into memory.
    """
    return parse_yaml(read_text(path, YAML_LIMIT), path, texts)


def parse_yaml(text: str, path: Path | str, texts: Sequence[str] = ()) -> tuple[Any, yaml.Node | None]:
    """As ``read_yaml``, of a text; ``path`` names it in messages."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        if root is not None:
            if _size(root, {}) > _VALUES:
                raise KdlabError(f"{path} holds more than {_VALUES:,} values: take out its aliases (*name).")
            _check_tree(root, path, texts)
        return yaml.safe_load(text), root
    except KdlabError:
        raise
    except Exception as error:  # PyYAML lets plain errors of its constructors through: a date of month 13, "!!bool x"
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark is not None else str(path)
        what = getattr(error, "problem", None) or reason(error)
        raise KdlabError(f"{where}: not valid YAML ({clipped(str(what), 200)}): correct the file.") from error


def _check_tree(node: yaml.Node, path: Path | str, texts: Sequence[str] = ()) -> None:
    """Raises ``KdlabError`` for a field that stands there twice, or a number that is read otherwise than it looks."""
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _check_tree(item, path)
    elif isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, item in node.value:
            name = str(key.value)
            if isinstance(key, yaml.ScalarNode) and name in seen and name != "<<":
                line = key.start_mark.line + 1
                raise KdlabError(f"{path}:{line}: field '{clipped(shown(name), 60)}' stands there twice: remove one.")
            seen.add(name)
            if name not in texts:
                _check_tree(item, path)
    elif node.tag in ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float") and _ODD_NUMBER.fullmatch(node.value):
        value = yaml.safe_load(node.value)
        raise KdlabError(
            f"{path}:{node.start_mark.line + 1}: YAML reads {clipped(node.value, 40)} as {value}: write {value}, or "
            "quotes around it."
        )


def _size(node: yaml.Node, known: dict[int, int]) -> int:
    """Number of values below a node, those of an alias counted at each of its places.

    Raises:
        ValueError: An alias stands inside itself.
    """
    if id(node) in known:
        if not known[id(node)]:
            raise ValueError("an alias stands inside itself")
        return known[id(node)]
    known[id(node)] = 0  # under way
    total = 1
    if isinstance(node, yaml.SequenceNode):
        total += sum(_size(item, known) for item in node.value)
    elif isinstance(node, yaml.MappingNode):
        total += sum(_size(key, known) + _size(item, known) for key, item in node.value)
    known[id(node)] = total
    return total


def _kind(content: Any) -> str:
    names = {dict: "fields", list: "a list", str: "a text", bool: "true or false", int: "a number", float: "a number"}
    return "nothing" if content is None else names.get(type(content), f"a {type(content).__name__}")
