"""Attack models: how many texts a few other words or letters make them get wrong.

A model is a finished run's folder (its student), a folder with a classifier, or its name on the hub. The masked LM and
the sentence encoder that some recipes need are made of the checkpoint that the teacher was made of, unless they are
named. --check says what is there and what stands in, and attacks nothing.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from kdlab.commands.arguments import Parser, expanded
from kdlab.errors import KdlabError
from kdlab.system.imports import large_imports

if TYPE_CHECKING:
    from kdlab.planning.attack_settings import AttackSettings

EXAMPLE = "kdlab attack runs/kd-sst2-local-s0-1234abcd --recipe textfooler bae -n 300"
INTERRUPTED = "the same command goes on from the last attack that ended"


def add_arguments(parser: Parser) -> None:
    """The words of ``kdlab attack``."""
    parser.add_argument(
        "models", nargs="*", metavar="MODEL", help="a run's folder, a checkpoint's, or a name on the hub"
    )
    parser.add_argument(
        "--recipe", nargs="+", default=[], metavar="RECIPE", help="of kdlab list recipes, or path/to/file.py:Class"
    )
    parser.add_argument("--task", metavar="TASK", help="the task of a model that is no run")
    parser.add_argument("--data-dir", metavar="DIR", help="its data, as in kdlab run")
    parser.add_argument("--profile", default="auto", metavar="PROFILE", help="as in kdlab run (default: auto)")
    parser.add_argument("--labels", nargs="+", metavar="NAME", help="what a head calls LABEL_0, LABEL_1, …, in order")
    add_attack_settings(parser)
    parser.add_argument("--out", metavar="DIR", help="folder for what is found (default: attacks/ in the run's)")
    parser.add_argument("--fresh", action="store_true", help="set aside a folder that holds something else")
    parser.add_argument("--check", action="store_true", help="say which resources are there, and attack nothing")
    parser.add_argument(
        "--accelerator", default="auto", metavar="{auto,cpu,gpu}", help="where to compute (default: auto)"
    )


def add_attack_settings(parser: Parser) -> None:
    """The words that say how is attacked."""
    parser.add_argument("-n", dest="count", type=int, metavar="N", help="examples, drawn by the seed (default: all)")
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="draws examples and typing errors (default: 0)"
    )
    parser.add_argument(
        "--mode", default="fixed", metavar="{fixed,compat}", help="compat does as TextAttack 0.3.11 (default: fixed)"
    )
    parser.add_argument("--side", metavar="{text,pair,both}", help="what of a pair may be changed")
    parser.add_argument("--resources", metavar="DIR", help="folder of lexical resources (default: $KDLAB_RESOURCES)")
    parser.add_argument("--masked-lm", metavar="MODEL", help="for bae, a folder or a name on the hub")
    parser.add_argument("--sentence-encoder", metavar="MODEL", help="for textfooler and bae; its states are averaged")
    parser.add_argument("--similarity", type=float, metavar="X", help="that passes, in place of a recipe's own")


def attack_settings(arguments: argparse.Namespace, recipes: Sequence[str]) -> AttackSettings:
    """What those words say.

    Args:
        arguments: The command line.
        recipes: Who attacks.
    """
    with large_imports():
        from kdlab.planning.attack_settings import AttackSettings

    return AttackSettings(
        recipes=tuple(recipes),
        count=arguments.count,
        seed=arguments.seed,
        mode=arguments.mode,
        side=arguments.side,
        resources=arguments.resources and str(expanded("--resources", arguments.resources)),
        masked_lm=arguments.masked_lm,
        sentence_encoder=arguments.sentence_encoder,
        similarity=arguments.similarity,
    )


def main(arguments: argparse.Namespace, words: Sequence[str]) -> int:
    """``kdlab attack …``."""
    if not arguments.check and not arguments.models:
        raise KdlabError("Name a model to attack: a run's folder, a checkpoint's, or a name on the hub.")
    if not arguments.check and not arguments.recipe:
        raise KdlabError("--recipe names no recipe: see kdlab list recipes.")
    with large_imports():
        from kdlab.pipeline.attack_check import check_resources
        from kdlab.pipeline.attack_models import attack_models
        from kdlab.pipeline.victims import Asked

    if arguments.check:
        return check_resources(arguments.resources, arguments.masked_lm, arguments.sentence_encoder)
    asked = Asked(
        task=arguments.task,
        data_dir=arguments.data_dir and str(expanded("--data-dir", arguments.data_dir)),
        profile=arguments.profile,
        labels=None if arguments.labels is None else tuple(arguments.labels),
        out=arguments.out and str(expanded("--out", arguments.out)),
        fresh=arguments.fresh,
        accelerator=arguments.accelerator,
    )
    models = [str(expanded("MODEL", name)) for name in arguments.models]
    attack_models(models, attack_settings(arguments, arguments.recipe), asked)
    return 0
