"""The heatmap of drops: what is written where, and that it can be read on paper."""

from __future__ import annotations

from pathlib import Path

from kdlab.reports.drops import Panel, drops
from kdlab.reports.pictures import save_picture

PANELS = [Panel("ours", {("a", "bae"): 80.0, ("b", "bae"): 10.0}), Panel("the paper", {("b", "pruthi"): 43.2})]


def test_each_number_stands_in_its_place():
    figure = drops(["a", "b"], ["bae", "pruthi"], PANELS, "drop")
    ours, theirs = figure.axes
    assert {t.get_position(): t.get_text() for t in ours.texts} == {(0, 0): "80.0", (0, 1): "10.0"}
    assert {t.get_position(): t.get_text() for t in theirs.texts} == {(1, 1): "43.2"}
    assert [label.get_text() for label in ours.get_xticklabels()] == ["bae", "pruthi"]
    assert [label.get_text() for label in ours.get_yticklabels()] == ["a", "b"]
    assert (ours.get_title(), theirs.get_title()) == ("ours", "the paper")


def test_numbers_are_white_on_what_is_dark_and_panels_share_a_scale():
    figure = drops(["a", "b"], ["bae", "pruthi"], PANELS, "drop")
    ours, theirs = figure.axes
    assert [t.get_color() for t in (*ours.texts, *theirs.texts)] == ["1.0", "0.0", "0.0"]
    assert {image.get_clim() for axes in figure.axes for image in axes.images} == {(0.0, 80.0)}


def test_the_same_picture_is_the_same_bytes(tmp_path: Path):
    for name in ("one.svg", "two.svg"):
        save_picture(drops(["a", "b"], ["bae", "pruthi"], PANELS, "drop"), tmp_path / name)
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()


def test_a_picture_of_nothing_yet():
    assert not drops(["a"], ["bae"], [Panel("ours", {})], "drop").axes[0].texts
