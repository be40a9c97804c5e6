"""Any labelled dataset of the hub as a task: ``hub:imdb``, ``hub:SetFit/subj``, ``hub:OWNER/NAME:CONFIG,label=stars``.

Columns are found by their usual names, or named behind commas (``text=``, ``pair=``, ``label=``, ``dev=`` and ``test=``
for splits). A label column that holds numbers with a fraction makes a task of scores. Without a validation split the
labelled test split is reported as dev, and without that a part of train is carved out.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kdlab.data.examples import Examples, Loaded
from kdlab.data.readers.hub import convert, open_dataset
from kdlab.data.subset import carve
from kdlab.data.tasks import DEV, TASKS, TEST, TRAIN, TaskSpec
from kdlab.errors import KdlabError, nearest
from kdlab.system.shown import listed

PREFIX = "hub:"
_PARTS = ("text", "pair", "label", "dev", "test")
_TEXTS = (
    *("text", "sentence1", "premise", "question1", "text1", "question", "sentence", "content", "review", "tweet"),
)
_PAIRS = {
    "sentence1": "sentence2",
    "premise": "hypothesis",
    "question1": "question2",
    "text1": "text2",
    "question": "sentence",
}
_LABELS = ("label", "labels", "target", "class", "coarse_label", "stars", "score")
_DEV_SPLITS = ("validation", "validation_matched", "dev", "valid", "val")
_DEV_SHARE = 0.1
_MOST_LABELS = 1000


@dataclass(frozen=True)
class HubName:
    """What a user wrote behind ``hub:``.

    Attributes:
        dataset: Its name.
        config: Its configuration; empty for the default one.
        named: Columns and splits that are named: ``text``, ``pair``, ``label``, ``dev``, ``test``.
    """

    dataset: str
    config: str
    named: Mapping[str, str]


def parse_name(name: str) -> HubName:
    """Reads ``hub:OWNER/NAME:CONFIG,text=COLUMN,label=COLUMN``.

    Raises:
        KdlabError: It is written otherwise.
    """
    first, *parts = name.removeprefix(PREFIX).split(",")
    dataset, _, config = first.partition(":")
    if not re.fullmatch(r"\w[\w.-]*(/\w[\w.-]*)?", dataset) or not re.fullmatch(r"(\w[\w.-]*)?", config):
        raise KdlabError(f"--task {name[:80]}: write hub:NAME or hub:OWNER/NAME, as the hub has it.")
    named = {}
    for part in parts:
        key, sign, value = part.partition("=")
        if not sign or not value.strip():
            raise KdlabError(f"--task {name[:80]}: behind a comma stands a column or split, such as label=stars.")
        if key not in _PARTS:
            raise nearest(key, _PARTS, "part of a hub task")
        named[key] = value.strip()
    return HubName(dataset, config, named)


def load_task(name: str, offline: bool) -> TaskSpec:
    """The description of a dataset, from its columns.

    Args:
        name: As the user wrote it.
        offline: Whether the hub must not be contacted.

    Raises:
        KdlabError: It can't be had, or has no columns or labels that can be told.
    """
    asked = parse_name(name)
    splits = open_dataset((asked.dataset, asked.config), offline)
    train = splits.get("train")
    if train is None:
        raise KdlabError(f"{asked.dataset} has no split 'train'; it has {listed(splits)}: take another dataset.")
    text = _column(asked, "text", _TEXTS, train)
    pair = asked.named.get("pair") or _PAIRS.get(text)
    if pair is not None and pair not in train.column_names:
        if "pair" in asked.named:
            raise _no_column(asked, pair, train)
        pair = None
    label = _column(asked, "label", _LABELS, train)
    labels, score_range = _labels(asked, train, label)
    return TaskSpec(
        name=_short(asked),
        text=text,
        text_pair=pair,
        label=label,
        labels=labels,
        metrics=("accuracy",) if labels else ("pearson", "spearman"),
        score_range=score_range,
        splits=_splits(asked, splits, label),
        hub=(asked.dataset, asked.config),
        files={},
        skip_malformed=True,  # a blank text is left out, and said
        description=f"{asked.dataset} of the hub",
    )


def load_rows(spec: TaskSpec, offline: bool, seed: int) -> Loaded:
    """The splits of a dataset.

    Args:
        spec: From ``load_task``.
        offline: Whether the hub must not be contacted.
        seed: Carves dev out of train where there is none.

    Raises:
        KdlabError: A row has no text or no label.
    """
    if spec.hub is None:
        raise ValueError(f"{spec.name} is not on the hub")
    opened = open_dataset(spec.hub, offline)
    examples: dict[str, Examples] = {}
    columns = [f"{spec.text} and {spec.text_pair}" if spec.text_pair else spec.text, spec.label]
    notes = [f"columns: {columns[0]} as text, {columns[1]} as label"]
    for split, name in spec.splits.items():
        if name:
            examples[split], more = convert(opened[name], spec, split, f"{spec.hub[0]}, split {name}")
            notes += more
    if not spec.splits[DEV]:
        source = f"{spec.hub[0]}, split train"
        remedy = "name a split for it, as in dev=test"
        examples[TRAIN], examples[DEV] = carve(examples[TRAIN], _DEV_SHARE, seed, None, spec.labels, remedy)
        notes.append(
            f"dev: {len(examples[DEV])} examples carved out of {source} (seed {seed}), for there is no dev split"
        )
    elif spec.splits[DEV] == "test":
        notes.append("dev: the labelled split test, for there is no validation split")
    return Loaded({split: examples[split] for split in spec.splits}, tuple(notes))


def _short(asked: HubName) -> str:
    """A name for folders that is no task of GLUE's."""
    name = "-".join(part for part in (asked.dataset.rpartition("/")[2], asked.config) if part)
    return name if name not in TASKS else f"hub-{name}"


