"""Pictures for reports and papers: PNG, SVG or PDF, readable in black and white."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kdlab.errors import KdlabError
from kdlab.system.files import write_bytes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SUFFIXES = (".png", ".svg", ".pdf")
_HATCHES = ("///", "\\\\\\", "xxx", "...", "---", "+++", "ooo")
LOOKS = (
    *((grey, "") for grey in ("0.15", "0.5", "0.8", "1.0")),
    *((grey, hatch) for grey in ("1.0", "0.75") for hatch in _HATCHES),
)
"""Fill and hatching of bars, in the order in which they are given out: 18 that can be told apart on paper."""
_SETTINGS: Any = {"svg.fonttype": "none", "pdf.fonttype": 42, "svg.hashsalt": "kdlab", "hatch.linewidth": 0.5}


def check_picture(file: Path) -> None:
    """Raises ``KdlabError`` where a file's suffix is of no kind of picture."""
    if file.suffix.lower() not in SUFFIXES:
        raise KdlabError(f"--figure {file}: the suffix says what is written: {', '.join(SUFFIXES)}.")


def save_picture(figure: Figure, file: Path) -> None:
    """Writes a figure as its file's suffix says, completely or not at all.

    Raises:
        KdlabError: The suffix is of no kind of picture, or the file can't be written.
    """
    import matplotlib

    check_picture(file)
    out = io.BytesIO()
    kind = file.suffix.lower()[1:]
    dated = {"png": {}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}[kind]  # the same figure, the same bytes
    with matplotlib.rc_context(_SETTINGS):
        figure.savefig(out, format=kind, dpi=200, bbox_inches="tight", metadata=dated)
    write_bytes(file, out.getvalue())


def grouped_bars(
    groups: Sequence[str],
    names: Sequence[str],
    values: Mapping[tuple[str, str], Sequence[float]],
    label: str,
    title: str = "",
) -> Figure:
    """A group of bars for each task, in it a bar for each method: their means, and a point for each seed.

    Bars differ in grey and hatching, so that they can be told apart on paper.

    Args:
        groups: Names of the groups.
        names: Names of the bars, in the order of a group.
        values: Group and name to the values of its seeds; a bar that isn't there is left out.
        label: What the values are, with their unit.
        title: Above it.
    """
    from matplotlib.figure import Figure

    width = 0.8 / max(len(names), 1)
    inches = min(max(1.5 + 0.3 * len(groups) * len(names), 5.0), 16.0)
    figure = Figure(figsize=(inches, 3.6), layout="constrained")
    axes = figure.subplots()
    for i, name in enumerate(names):
        places = [g for g, group in enumerate(groups) if (group, name) in values]
        seeds = [list(values[groups[g], name]) for g in places]
        at = [g - 0.4 + width * (i + 0.5) for g in places]
        means = [sum(each) / len(each) for each in seeds]
        grey, hatch = LOOKS[i % len(LOOKS)]
        axes.bar(at, means, 0.9 * width, label=name, color=grey, hatch=hatch, edgecolor="0.0", linewidth=0.6)
        for x, each in zip(at, seeds, strict=True):
            axes.plot([x] * len(each), each, "o", markersize=3, markerfacecolor="1.0", markeredgecolor="0.0")
    axes.set_xticks(range(len(groups)), groups)
    axes.set_ylabel(label)
    axes.set_title(title, fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(fontsize=8, frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure
