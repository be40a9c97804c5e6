"""The ``kdlab`` command. Only the standard library is imported until the words of the command line make sense."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from kdlab import __version__
from kdlab.errors import KdlabError, nearest

# flag -> setting, type, metavar, help
_SETTINGS: dict[str, tuple[str, type, str, str]] = {
    "--method": ("method", str, "NAME", "a method of --list methods, or path/to/file.py:Class"),
    "--task": ("task", str, "NAME", "a task of --list tasks, or path/to/task.yaml"),
    "--profile": ("profile", str, "{auto,paper,embedded}", "where data and encoders come from (default: auto)"),
    "--data-dir": ("data.dir", str, "DIR", "folder in the original GLUE layout"),
    "--limit-train": ("data.limit_train", str, "N", "part of the training data: 10%%, 1%% or 500"),
    "--teacher": ("teacher.source", str, "MODEL", "folder, name on the hub, or 'embedded'"),
    "--student": ("student.source", str, "SPEC", "checkpoint, or [DONOR:]layers:bottom:3 (top, skip, or 0,2,4)"),
    "--ood-dir": ("evaluation.ood_dir", str, "DIR", "folder with the files of evaluation.ood=[…]"),
    "--seed": ("seed", int, "N", "the student's seed (default: 0)"),
    "--seeds": ("seeds", int, "N", "run N student seeds and print mean and sd"),
    "--out": ("out", str, "DIR", "where records are written (default: runs)"),
    "--accelerator": ("accelerator", str, "{auto,cpu,gpu}", "where to compute (default: auto)"),
    "--devices": ("devices", int, "N", "how many devices (default: 1)"),
    "--precision": ("precision", str, "{auto,32,bf16,16}", "arithmetic (default: auto)"),
}


class _Parser(argparse.ArgumentParser):
    """An argument parser whose complaints are one sentence, like every other."""

    def error(self, message: str) -> NoReturn:
        raise KdlabError(f"{message[0].upper()}{message[1:]}: see {self.prog} --help.")


def _parsers() -> tuple[_Parser, _Parser]:
    top = _Parser(
        prog="kdlab",
        description="Distil a fine-tuned BERT-like classifier into a small one when task data is scarce.",
        allow_abbrev=False,
    )
    top.add_argument("--version", action="version", version=f"kdlab {__version__}")
    verbs = top.add_subparsers(dest="verb", metavar="COMMAND")
    run = verbs.add_parser(
        "run",
        help="train a student and record it (the same as python -m kdlab.run)",
        description="Train a student and record it. Any setting can follow as key=value: see --print-config.",
        epilog="example: kdlab run --method mixkd --task rte --seeds 5 mixkd.alpha_sm=0.5 training.epochs=5",
        allow_abbrev=False,
    )
    for flag, (key, kind, metavar, text) in _SETTINGS.items():
        run.add_argument(flag, dest=key, type=kind, metavar=metavar, help=text)
    run.add_argument("--config", metavar="FILE", help="YAML file of settings; flags and key=value go over it")
    run.add_argument(
        "--logger",
        action="append",
        metavar="{csv,wandb,tensorboard}",
        help="log there too (CSV is always written); may be repeated",
    )
    run.add_argument("--compile", action="store_true", help="compile the encoders (torch.compile); slower to start")
    run.add_argument("--fresh", action="store_true", help="run again though a finished record is there, and keep that")
    run.add_argument("--dry-run", action="store_true", help="show the plan and stop")
    run.add_argument("--print-config", action="store_true", help="print the resolved configuration and stop")
    run.add_argument("--list", choices=("methods", "tasks", "ood"), help="list what there is and stop")
    test = verbs.add_parser(
        "evaluate",
        help="evaluate a finished run's student out of domain",
        description="Evaluate the student of finished runs, and the teacher where it still is, on sets out of domain.",
        epilog="example: kdlab evaluate runs/kd-mnli-local-s0-1234abcd --on hans scitail --ood-dir DIR",
        allow_abbrev=False,
    )
    test.add_argument("runs", nargs="+", metavar="RUN", help="folder that kdlab run printed behind 'Record:'")
    test.add_argument(
        "--on", nargs="+", required=True, metavar="SET", help="sets of kdlab run --list ood, paws, or all"
    )
    test.add_argument("--ood-dir", metavar="DIR", help="folder with their files; the hub is asked without it")
    test.add_argument("--fresh", action="store_true", help="evaluate again what is recorded, and keep the old figures")
    test.add_argument(
        "--accelerator", default="auto", metavar="{auto,cpu,gpu}", help="where to compute (default: auto)"
    )
    cache = verbs.add_parser(
        "cache",
        help="what is kept between runs: teachers, generators, tokenised data, clean logits",
        description="What is kept between runs, below $KDLAB_CACHE (default: ~/.cache/kdlab).",
        allow_abbrev=False,
    )
    cache.add_argument("action", choices=("ls", "verify", "clear"), help="list it, check every checksum, or remove it")
    return top, run


def _cache(action: str) -> int:
    """``kdlab cache ls|verify|clear``; 1 where an entry is damaged."""
    from kdlab.system.cache import Cache

    cache = Cache()
    if action == "clear":
        sys.stdout.write(f"{cache.clear()} entries removed from {cache.root}\n")
        return 0
    entries = cache.entries(verify=action == "verify")
    for entry in entries:
        state = "" if entry.damage is None else f"  {entry.damage or 'whole'}"
        sys.stdout.write(f"{entry.kind:<8} {entry.size / 1e6:8.1f} MB  {entry.folder.name}  {entry.about}{state}\n")
    total = sum(entry.size for entry in entries) / 1e6
    damaged = sum(bool(entry.damage) for entry in entries)
    said = f", {damaged} damaged (made again when they are next needed)" if damaged else ""
    sys.stdout.write(f"{len(entries)} entries, {total:.1f} MB in {cache.root}{said}\n")
    return 1 if damaged else 0


def _settings(arguments: argparse.Namespace, extra: Sequence[str], parser: _Parser) -> dict[str, Any]:
    """Dotted settings: the YAML file's, over them the flags', over them the key=value words."""
    from kdlab.config.files import read_file

    settings = read_file(_expanded("--config", arguments.config)) if arguments.config else {}
    for key, _, _, _ in _SETTINGS.values():
        if getattr(arguments, key) is not None:
            settings[key] = getattr(arguments, key)
    if arguments.logger:
        settings["logger"] = ["csv", *(name for name in dict.fromkeys(arguments.logger) if name != "csv")]
    for flag in ("fresh", "compile"):
        if getattr(arguments, flag):
            settings[flag] = True
    for word in extra:
        if word.startswith("--") and "." in word and "=" not in word:
            raise KdlabError(f"A setting is written {word}=VALUE, with '=' and no space.")
        if word.startswith("-") and "=" not in word:
            raise nearest(word, [o for a in parser._actions for o in a.option_strings], "flag")
        key, value = _parse_override(word)
        settings[key] = value
    for key, value in settings.items():
        if isinstance(value, str) and value.startswith("~"):
            _expanded(key, value)
    return settings


def _expanded(key: str, text: str) -> Path:
    try:
        return Path(text).expanduser()
    except RuntimeError as e:
        raise KdlabError(f"{key} '{text}': there is no such home folder.") from e


def _parse_override(word: str) -> tuple[str, Any]:
    """``key=value`` of the command line; the value is read as YAML reads it.

    Raises:
        KdlabError: No ``=`` in it, or a value that is no YAML.
    """
    key, sign, text = word.removeprefix("--").partition("=")
    if not sign or not key:
        raise KdlabError(f"'{word}' is neither a flag nor key=value: see kdlab run --help.")
    import yaml

    from kdlab.config.files import YAML_ERRORS

    try:
        return key, yaml.safe_load(text) if text else ""
    except YAML_ERRORS as e:
        raise KdlabError(f"The value of '{word}' can't be read: put quotes around it.") from e


def _list(what: str) -> None:
    """Methods, tasks or sets out of domain, one line each."""
    if what == "methods":
        from kdlab.methods import METHODS

        lines = {name: text for name, (_, text) in METHODS.items()}
    elif what == "ood":
        from kdlab.data.ood.specs import OOD

        lines = {name: out.task.description for name, out in OOD.items()}
    else:
        from kdlab.data.tasks import TASKS

        lines = {name: spec.description for name, spec in TASKS.items()}
    width = max(map(len, lines))
    sys.stdout.write("".join(f"{name:<{width}}  {text}\n" for name, text in lines.items()))


def main(argv: Sequence[str] | None = None) -> int:
    """The ``kdlab`` command.

    Args:
        argv: Words after the command's name; those of the process unless given.

    Returns:
        Exit code: 0 done, 2 the user's error (one sentence on standard error), 130 interrupted.
    """
    # OpenMP threads that spin while they wait slow a shared machine down many times: measured ×20 on two cores with one
    # other process; set OMP_WAIT_POLICY=active where the machine is yours alone
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without our signs gets question marks
    words = list(sys.argv[1:] if argv is None else argv)
    top, run = _parsers()
    try:
        arguments, extra = top.parse_known_args(words)
        if arguments.verb is None:
            if extra:
                raise KdlabError(f"'{extra[0]}' is no command: see kdlab --help.")
            top.print_help()
            return 0
        if arguments.verb == "cache":
            if extra:
                raise KdlabError(f"'{extra[0]}' is nothing that kdlab cache knows: see kdlab cache --help.")
            return _cache(arguments.action)
        if arguments.verb == "evaluate":
            return _evaluate(arguments, extra)
        if arguments.list:
            _list(arguments.list)
            return 0
        return _run(arguments, extra, run, words)
    except KdlabError as e:
        sys.stderr.write(f"kdlab: error: {' '.join(str(e).split())}\n")
        return 2
    except KeyboardInterrupt:
        kept = (
            "what is recorded is kept"
            if words[:1] == ["evaluate"]
            else "the same command goes on from the last checkpoint"
        )
        sys.stderr.write(f"kdlab: interrupted; {kept}.\n")
        return 130
    except BrokenPipeError:  # the reader of our output has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as e:  # a name too long
        where = f": {e.filename}" if e.filename else ""
        sys.stderr.write(f"kdlab: error: {e.strerror or e}{where}; what was finished before is kept.\n")
        return 2


def _evaluate(arguments: argparse.Namespace, extra: Sequence[str]) -> int:
    """``kdlab evaluate RUN --on SET …``."""
    if extra:
        raise KdlabError(f"'{extra[0]}' is nothing that kdlab evaluate knows: see kdlab evaluate --help.")
    runs = [str(_expanded("RUN", run)) for run in arguments.runs]
    folder = arguments.ood_dir and str(_expanded("--ood-dir", arguments.ood_dir))
    from kdlab.pipeline.evaluate import evaluate_runs

    evaluate_runs(runs, arguments.on, folder, arguments.fresh, arguments.accelerator)
    return 0


def _run(arguments: argparse.Namespace, extra: Sequence[str], parser: _Parser, words: Sequence[str]) -> int:
    settings = _settings(arguments, extra, parser)
    from kdlab.pipeline.run import run

    run(settings, dry_run=arguments.dry_run, print_config=arguments.print_config, words=words)
    return 0


if __name__ == "__main__":
    sys.exit(main())
