"""``kdlab evaluate``: finished runs out of domain."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from kdlab.commands.arguments import _expanded
from kdlab.errors import KdlabError


def _evaluate(arguments: argparse.Namespace, extra: Sequence[str]) -> int:
    """``kdlab evaluate RUN --on SET …``."""
    if extra:
        raise KdlabError(f"'{extra[0]}' is nothing that kdlab evaluate knows: see kdlab evaluate --help.")
    runs = [str(_expanded("RUN", run)) for run in arguments.runs]
    folder = arguments.ood_dir and str(_expanded("--ood-dir", arguments.ood_dir))
    from kdlab.pipeline.evaluate import evaluate_runs

    evaluate_runs(runs, arguments.on, folder, arguments.fresh, arguments.accelerator)
    return 0
