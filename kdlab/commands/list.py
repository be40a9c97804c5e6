"""List what there is, one line each."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from kdlab.commands.arguments import Parser

KINDS = ("methods", "students", "tasks", "ood", "augmenters", "recipes")
STUDENTS = {
    "layers:bottom:3": "layers of the fine-tuned teacher: its first three (top, skip, or a list such as 0,2,4)",
    "DONOR:layers:bottom:3": "the same of another checkpoint",
    "finetuned:layers:0,2,4": "the same of the teacher's checkpoint after plain fine-tuning",
    "CHECKPOINT": "a folder or a name on the hub, as it is",
    "bilstm": "a new BiLSTM over the teacher's token ids (Tang et al. 2019); bilstm:300 has 300 units a direction",
}


def add_arguments(parser: Parser) -> None:
    """The words of ``kdlab list``."""
    parser.add_argument(
        "kind", choices=KINDS, help="methods, students, tasks, sets out of domain, augmenters, recipes of attacks"
    )


def main(arguments: argparse.Namespace, words: Sequence[str]) -> int:
    """``kdlab list methods|students|tasks|ood|augmenters|recipes``."""
    show(arguments.kind)
    return 0


def show(kind: str) -> None:
    """Methods, students, tasks, sets out of domain, augmenters or recipes, one line each."""
    if kind == "methods":
        from kdlab.methods import METHODS

        lines = {name: text for name, (_, text) in METHODS.items()}
    elif kind == "students":
        lines = STUDENTS
    elif kind == "augmenters":
        from kdlab.augmentation import AUGMENTERS

        lines = {name: text for name, (_, text) in AUGMENTERS.items()}
    elif kind == "recipes":
        from kdlab.attacks import RECIPES

        lines = {name: text for name, (_, text) in RECIPES.items()}
    elif kind == "ood":
        from kdlab.data.ood.specs import OOD

        lines = {name: spec.task.description for name, spec in OOD.items()}
    else:
        from kdlab.data.tasks import TASKS

        lines = {name: spec.description for name, spec in TASKS.items()}
    width = max(map(len, lines))
    sys.stdout.write("".join(f"{name:<{width}}  {text}\n" for name, text in lines.items()))
