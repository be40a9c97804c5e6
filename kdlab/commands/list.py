"""``kdlab run --list``: what there is."""

from __future__ import annotations

import sys


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
