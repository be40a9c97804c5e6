"""The ``kdlab`` command. Only the standard library is imported until the words of the command line make sense."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence

from kdlab import __version__
from kdlab.commands.arguments import _Parser
from kdlab.commands.cache import _cache
from kdlab.commands.evaluate import _evaluate
from kdlab.commands.list import _list
from kdlab.commands.run import _SETTINGS, _run
from kdlab.errors import KdlabError


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


if __name__ == "__main__":
    sys.exit(main())
