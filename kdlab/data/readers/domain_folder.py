"""The tasks of one domain in the files that were published, wherever below a folder users have them.

What was published in one part is carved into train, dev and test by the split seed, and the notes say so with counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from kdlab.data.examples import Examples, Loaded
from kdlab.data.readers.amazon import load_reviews, review_files
from kdlab.data.readers.parts import find_file, folders_below, old_lines, three_parts
from kdlab.data.readers.tables import read_objects
from kdlab.data.reading import Collector, check_width, split_tabs
from kdlab.data.tasks import DEV, TEST, TRAIN, TaskSpec
from kdlab.errors import KdlabError
from kdlab.system.shown import listed

Row = tuple[int, str, str | None, str | None]
"""Line, text, second text and label."""

_CIKM = ("cikm_english_train*.txt",)
_CIKM_COLUMNS = ["English 1", "Spanish 1", "English 2", "Spanish 2", "label"]
_RT = {"negative": "rt-polarity.neg", "positive": "rt-polarity.pos"}


def load_domain(spec: TaskSpec, root: Path, seed: int) -> Loaded:
    """Read a task of one domain from its published files.

    Args:
        spec: The task, one of ``DOMAIN``.
        root: The folder that holds the files, or a folder such as ``scitail``, ``domain/scitail`` or
            ``SciTailV1.1/tsv_format`` that holds them.
        seed: Draws the parts of what was published in one.

    Raises:
        KdlabError: The files are not there, or a row is broken (file and line are named).
    """
    return _READERS.get(spec.name, load_reviews)(spec, root, seed)


def needed_files(spec: TaskSpec) -> str:
    """The files of a task of one domain, for messages."""
    if spec.name == "rt":
        return f"{_RT['positive']} and {_RT['negative']}"
    return review_files(spec) if spec.regression else listed(dict.fromkeys(spec.files.values()))


def _missing(spec: TaskSpec, root: Path, folders: tuple[str, ...]) -> KdlabError:
    return KdlabError(
        f"{root} holds no {needed_files(spec)} for task {spec.name}, nor does a folder {' or '.join(folders)} in it: "
        "put them there, or give the folder that holds them."
    )


@dataclass(frozen=True)
class _Layout:
    """A form in which SciTail was published.

    Attributes:
        files: Split to the possible names of its file.
        columns: Of premise, hypothesis and label.
        lines: True where each line is a JSON object, False where it has tab-separated fields without a header.
    """

    files: dict[str, tuple[str, ...]]
    columns: tuple[str, str, str]
    lines: bool


def _named(pattern: str) -> dict[str, tuple[str, ...]]:
    return {split: (pattern.format(split),) for split in (TRAIN, DEV, TEST)}


_SNLI = ("sentence1", "sentence2", "gold_label")
_PLAIN = ("premise", "hypothesis", "label")
_SCITAIL_LAYOUTS = (  # of the folders of SciTailV1.1, and the plain one
    _Layout(_named("scitail_1.0_{}.tsv"), _PLAIN, lines=False),  # tsv_format
    _Layout(_named("scitail_1.0_{}.txt"), _SNLI, lines=True),  # snli_format
    _Layout(_named("scitail_1.0_structure_{}.jsonl"), _SNLI, lines=True),  # predictor_format
    _Layout(
        {TRAIN: ("train.jsonl",), DEV: ("dev.jsonl", "validation.jsonl"), TEST: ("test.jsonl",)}, _PLAIN, lines=True
    ),
)
_FORMATS = ("tsv_format", "snli_format", "predictor_format")
_UNPACKED = (*(f"SciTailV1.1/{name}" for name in _FORMATS), *_FORMATS)
_SCITAIL_FOLDERS = (
    *(f"{outer}/{inner}" for outer in ("scitail", "domain/scitail") for inner in ("", *_UNPACKED)),
    *_UNPACKED,
)
_ONE_PART = 0.2, 0.5
"""Shares of dev and test of one file: the published test file is small, and what is reported needs half of it."""


def _scitail(spec: TaskSpec, root: Path, seed: int) -> Loaded:
    """SciTail (Khot et al. 2018), version 1.1."""
    for folder in folders_below(root, _SCITAIL_FOLDERS):
        for layout in _SCITAIL_LAYOUTS:
            files = {split: find_file(folder, names) for split, names in layout.files.items()}
            there = {split: path for split, path in files.items() if path is not None}
            if len(there) == 1:
                (path,) = there.values()
                examples = _collect(spec, TRAIN, path, _scitail_rows(layout, path), layout.columns)
                why = "the other published parts are not there"
                return three_parts(spec, examples, str(path), seed, why, _ONE_PART[0], _ONE_PART[1])
            if len(there) == 2:
                absent = next(split for split, path in files.items() if path is None)
                raise KdlabError(
                    f"{folder} holds {listed(path.name for path in there.values())} and no "
                    f"{layout.files[absent][0]}: put it there, or leave one file, out of which parts are carved."
                )
            if there:
                splits = {
                    split: _collect(spec, split, path, _scitail_rows(layout, path), layout.columns)
                    for split, path in there.items()
                }
                return Loaded(splits)
    raise _missing(spec, root, ("scitail", "domain/scitail", "SciTailV1.1/tsv_format"))


def _scitail_rows(layout: _Layout, path: Path) -> Iterator[Row]:
    if layout.lines:
        for line, row in read_objects(path, layout.columns, layout.columns[2]):
            premise, hypothesis, label = (row[name] for name in layout.columns)
            yield line, premise or "", hypothesis, label
        return
    for line, fields in split_tabs(path):
        check_width(path, line, fields, list(layout.columns))
        yield line, fields[0], fields[1], fields[2]


def _cikm(spec: TaskSpec, root: Path, seed: int) -> Loaded:
    """The English pairs of CIKM AnalytiCup 2018, with their translations, which are left out.

    L2A prepares them as Qu et al. 2019 do (arXiv 1812.11561); which rows were theirs is not known here, and the
    contest's own test pairs have no labels, so a tenth each becomes dev and test.
    """
    folders = ("cikm", "domain/cikm")
    for folder in folders_below(root, folders):
        path = find_file(folder, _CIKM)
        if path is not None:
            examples = _collect(spec, TRAIN, path, _cikm_rows(path), ("English 1", "English 2", "label"))
            why = "the contest's test pairs have no labels, and the rows of Qu et al. 2019 are not known"
            return three_parts(spec, examples, str(path), seed, why)
    raise _missing(spec, root, folders)


def _cikm_rows(path: Path) -> Iterator[Row]:
    for line, fields in split_tabs(path):
        check_width(path, line, fields, _CIKM_COLUMNS)
        yield line, fields[0], fields[2], fields[4]


def _rt(spec: TaskSpec, root: Path, seed: int) -> Loaded:
    """The sentence polarity dataset v1.0 (Pang and Lee 2005): a snippet a line, a file a label."""
    folders = ("rt", "domain/rt", "rt-polaritydata", "rt/rt-polaritydata")
    for folder in folders_below(root, folders):
        found = {label: find_file(folder, (name,)) for label, name in _RT.items()}
        paths = {label: path for label, path in found.items() if path is not None}
        if len(paths) == 1:
            raise KdlabError(f"{folder} holds one of {needed_files(spec)}, and both are needed: put the other there.")
        if paths:
            parts = [_collect_label(spec, label, path) for label, path in paths.items()]
            texts = tuple(text for part in parts for text in part.text)
            labels = tuple(int(label) for part in parts for label in part.labels or ())
            examples = Examples(tuple(range(len(texts))), texts, None, labels)
            return three_parts(spec, examples, str(folder), seed, "the set has no parts of its own")
    raise _missing(spec, root, folders)


def _collect_label(spec: TaskSpec, label: str, path: Path) -> Examples:
    """The examples of a file whose lines all have one label."""
    rows: Iterator[Row] = ((line, text.strip(), None, label) for line, text in old_lines(path))
    return _collect(spec, DEV, path, rows, ("text", "", "label"))  # train would be refused for having one label


def _collect(spec: TaskSpec, split: str, path: Path, rows: Iterator[Row], columns: tuple[str, str, str]) -> Examples:
    """The examples of a file, their place in it as ids."""
    text, pair, label = columns
    collector = Collector(spec, split, str(path), (text, pair if spec.text_pair else None, label))
    for position, (line, first, second, name) in enumerate(rows):
        collector.add(line, position, first, second, name)
    return collector.finish()


_READERS: dict[str, Callable[[TaskSpec, Path, int], Loaded]] = {"scitail": _scitail, "cikm": _cikm, "rt": _rt}
