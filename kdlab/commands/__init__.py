"""The verbs of the command line, one file each; a verb is imported when it is used.

A file has ``add_arguments(parser)`` and ``main(arguments, words)``, and its docstring is the verb's description;
``EXAMPLE``, ``INTERRUPTED`` (what stays of an interrupted one) and ``TAKES_SETTINGS`` are optional.
It imports nothing but the standard library and ``kdlab.errors`` until the words of the command line make sense.
"""

from __future__ import annotations

VERBS: dict[str, tuple[str, str]] = {
    "run": ("kdlab.commands.run", "train a student and record it (the same as python -m kdlab.run)"),
    "evaluate": ("kdlab.commands.evaluate", "evaluate a finished run's student out of domain, or attack it"),
    "attack": ("kdlab.commands.attack", "how many texts a few other words or letters make a model get wrong"),
    "augment": ("kdlab.commands.augment", "make new training examples of a task's own"),
    "experiment": ("kdlab.commands.experiment", "run every cell of a table and print it"),
    "divergence": ("kdlab.commands.divergence", "how far students are from their teachers, as a table and a picture"),
    "cache": ("kdlab.commands.cache", "what is kept between runs: teachers, generators, tokenised data, clean logits"),
    "list": ("kdlab.commands.list", "list the methods, tasks, sets out of domain, augmenters or recipes"),
}
"""Verb to module and one line."""
