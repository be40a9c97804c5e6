"""By how much the accuracy of models drops under attack: a heatmap that can be read in black and white."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DARK = 0.55  # share of the scale from which numbers are white


@dataclass(frozen=True)
class Panel:
    """One heatmap of a picture.

    Attributes:
        title: Above it.
        values: Model and recipe to the drop in points; what is not there stays empty.
    """

    title: str
    values: Mapping[tuple[str, str], float]


def drops(models: Sequence[str], recipes: Sequence[str], panels: Sequence[Panel], title: str) -> Figure:
    """A row for each model, a column for each recipe, the number in each place; the darker, the larger the drop.

    Args:
        models: Names of the rows.
        recipes: Names of the columns.
        panels: Heatmaps side by side, on one scale.
        title: Above all.
    """
    from matplotlib.figure import Figure

    width, height = 1.5 + 0.85 * len(recipes) * len(panels), 1.4 + 0.32 * len(models)
    longest = max(map(len, models), default=0)
    figure = Figure(figsize=(width + 0.075 * longest, height), layout="constrained")
    top = max([1.0, *(value for panel in panels for value in panel.values.values())])
    for axes, panel in zip(figure.subplots(1, len(panels), squeeze=False, sharey=True)[0], panels, strict=True):
        grid = np.array([[panel.values.get((model, recipe), np.nan) for recipe in recipes] for model in models])
        axes.imshow(np.ma.masked_invalid(grid), cmap="Greys", vmin=0, vmax=top, aspect="auto")
        for i, row in enumerate(grid):
            for j, value in enumerate(row):
                if not np.isnan(value):
                    dark = value > _DARK * top
                    axes.text(
                        j, i, f"{value:.1f}", ha="center", va="center", color="1.0" if dark else "0.0", fontsize=8
                    )
        axes.set_xticks(range(len(recipes)), recipes, fontsize=8, rotation=30, ha="right", rotation_mode="anchor")
        axes.set_yticks(range(len(models)), models, fontsize=8)
        axes.set_title(panel.title, fontsize=9)
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
    figure.suptitle(title, fontsize=10)
    return figure
