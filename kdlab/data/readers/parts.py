"""What readers of published files share: looking for a file where users have it, and carving parts out of one file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from kdlab.data.examples import Examples, Loaded
from kdlab.data.overlap import repeated
from kdlab.data.reading import LONGEST
from kdlab.data.subset import carve
from kdlab.data.tasks import DEV, TEST, TRAIN, TaskSpec
from kdlab.errors import KdlabError
from kdlab.system.foreign import door, unpacked

DEV_SHARE, TEST_SHARE = 0.1, 0.1


def folders_below(root: Path, names: Sequence[str]) -> list[Path]:
    """The folders of these names below one that exist, in their order; the folder itself comes last.

    Raises:
        KdlabError: The folder can't be opened.
    """
    try:
        if not root.is_dir():
            raise KdlabError(f"The data folder {root} cannot be opened: give an existing folder.")
        return [*(root / name for name in names if (root / name).is_dir()), root]
    except (OSError, ValueError) as error:
        raise KdlabError(f"The data folder {root} cannot be opened ({error}): give an existing folder.") from error


def find_file(folder: Path, patterns: Sequence[str]) -> Path | None:
    """The file in a folder whose name fits the first pattern that any fits; of several the last by name."""
    for pattern in patterns:
        found = sorted(path for path in folder.glob(pattern) if path.is_file())
        if found:
            return found[-1]
    return None


def old_lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines of a file from before UTF-8, plain or in a ``.gz``, with their numbers from 1, without line ends.

    A line is in UTF-8, or else in Latin-1. Blank lines at the end of the file are left out.

    Raises:
        KdlabError: The file can't be read, or a line is no text.
    """
    blank: list[int] = []
    with unpacked(path) as file, door(path, "check the disk"):
        for number, raw in enumerate(iter(lambda: file.readline(LONGEST), b""), start=1):
            if b"\0" in raw:
                raise KdlabError(f"{path}:{number}: no text in UTF-8 or Latin-1: check that it is the right file.")
            try:
                line = raw.decode("utf-8").rstrip("\r\n")
            except UnicodeDecodeError:
                line = raw.decode("latin-1").rstrip("\r\n")
            if not line.strip():
                blank.append(number)
                continue
            yield from ((at, "") for at in blank)
            blank.clear()
            yield number, line


def three_parts(
    spec: TaskSpec,
    examples: Examples,
    source: str,
    seed: int,
    why: str,
    dev: float = DEV_SHARE,
    test: float = TEST_SHARE,
) -> Loaded:
    """Train, dev and test, carved out of what was published in one part; stratified by label, or tenth of the scores.

    Args:
        spec: The task.
        examples: Labelled examples.
        source: Where they stand, for messages and the note.
        seed: Draws the parts.
        why: Why they are drawn, for the note.
        dev: Share of all examples that becomes dev.
        test: Share of all examples that becomes test.

    Returns:
        The parts, and notes on their sizes and on texts that stand in two of them.

    Raises:
        KdlabError: There are too few examples of a label, or too few scores that differ.
    """
    try:
        rest, tested = carve(examples, test, seed, None, spec.labels)
        train, chosen = carve(rest, round(dev / (1 - test), 6), seed, None, spec.labels)
    except KdlabError as error:
        raise KdlabError(f"{source}: {error}") from error
    splits = {TRAIN: train, DEV: chosen, TEST: tested}
    if spec.regression and any(len(set(part.labels or ())) < 2 for part in splits.values()):
        raise KdlabError(
            f"{source}: {len(examples)} examples are too few to carve three parts with two different scores each out "
            "of: give a larger file."
        )
    sizes = ", ".join(f"{name} {len(part):,}" for name, part in splits.items())
    by = "scores" if spec.regression else "label"
    note = f"{source}: {len(examples):,} rows, by a seed ({seed}) carved into {sizes}, stratified by {by}, for {why}"
    return Loaded(splits, (note, *repeated(splits)))
