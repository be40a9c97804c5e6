"""Augmentation in blocks of examples, by several processes, with the same result whoever makes which block.

A block is so many examples in the order of the data. What is made of it depends on nothing but the block and the seed:
a masked LM's batches are cut out of a block, and every process computes with one thread.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

from kdlab.augmentation import load_augmenter
from kdlab.augmentation.base import Augmenter, Made, Settings, Source, Tools
from kdlab.errors import KdlabError
from kdlab.transformations.tables import StopWords, WordTable
from kdlab.transformations.translation import CommandTranslator, MarianTranslator, end_commands

_Done = list[tuple[int, list[list[Made]]]]
"""Number of each block and what was made of each of its examples."""

SMALLEST, LARGEST, AT_LEAST = 16, 256, 16
"""Examples of a block, and how many blocks there are where that many examples are there: large blocks have batches of
less padding, and a few hundred examples are to keep several processes at work."""


@dataclass(frozen=True)
class LM:
    """A masked LM in a folder.

    Attributes:
        folder: With weights, configuration and tokenizer.
        source: What the user called it.
        seed: Of a head that is drawn.
        labels: File with a vector for each label; None for one that was told none.
    """

    folder: Path
    source: str
    seed: int = 0
    labels: Path | None = None


@dataclass(frozen=True)
class Kit:
    """What a process builds its tools of.

    Attributes:
        tables: Kind of resource to its candidates for words.
        stop_words: Words that carry no content.
        lm: The masked LM.
        labelled: One that was told labels.
        max_length: Its longest input in tokens.
        device: Where it runs.
        translators: Commands there and back, or folders of models.
        models: Whether ``translators`` are models.
    """

    tables: Mapping[str, WordTable] = field(default_factory=dict)
    stop_words: StopWords | None = None
    lm: LM | None = None
    labelled: LM | None = None
    max_length: int = 128
    device: str = "cpu"
    translators: tuple[str, ...] = ()
    models: bool = False


def open_kit(kit: Kit) -> Tools:
    """The tools.

    Raises:
        KdlabError: A model can't be loaded, or a command is not there.
    """
    return Tools(
        tables=dict(kit.tables),
        stop_words=kit.stop_words,
        filler=_filler(kit.lm, kit),
        labelled=_filler(kit.labelled, kit),
        translators=_translators(kit),
    )


def _filler(lm: LM | None, kit: Kit) -> Any:
    if lm is None:
        return None
    import torch

    from kdlab.models.checkpoint import Checkpoint
    from kdlab.models.generator import load_masked_lm
    from kdlab.transformations.masked_lm import Filler

    model = load_masked_lm(Checkpoint(lm.folder, lm.source), lm.seed)
    if lm.labels is not None:
        vectors = torch.load(lm.labels, weights_only=True)
        model.tell_labels(len(vectors))
        model.labels.weight.data.copy_(vectors)  # type: ignore[union-attr]
    return Filler(model, kit.max_length, kit.device)


def _translators(kit: Kit) -> tuple[Any, ...]:
    if kit.models:
        return tuple(MarianTranslator(Path(folder), folder, kit.device) for folder in kit.translators)
    return tuple(CommandTranslator(command) for command in kit.translators)


@dataclass(frozen=True)
class Job:
    """What every process does.

    Attributes:
        augmenter: Its name.
        settings: Its settings.
        copies: How many of each example.
        seed: Of all choices.
        kit: What its tools are made of.
    """

    augmenter: str
    settings: Settings
    copies: int
    seed: int
    kit: Kit

    @property
    def needs_torch(self) -> bool:
        """Whether a model is at work."""
        return self.kit.lm is not None or self.kit.labelled is not None or self.kit.models

    def open(self) -> Augmenter:
        """The augmenter with its tools."""
        return load_augmenter(self.augmenter)(self.settings, open_kit(self.kit))


def block_size(examples: int) -> int:
    """How many of so many examples make a block."""
    return min(max(-(-examples // AT_LEAST), SMALLEST), LARGEST)


def blocks_of(sources: Sequence[Source]) -> list[list[Source]]:
    """The examples in blocks."""
    size = block_size(len(sources))
    return [list(sources[start : start + size]) for start in range(0, len(sources), size)]


def make_blocks(
    job: Job, blocks: Mapping[int, Sequence[Source]], workers: int, at_once: int
) -> Iterator[tuple[int, list[list[Made]]]]:
    """What becomes of each block, as they get ready.

    Args:
        job: What is done.
        blocks: Number of each block to its examples.
        workers: Processes; 1 works in this one.
        at_once: Blocks that a process takes at a time.

    Raises:
        KdlabError: Something is wrong in one of them, or it was killed.
    """
    numbers = list(blocks)
    shares = [numbers[i : i + at_once] for i in range(0, len(numbers), at_once)]
    workers = min(workers, len(shares))
    if workers <= 1:
        yield from _alone(job, blocks, shares)
        return
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    with ProcessPoolExecutor(workers, context, _start, (job, stop)) as pool:
        try:
            yield from _side_by_side(pool, blocks, shares, workers)
        except BrokenProcessPool as error:
            raise KdlabError(
                "A process that augments was killed, perhaps for memory: give the same command again, with fewer "
                "--workers; the blocks that were finished are kept."
            ) from error
        except BaseException:  # Ctrl-C, or whoever takes the blocks has had enough
            stop.set()
            raise


def _side_by_side(
    pool: ProcessPoolExecutor, blocks: Mapping[int, Sequence[Source]], shares: Sequence[Sequence[int]], workers: int
) -> Iterator[tuple[int, list[list[Made]]]]:
    """What the processes have made, as it gets ready; of one that fails the others' work is taken before it is said."""
    waiting: set[Future[_Done]] = set()
    todo, failed = iter(shares), None
    while True:
        while failed is None and len(waiting) < 2 * workers and (share := next(todo, None)) is not None:
            waiting.add(pool.submit(_work, [(i, list(blocks[i])) for i in share]))
        if not waiting:
            break
        ready, waiting = wait(waiting, return_when=FIRST_COMPLETED)
        for future in ready:
            if future.cancelled():
                continue
            error = future.exception()
            if isinstance(error, KdlabError):
                failed = failed or error
                for other in waiting:
                    other.cancel()
            else:
                yield from future.result()
    if failed is not None:
        raise failed


