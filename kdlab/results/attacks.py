"""What attacks found, in a folder of its own and on the terminal.

``RECIPE.jsonl`` has a row for each example, ``figures.json`` the figures of each recipe, with what they are known by.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kdlab import __version__
from kdlab.attacks.attempt import SUCCEEDED
from kdlab.attacks.outcome import SHORT, Figures, Outcome, Share, figures_of
from kdlab.errors import KdlabError
from kdlab.system.console import Reporter
from kdlab.system.files import write_atomic
from kdlab.system.foreign import door, read_fields, read_text
from kdlab.transformations.tables import Origin

FIGURES = "figures.json"
_FORMAT = 1
_SHOWN = 3  # examples on the terminal


@dataclass(frozen=True)
class AttackTable:
    """A recipe's outcomes on a victim, as they are recorded.

    Attributes:
        victim: Its name.
        recipe: The recipe's name.
        key: What the outcomes are known by.
        about: Task, seed, mode and the like.
        outcomes: In the order of the examples.
        origins: Lexical resources, found or standing in.
        models: Kind of each model besides the victim to its name and fingerprint.
        substituted: What stands in for something else, in sentences.
        antonyms: Share of swaps of which WordNet says that they are antonyms; None where there is no WordNet.
    """

    victim: str
    recipe: str
    key: str
    about: dict[str, Any]
    outcomes: tuple[Outcome, ...]
    origins: tuple[Origin, ...]
    models: dict[str, tuple[str, str]]
    substituted: tuple[str, ...]
    antonyms: float | None

    def to_json(self) -> dict[str, Any]:
        """As ``figures.json`` has it; what is not a number is null."""
        short = [one for one in self.outcomes if one.short]
        return {
            "kdlab": __version__,
            "format": _FORMAT,
            "key": self.key,
            "victim": self.victim,
            **self.about,
            "fidelity": "substituted" if self.substituted else "full",
            "substituted": list(self.substituted),
            "resources": [
                {
                    "kind": origin.kind,
                    "name": origin.name,
                    "sha256": origin.sha256,
                    "fidelity": "substituted" if origin.missing else "full",
                }
                for origin in self.origins
            ],
            "models": {kind: {"name": name, "fingerprint": key} for kind, (name, key) in self.models.items()},
            "figures": _plain(asdict(figures_of(self.outcomes))),
            f"under {SHORT} words": _plain(asdict(figures_of(short))),
            "antonyms": self.antonyms,
        }


def write_attacks(folder: Path, tables: Sequence[AttackTable]) -> None:
    """Writes outcomes and figures; figures of other recipes in the folder stay.

    Args:
        folder: Where.
        tables: Of one victim.

    Raises:
        KdlabError: The folder holds the output of something else, or can't be written.
    """
    recorded = read_attacks(folder)
    for table in tables:
        rows = "".join(json.dumps(one.to_json(), ensure_ascii=False) + "\n" for one in table.outcomes)
        write_atomic(folder / f"{table.recipe}.jsonl", rows)
        recorded[table.recipe] = table.to_json()
    write_atomic(folder / FIGURES, json.dumps(recorded, indent=1, ensure_ascii=False) + "\n")


def read_attacks(folder: Path) -> dict[str, dict[str, Any]]:
    """The figures of a folder by recipe; empty where there are none.

    Raises:
        KdlabError: The file is none of kdlab's.
    """
    file = folder / FIGURES
    if not file.exists():
        return {}
    advice = "remove it, and the attacks are shown again"
    content = read_fields(file, advice)
    if not all(isinstance(entry, dict) and {"key", "victim", "figures"} <= entry.keys() for entry in content.values()):
        raise KdlabError(f"{file} is no record of attacks: {advice}.")
    return content


def read_rows(folder: Path, recipe: str) -> list[Outcome]:
    """What a recipe made of each example.

    Args:
        folder: Of a victim.
        recipe: The recipe's name.

    Raises:
        KdlabError: The file is not there, or none of kdlab's.
    """
    file = folder / f"{recipe}.jsonl"
    text = read_text(file)
    with door(file, "remove it, and the attacks are shown again"):
        return [Outcome.from_json(json.loads(line)) for line in text.splitlines()]


def check_folder(folder: Path, about: Mapping[str, Any], victim: str) -> None:
    """Raises ``KdlabError`` where a folder holds the output of another victim, task or seed.

    Args:
        folder: Where outcomes are to be written.
        about: Of the attacks to come.
        victim: Fingerprint of who is attacked.
    """
    for recipe, entry in read_attacks(folder).items():
        wanted = {"victim_fingerprint": victim, **about}
        other = next((name for name, value in wanted.items() if entry.get(name) != value), None)
        if other is not None:
            what = "victim" if other.startswith("victim") else f"number of {other}" if other == "examples" else other
            raise KdlabError(
                f"{folder} holds the output of {recipe} with another {what} ({str(entry.get(other))[:12]} and not "
                f"{str(wanted[other])[:12]}): give another --out, or --fresh to set it aside."
            )


def show_attacks(tables: Sequence[AttackTable], reporter: Reporter) -> None:
    """The table of figures, and a few examples."""
    body = []
    for table in tables:
        body.append(_row(table.victim, table.recipe, "all", figures_of(table.outcomes)))
        short = [one for one in table.outcomes if one.short]
        if short and len(short) < len(table.outcomes):
            body.append(_row("", "", f"under {SHORT} words", figures_of(short)))
    header = ["victim", "recipe", "texts", "n", "accuracy", "under attack", "success", "words changed", "queries"]
    reporter.table([*header, "passes"], body)
    reporter.say("[low, high] is the 95 % interval (Wilson). Success is of the texts that the victim gets right.")
    for table in tables:
        lost = sum(one.status == SUCCEEDED and one.fools_again is False for one in table.outcomes)
        if lost:
            reporter.warn(
                f"{table.recipe} on {table.victim}: {lost} of its successes did not fool the victim a second time, in "
                "another batch: their margins are within rounding."
            )
        if table.antonyms is not None:
            reporter.say(f"{table.recipe}: {100 * table.antonyms:.1f} % of the swaps are antonyms by WordNet.")
    for sentence in dict.fromkeys(sentence for table in tables for sentence in table.substituted):
        reporter.warn(f"SUBSTITUTED: {sentence}.")
    won = [(table, one) for table in tables for one in table.outcomes if one.status == SUCCEEDED]
    for table, one in won[:: max(len(won) // _SHOWN, 1)][:_SHOWN]:
        reporter.say(f"{table.recipe}: {one.label} → {one.predicted}: {' / '.join(one.marked)}")


def _row(victim: str, recipe: str, texts: str, figures: Figures) -> list[str]:
    return [
        victim,
        recipe,
        texts,
        f"{figures.accuracy.of:,}",
        _shown(figures.accuracy),
        _shown(figures.under_attack),
        _shown(figures.success),
        _number(figures.words_changed, " %"),
        _number(figures.queries),
        _number(figures.passes),
    ]


def _shown(share: Share) -> str:
    if math.isnan(share.value):
        return "–"
    return f"{100 * share.value:.1f} % [{100 * share.low:.1f}, {100 * share.high:.1f}]"


def _number(value: float, unit: str = "") -> str:
    return "–" if math.isnan(value) else f"{value:.1f}{unit}"


def _plain(value: Any) -> Any:
    """The same with null for what is not a number."""
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    return None if isinstance(value, float) and math.isnan(value) else value
