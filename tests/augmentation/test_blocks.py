"""Blocks of examples: the same result whoever makes which, and what is said of a process that dies."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from augment_fixtures import OTHERS, sources
from helpers import WORDS, tiny_generator, tiny_tokenizer

from kdlab.augmentation import load_augmenter
from kdlab.augmentation.base import Made, Source
from kdlab.augmentation.blocks import LM, Job, Kit, block_size, blocks_of, make_blocks, open_kit
from kdlab.errors import KdlabError
from kdlab.transformations.tables import NEIGHBOURS, SYNONYMS, Origin, WordTable

TABLE = WordTable(Origin("any", "tests", "0"), OTHERS)
TEXTS = [" ".join(WORDS[i % 50 : i % 50 + 1 + i % 6]) for i in range(40)]


def job(name: str, kit: Kit) -> Job:
    return Job(name, load_augmenter(name).Config(), 3, 7, kit)


def made(work: Job, blocks: dict[int, Sequence[Source]], workers: int, at_once: int) -> dict[int, list[list[Made]]]:
    return dict(make_blocks(work, blocks, workers, at_once))


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("kdlab.augmentation.blocks.LARGEST", 8)


def test_blocks_hold_every_example_once(small_blocks):
    blocks = blocks_of(sources(*TEXTS[:19]))
    assert [len(block) for block in blocks] == [8, 8, 3]
    assert [source.id for block in blocks for source in block] == list(range(19))
    assert blocks_of([]) == []


@pytest.mark.parametrize(("examples", "size"), [(1, 16), (80, 16), (500, 32), (4096, 256), (67_349, 256)])
def test_few_examples_make_small_blocks_so_that_several_processes_work(examples: int, size: int):
    assert block_size(examples) == size


def test_processes_change_nothing(small_blocks):
    blocks = dict(enumerate(blocks_of(sources(*TEXTS))))
    work = job("all", Kit(tables={SYNONYMS: TABLE, NEIGHBOURS: TABLE}))
    alone = made(work, blocks, 1, 1)
    assert sorted(alone) == list(range(5))
    assert made(work, blocks, 2, 2) == alone
    assert {i: made(work, {i: blocks[i]}, 1, 1)[i] for i in blocks} == alone


def test_processes_with_a_masked_lm_change_nothing(small_blocks, tmp_path):
    tiny_generator().model.save_pretrained(tmp_path)
    tiny_tokenizer().save_pretrained(tmp_path)
    blocks = dict(enumerate(blocks_of(sources(*TEXTS[:24]))))
    work = job("p_s", Kit(lm=LM(tmp_path, "tests"), max_length=32))
    alone = made(work, blocks, 1, 5)
    assert made(work, blocks, 2, 1) == alone
    assert all(one.log_prob is not None for block in alone.values() for copies in block for one in copies)


def test_commands_are_opened():
    kit = Kit(translators=("cat", "cat -"))
    assert [translator.name for translator in open_kit(kit).translators] == ["cat", "cat -"]


def test_a_process_that_dies_is_said(small_blocks, monkeypatch: pytest.MonkeyPatch, tmp_path):
    killer = tmp_path / "killer.sh"
    killer.write_text("#!/bin/sh\nkill -9 $PPID\n")
    killer.chmod(0o755)
    kit = Kit(translators=(str(killer), str(killer)))
    with pytest.raises(KdlabError, match="A process that augments was killed"):
        made(job("back_translation", kit), dict(enumerate(blocks_of(sources(*TEXTS)))), 2, 1)


def test_a_tool_that_is_not_there_is_said_by_processes_too(small_blocks):
    work = job("back_translation", Kit(translators=("no_such_program", "cat")))
    for workers in (1, 2):
        with pytest.raises(KdlabError, match="There is no program 'no_such_program'"):
            made(work, dict(enumerate(blocks_of(sources(*TEXTS)))), workers, 1)


def test_what_others_made_is_handed_on_before_a_failure_is_said(small_blocks, tmp_path):
    script = tmp_path / "command.py"
    script.write_text(
        "import sys\ntext = sys.stdin.read()\nsys.exit(3) if 'stop' in text else print(text.upper(), end='')"
    )
    command = f"{sys.executable} {script}"
    texts = [*TEXTS[:24], *["stop"] * 8]
    got: list[int] = []

    def take(blocks: dict[int, Sequence[Source]]) -> None:
        for number, _ in make_blocks(work, blocks, 2, 1):
            got.append(number)

    work = job("back_translation", Kit(translators=(command, "cat")))
    with pytest.raises(KdlabError, match="ended with code 3"):
        take(dict(enumerate(blocks_of(sources(*texts)))))
    assert sorted(got) == [0, 1, 2]


PARENT = """
from kdlab.augmentation.back_translation import BackTranslationSettings
from kdlab.augmentation.base import Source
from kdlab.augmentation.blocks import Job, Kit, block_size, blocks_of, make_blocks
import signal
if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background inherits that it is ignored
    work = Job("back_translation", BackTranslationSettings(), 1, 0, Kit(translators=({command!r}, "cat")))
    sources = [Source(i, ("a film",), (0,)) for i in range(160)]
    dict(make_blocks(work, dict(enumerate(blocks_of(sources))), 2, 1))
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_processes_end_with_the_first_one(tmp_path, number):
    command = tmp_path / "slow.sh"
    command.write_text(f"#!/bin/sh\ntouch {tmp_path}/started-$$\nsleep 60\n")
    command.chmod(0o755)
    main = tmp_path / "main.py"
    main.write_text(PARENT.format(command=str(command)))
    first = subprocess.Popen([sys.executable, str(main)], start_new_session=True, stderr=subprocess.DEVNULL)
    until(lambda: len(list(tmp_path.glob("started-*"))) == 2, 120)
    first.send_signal(number)
    first.wait(20)
    until(lambda: not members(first.pid), 20)
    assert first.returncode != 0


def members(group: int) -> list[int]:
    """Processes of a group that are not yet gone; ``sleep`` of a command's own ends by itself."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, _, rest = stat.read_text().partition(" (")[2].rpartition(") ")
        except OSError:
            continue
        state, _, own = rest.split()[:3]
        if int(own) == group and state != "Z" and name != "sleep":
            found.append(int(stat.parent.name))
    return found


def until(holds, seconds: float) -> None:
    """Waits until something holds."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it takes too long"
        time.sleep(0.1)