def _alone(
    job: Job, blocks: Mapping[int, Sequence[Source]], shares: Sequence[Sequence[int]]
) -> Iterator[tuple[int, list[list[Made]]]]:
    with _one_thread(job):
        augmenter = job.open()
        for share in shares:
            for i in share:
                yield i, augmenter.augment(blocks[i], job.copies, job.seed)


_own: list[tuple[Augmenter | KdlabError, Job]] = []  # of a process of the pool


def _start(job: Job, stop: Event) -> None:
    """Begins a process of the pool: it ends when it is told to, or when the first process has gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the first process hears of it and ends the others
    signal.signal(signal.SIGTERM, lambda number, frame: _end())  # of the pool, once another of its processes has ended
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    threading.Thread(target=_end_with_parent, args=(stop,), daemon=True).start()
    if job.needs_torch:
        import torch

        torch.set_num_threads(1)
    try:
        _own.append((job.open(), job))
    except KdlabError as error:
        _own.append((error, job))


def _end_with_parent(stop: Event) -> None:
    parent = multiprocessing.parent_process()
    while not stop.wait(0.5) and parent is not None and parent.is_alive():
        pass
    _end()


def _end() -> None:
    end_commands()
    os._exit(1)


def _work(blocks: Sequence[tuple[int, Sequence[Source]]]) -> _Done:
    augmenter, job = _own[0]
    if isinstance(augmenter, KdlabError):
        raise augmenter
    return [(i, augmenter.augment(sources, job.copies, job.seed)) for i, sources in blocks]


@contextmanager
def _one_thread(job: Job) -> Iterator[None]:
    """One thread for torch inside, where the work is the processor's."""
    if not (job.needs_torch and job.kit.device == "cpu"):
        yield
        return
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