def _column(asked: HubName, part: str, usual: tuple[str, ...], train: Any) -> str:
    if part in asked.named:
        if asked.named[part] not in train.column_names:
            raise _no_column(asked, asked.named[part], train)
        return asked.named[part]
    found = next((name for name in usual if name in train.column_names), None)
    if found is None:
        raise KdlabError(
            f"{asked.dataset} has no column that is called as a {part} usually is; it has "
            f"{listed(train.column_names)}: say {part}=COLUMN behind a comma."
        )
    return found


def _no_column(asked: HubName, name: str, train: Any) -> KdlabError:
    return KdlabError(f"{asked.dataset} has no column '{name[:60]}'; it has {listed(train.column_names)}.")


def _labels(asked: HubName, train: Any, column: str) -> tuple[tuple[str, ...], tuple[float, float] | None]:
    """Names of the labels in their order, or the range of scores."""
    names = getattr(train.features[column], "names", None)
    if names:
        return tuple(str(name).strip() for name in names), None
    values = [value for value in train[column][:] if value is not None]
    if any(not isinstance(value, str | int | float) for value in values):
        raise KdlabError(
            f"{asked.dataset}: column '{column}' holds {type(values[0]).__name__}s, and a label is a text or a number: "
            "say label=COLUMN behind a comma."
        )
    if any(isinstance(value, float) and not value.is_integer() for value in values):
        return (), (-math.inf, math.inf)
    distinct = sorted(set(values)) if not any(isinstance(v, str) for v in values) else sorted(set(map(str, values)))
    labels = tuple(dict.fromkeys(f"{v:.6g}" if isinstance(v, float) else str(v).strip() for v in distinct))
    if not 2 <= len(labels) <= _MOST_LABELS:
        raise KdlabError(
            f"{asked.dataset}: column '{column}' has {len(labels)} different values, and labels are 2 to "
            f"{_MOST_LABELS}: say label=COLUMN behind a comma."
        )
    return labels, None


def _splits(asked: HubName, opened: Mapping[str, Any], label: str) -> dict[str, str]:
    """Split to its name in the dataset; an empty name is carved out of train."""
    for part in ("dev", "test"):
        if part in asked.named and asked.named[part] not in opened:
            raise KdlabError(f"{asked.dataset} has no split '{asked.named[part][:60]}'; it has {listed(opened)}.")
        if asked.named.get(part) == "train":
            raise KdlabError(f"{part}=train: these rows are trained on, so take another split.")
    dev = asked.named.get("dev") or next((name for name in _DEV_SPLITS if name in opened), "")
    if not dev and "test" in opened and "test" not in asked.named and _is_labelled(opened["test"], label):
        dev = "test"
    test = asked.named.get("test") or ("test" if "test" in opened and dev != "test" else "")
    return {TRAIN: "train", DEV: dev, **({TEST: test} if test else {})}


def _is_labelled(split: Any, label: str) -> bool:
    if label not in split.column_names:
        return False
    values = split[label][:]
    return bool(values) and all(value is not None and value != -1 for value in values)
