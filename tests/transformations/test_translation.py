"""Translation by a command, and what is said of one that does not answer as it should."""

from __future__ import annotations

import shlex
import sys

import pytest

from kdlab.augmentation.back_translation import BackTranslation, BackTranslationSettings, check_given
from kdlab.augmentation.base import Source, Tools
from kdlab.errors import KdlabError
from kdlab.transformations.translation import CommandTranslator


def python(body: str) -> str:
    """A command that does this with every line."""
    return shlex.join([sys.executable, "-c", f"import sys\nfor line in sys.stdin: {body}"])


def test_a_command_translates_line_by_line():
    upper = CommandTranslator(python("print(line.strip().upper())"))
    assert upper.translate(["a film", "", "two\nlines  here"], 3, "key") == [["A FILM"], [], ["TWO LINES HERE"]]
    assert upper.translate([], 1, "key") == []


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("no_such_program x", "There is no program 'no_such_program'"),
        ("", "There is no program ''"),
        ("python 'x", "can't be read"),
        (python("raise SystemExit('broken')"), r"ended with code 1 \(broken\)"),
        (python("print(line); print(line)"), "answered 2 lines with"),
        (python("pass"), "answered 2 lines with 1"),
    ],
)
def test_a_command_that_fails_is_said(command: str, said: str):
    with pytest.raises(KdlabError, match=said):
        CommandTranslator(command).translate(["one", "two"], 1, "key")


def test_there_and_back():
    there = CommandTranslator(python("print(line.strip()[::-1])"))
    back = CommandTranslator(python("print(line.strip()[::-1].replace('film', 'movie'))"))
    one = BackTranslation(BackTranslationSettings(), Tools(translators=(there, back)))
    given = [
        Source(0, ("a film", "the film"), (0, 1), 0),
        Source(1, ("same", "a film"), (0, 1), 1),
        Source(2, ("", "x"), (0,), 0),
    ]
    made = one.augment(given, 2, 0)
    assert [[copy.texts for copy in copies] for copies in made] == [
        [("a movie", "the movie")],
        [("same", "a movie")],
        [],
    ]
    assert [[(edit.side, edit.position, edit.new) for edit in copies[0].edits] for copies in made[:2]] == [
        [(0, -1, "a movie"), (1, -1, "the movie")],
        [(1, -1, "a movie")],
    ]


def test_a_translator_must_be_given():
    with pytest.raises(KdlabError, match="back_translation needs a translator"):
        check_given(BackTranslationSettings())
