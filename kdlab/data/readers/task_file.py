"""A user's own task: its description in ``task.yaml``, and its CSV, TSV or JSONL files."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, cast

import yaml

from kdlab.data.examples import Examples, Loaded, clip
from kdlab.data.overlap import repeated
from kdlab.data.readers.tables import FORMATS, kind_of, read_rows
from kdlab.data.readers.unlabelled import LINES
from kdlab.data.reading import Collector, normal
from kdlab.data.subset import carve
from kdlab.data.tasks import DEV, TASKS, TEST, TRAIN, Metric, TaskSpec
from kdlab.errors import KdlabError, nearest
from kdlab.system.foreign import read_yaml
from kdlab.system.shown import listed

_FIELDS = (
    *("name", "files", "columns", "labels", "score_range", "aliases", "metrics", "labelled_test", "description"),
)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_CLASSES: tuple[Metric, ...] = ("accuracy", "f1", "matthews")
_SCORES: tuple[Metric, ...] = ("pearson", "spearman")
_DEV_SHARE = 0.1
_UNLABELLED = "unlabelled"


@dataclass(frozen=True)
class _Sheet:
    """The fields of a task file, with the line on which each starts, for messages."""

    path: Path
    values: dict[str, object]
    lines: dict[str, int]

    def fail(self, key: str, what: str) -> NoReturn:
        """Raise a KdlabError about a field."""
        raise KdlabError(f"{self.path}:{self.lines.get(key, 1)}: field '{key}' {what}.")

    def mapping(self, key: str, known: tuple[str, ...] | None = None) -> dict[str, object]:
        """A field that is a mapping, with text keys among the known ones."""
        value = self.values.get(key)
        if value is None:
            return {}
        if not isinstance(value, dict):
            self.fail(key, f"is {kind_of(value)}: write a mapping such as {{a: b}}")
        entries = {self.word(key, name): item for name, item in value.items()}
        for name in entries:
            if known is not None and name not in known:
                raise KdlabError(f"{self.path}:{self.lines[key]}: {nearest(name, known, f'entry of {key}')}")
        return entries

    def words(self, key: str) -> tuple[str, ...]:
        """A field that is a list of texts or whole numbers."""
        value = self.values.get(key)
        if value is None:
            return ()
        if not isinstance(value, list):
            self.fail(key, f"is {kind_of(value)}: write a list such as [a, b]")
        words = tuple(self.word(key, item).strip() for item in value)
        spelled = [normal(word) for word in words]
        for word in spelled:
            if spelled.count(word) > 1:
                self.fail(key, f"names {clip(word)} twice: remove one")
        return words

    def word(self, key: str, value: object) -> str:
        """A text that is not blank, or a whole number as text."""
        if isinstance(value, bool) or not isinstance(value, str | int):
            hint = "yes, no, on, off, true and false need quotes" if isinstance(value, bool) else "a text is needed"
            self.fail(key, f"holds {kind_of(value)}: {hint}")
        if not str(value).strip():
            self.fail(key, "holds a blank text: write one")
        if not str(value).isprintable():
            self.fail(key, f"holds {clip(str(value))}, which has control characters or line breaks: remove them")
        return str(value)


def load_task(path: Path) -> TaskSpec:
    """Read the description of a user's own task.

    Args:
        path: The YAML file. It needs ``files.train``, and either ``labels`` or ``score_range``.

    Returns:
        The task. Its ``files`` are as written, relative to the YAML file; without ``files.dev``, ``load_custom`` carves
        the dev split out of train.

    Raises:
        KdlabError: The description is wrong; the message names the line and the field.
    """
    sheet = _read_sheet(path)
    name = sheet.word("name", sheet.values.get("name"))
    if not _NAME.fullmatch(name):
        sheet.fail("name", f"is {clip(name)}: use up to 64 letters, digits, dots, hyphens and underscores")
    if name in TASKS:
        sheet.fail("name", f"is {name!r}, a task of kdlab's: choose another name")
    columns = sheet.mapping("columns", ("text", "text_pair", "label"))
    pair = columns.get("text_pair")
    text = sheet.word("columns", columns.get("text", "text"))
    second = None if pair is None else sheet.word("columns", pair)
    label = sheet.word("columns", columns.get("label", "label"))
    if len({text, second, label}) < 3:
        sheet.fail("columns", "names one column twice: text, text_pair and label need a column each")
    labels, score_range = sheet.words("labels"), _score_range(sheet)
    if bool(labels) == (score_range is not None):
        sheet.fail("labels", "or 'score_range' is needed, and not both: labels to classify, a range to score")
    if len(labels) == 1:
        sheet.fail("labels", f"holds only {clip(labels[0])}: name at least two")
    files = _files(sheet)
    unlabelled = files.pop(_UNLABELLED, None)
    splits = tuple(split for split in (TRAIN, DEV, TEST) if split != TEST or split in files)
    return TaskSpec(
        name=name,
        text=text,
        text_pair=second,
        label=label,
        labels=labels,
        metrics=_metrics(sheet, labels),
        score_range=score_range,
        splits={split: split for split in splits},
        aliases=_aliases(sheet, labels),
        files=files,
        unlabelled=unlabelled,
        labelled_test=_labelled_test(sheet, files),
        description=_description(sheet),
    )


def load_custom(spec: TaskSpec, base: Path, seed: int = 0) -> Loaded:
    """Read the files of a user's own task.

    Args:
        spec: The task, from ``load_task``.
        base: The folder that its files are relative to.
        seed: Chooses the dev examples where there is no dev file.

    Returns:
        The splits; a test split has no labels, even where its file has a label column, but under ``labelled_test``.

    Raises:
        KdlabError: A file is missing or a row is broken; the message names file and line.
    """
    splits: dict[str, Examples] = {}
    notes: list[str] = []
    for split, name in spec.files.items():
        path = base / name
        collector = Collector(spec, split, str(path), spec.file_columns)
        rows = read_rows(path, spec.file_columns, labelled=split not in spec.unlabelled_splits)
        quoted: list[int] = []
        for position, (line, text, pair, label) in enumerate(rows):
            collector.add(line, position, text, pair, label)
            if path.suffix.lower() == ".tsv" and (_looks_quoted(text) or _looks_quoted(pair or "")):
                quoted.append(line)
        if quoted:
            notes.append(
                f"{name}: {len(quoted):,} rows (line {quoted[0]}, for one) have texts that look quoted, and nothing is "
                "quoted in a TSV file, so the quotes are read as part of them: save the file as CSV if they are not"
            )
        splits[split] = collector.finish()
        missing = collector.missing_labels()
        if missing:
            notes.append(f"{name}: no example has the label {listed(missing)}")
    if DEV not in spec.files:
        name = spec.files[TRAIN]
        splits[TRAIN], splits[DEV] = _carve_dev(spec, splits[TRAIN], base / name, seed)
        notes.append(f"dev: {len(splits[DEV])} examples carved out of {name} (seed {seed}), for there is no dev file")
    notes += repeated(splits)
    return Loaded({split: splits[split] for split in spec.splits}, tuple(notes))


def _looks_quoted(text: str) -> bool:
    """Whether a text is written as CSV writes one with quotes in it: between quotes, those inside doubled."""
    inner = text[1:-1]
    return len(text) > 2 and text[0] == text[-1] == '"' and '""' in inner and '"' not in inner.replace('""', "")


def _read_sheet(path: Path) -> _Sheet:
    """The fields of the YAML file and the lines on which they start."""
    values, root = read_yaml(path, texts=("labels", "aliases"))
    if not isinstance(values, dict) or not isinstance(root, yaml.MappingNode):
        raise KdlabError(f"{path} is no task description: write fields such as 'name: reviews', one a line.")
    lines: dict[str, int] = {}
    for key, _ in root.value:
        line, name = key.start_mark.line + 1, listed([str(key.value)])
        if name not in _FIELDS:
            raise KdlabError(f"{path}:{line}: {nearest(name, _FIELDS, 'field of a task')}")
        lines[name] = line
    for key, item in root.value:
        if key.value in ("labels", "aliases") and not isinstance(item, yaml.ScalarNode):
            values[str(key.value)] = _as_written(item)
    return _Sheet(path, values, lines)


def _as_written(node: yaml.Node) -> object:
    """A label is the text that was written: ``no``, ``1.0`` and ``007`` are no truth and no numbers."""
    if isinstance(node, yaml.SequenceNode):
        return [_as_written(item) for item in node.value]
    if isinstance(node, yaml.MappingNode):
        return {str(key.value): _as_written(item) for key, item in node.value}
    return None if node.tag == "tag:yaml.org,2002:null" and not node.value else node.value


def _score_range(sheet: _Sheet) -> tuple[float, float] | None:
    """Smallest and largest score, or None."""
    value = sheet.values.get("score_range")
    if value is None:
        return None
    numbers = value if isinstance(value, list) else []
    if len(numbers) != 2 or any(isinstance(n, bool) or not isinstance(n, int | float) for n in numbers):
        sheet.fail("score_range", f"is {clip(str(value))}: write the smallest and the largest score, such as [1, 5]")
    try:
        low, high = float(numbers[0]), float(numbers[1])
    except OverflowError:
        low = high = math.inf
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        sheet.fail("score_range", f"is {clip(str(value))}: the first number must be smaller than the second")
    return low, high


def _files(sheet: _Sheet) -> dict[str, str]:
    """Split to file, in the order train, dev, test, and the file of unlabelled text behind them."""
    known = (TRAIN, DEV, TEST, _UNLABELLED)
    files = {k: sheet.word("files", v) for k, v in sheet.mapping("files", known).items() if v is not None}
    if TRAIN not in files:
        sheet.fail("files", "has no entry 'train': write files: {train: train.csv}")
    for split, name in files.items():
        formats = (*FORMATS, LINES) if split == _UNLABELLED else FORMATS
        if Path(name).suffix.lower() not in formats:
            sheet.fail("files", f"names {clip(name)}: files end in {', '.join(formats)}")
    if len({Path(name) for name in files.values()}) < len(files):
        sheet.fail("files", "names one file for two splits: a model must not be judged on what it was trained on")
    return {split: files[split] for split in known if split in files}


def _metrics(sheet: _Sheet, labels: tuple[str, ...]) -> tuple[Metric, ...]:
    """The metrics, checked against the kind of task; the first chooses the checkpoint."""
    known = _CLASSES if labels else _SCORES
    chosen = sheet.words("metrics")
    for name in chosen:
        if name not in known:
            kind = "with labels" if labels else "with a score range"
            error = nearest(name, known, f"metric for a task {kind}")
            raise KdlabError(f"{sheet.path}:{sheet.lines['metrics']}: {error}")
    if "f1" in chosen and len(labels) != 2:
        sheet.fail("metrics", f"names f1, which needs exactly two labels, and there are {len(labels)}: use accuracy")
    return cast("tuple[Metric, ...]", chosen) or (("accuracy",) if labels else _SCORES)


def _aliases(sheet: _Sheet, labels: tuple[str, ...]) -> dict[str, str]:
    """Other spellings of labels."""
    aliases = {other.strip(): sheet.word("aliases", name) for other, name in sheet.mapping("aliases").items()}
    spelled = {normal(label): label for label in labels}
    aliases = {other: spelled.get(normal(name), name) for other, name in aliases.items()}
    for other, name in aliases.items():
        if name not in labels:
            sheet.fail("aliases", f"maps {clip(other)} to {clip(name)}, which is none of the labels: name one of them")
        if other in labels and other != name:
            sheet.fail("aliases", f"maps the label {clip(other)} to {clip(name)}: an alias must not be a label itself")
    return aliases


def _labelled_test(sheet: _Sheet, files: dict[str, str]) -> bool:
    """Whether the test file is labelled and reported."""
    value = sheet.values.get("labelled_test", False)
    if not isinstance(value, bool):
        sheet.fail("labelled_test", f"is {clip(str(value))}: write true or false")
    if value and TEST not in files:
        sheet.fail("labelled_test", "is true, and 'files' has no entry 'test': name the file, or leave this out")
    return value


def _description(sheet: _Sheet) -> str:
    value = sheet.values.get("description")
    if value is None:
        return ""
    return sheet.word("description", " ".join(value.split()) if isinstance(value, str) else value)


def _carve_dev(spec: TaskSpec, train: Examples, path: Path, seed: int) -> tuple[Examples, Examples]:
    """Train and dev, both carved out of train, where the files have no dev split."""
    if not spec.regression:
        for i, name in enumerate(spec.labels):
            if train.labels is not None and train.labels.count(i) == 1:
                raise KdlabError(
                    f"{path}: only one example has the label {name!r}, so no dev split can be carved out of it: add "
                    f"examples of that label or a dev file."
                )
    try:
        parts = carve(train, _DEV_SHARE, seed, None)
    except KdlabError as error:
        raise KdlabError(f"{path}: {error}") from error
    if spec.regression and any(len(set(part.labels or ())) < 2 for part in parts):
        raise KdlabError(
            f"{path}: {len(train)} examples are too few to carve a dev split with two different scores out of: add "
            f"examples or a dev file."
        )
    return parts
