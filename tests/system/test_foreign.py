"""The door for foreign files: what may come in, and what is said of the rest."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from kdlab.errors import KdlabError
from kdlab.system.foreign import check_regular, door, opened, parse_yaml, read_fields, read_json, read_text, read_yaml
from kdlab.system.shown import clipped, listed, marked, shown

PATH = Path("folder/x.yaml")


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("a: 1\nb: [1\nc: 2\n", "folder/x.yaml:3: not valid YAML (expected ',' or ']', but got ':')"),
        ("a: 2020-13-01\n", "folder/x.yaml: not valid YAML (month must be in 1..12"),
        ("a: !!bool x\n", "folder/x.yaml: not valid YAML (KeyError 'x')"),
        ("[" * 3000, "folder/x.yaml: not valid YAML (it is nested too deeply)"),
        ("a: 1\na: 2\n", "folder/x.yaml:2: field 'a' stands there twice: remove one"),
        ("k: {b: 1, c: 2, b: 3}\n", "folder/x.yaml:1: field 'b' stands there twice: remove one"),
        ("a: 010\n", "folder/x.yaml:1: YAML reads 010 as 8: write 8, or quotes around it"),
        ("a: [1, 1:30]\n", "folder/x.yaml:1: YAML reads 1:30 as 90: write 90, or quotes around it"),
        ("a: *b\n", "folder/x.yaml:1: not valid YAML (found undefined alias 'b')"),
        ("a: &b [*b]\n", "folder/x.yaml: not valid YAML (an alias stands inside itself)"),
        ("a: !!python/object/apply:os.system [true]\n", "folder/x.yaml:1: not valid YAML (could not determine a const"),
    ],
)
def test_an_error_of_yaml_is_one_sentence_with_file_and_line(text, start):
    with pytest.raises(KdlabError) as caught:
        parse_yaml(text, PATH)
    assert str(caught.value).startswith(start)
    assert str(caught.value).endswith((": correct the file.", ": remove one.", ", or quotes around it."))
    assert "\n" not in str(caught.value)


def test_aliases_that_would_fill_the_memory_are_refused():
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x]\n" + "".join(
        f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 8)}]\n" for i in range(1, 12)
    )
    with pytest.raises(KdlabError, match=r"folder/x\.yaml holds more than 20,000 values: take out its aliases"):
        parse_yaml(bomb, PATH)
    assert parse_yaml("a: &x 1\nb: *x\n", PATH)[0] == {"a": 1, "b": 1}


class Panic(BaseException):
    """What libraries in Rust raise; it is no Exception."""


def test_whatever_a_library_raises_inside_the_door_is_one_sentence():
    for error in (OSError(28, "No space left on device"), KeyError("quad"), Panic("at\nthe disco"), ValueError("")):
        with pytest.raises(KdlabError) as caught, door("x.json", "save it again"):
            raise error
        assert str(caught.value).startswith("x.json can't be read (")
        assert str(caught.value).endswith("): save it again.")
        assert "\n" not in str(caught.value)


def test_what_is_no_error_of_a_library_comes_through_the_door():
    with pytest.raises(KdlabError, match=r"^own sentence$"), door("x", "y"):
        raise KdlabError("own sentence")
    with pytest.raises(KeyboardInterrupt), door("x", "y"):
        raise KeyboardInterrupt
    with door("x", "y"):
        pass


def test_only_regular_files_of_bounded_size_are_opened(tmp_path):
    (tmp_path / "x").write_bytes(b"12345")
    with opened(tmp_path / "x", limit=5) as file:
        assert file.read() == b"12345"
    with pytest.raises(KdlabError, match=r"has 5 bytes, and kdlab reads such a file up to 4"):
        check_regular(tmp_path / "x", limit=4)
    with pytest.raises(KdlabError, match="is a folder, not a file"):
        check_regular(tmp_path)
    with pytest.raises(KdlabError, match=r"can't be read \(No such file or directory\)"):
        check_regular(tmp_path / "y")
    with pytest.raises(KdlabError, match="is a device or a pipe"):
        check_regular(Path("/dev/zero"))
    (tmp_path / "link").symlink_to(tmp_path / "x")
    check_regular(tmp_path / "link")


def test_a_pipe_without_a_writer_hangs_nothing(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    seen: list[BaseException] = []

    def read() -> None:
        try:
            read_text(tmp_path / "fifo")
        except KdlabError as error:
            seen.append(error)

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    thread.join(5)
    assert [str(error) for error in seen] == [f"{tmp_path / 'fifo'} is a device or a pipe, not a file: give a file."]


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"{", r"can't be read \(Expecting property name"),
        (b"[" * 100_000, r"can't be read \(it is nested too deeply\)"),
        (b"[1]", r"holds a list where fields are needed"),
        (b'{"a": {"b": 1, "b": 2}}', r"can't be read \(field 'b' stands there twice\)"),
        (b"null", r"holds nothing where fields are needed"),
        (b'"x"', r"holds a text where fields are needed"),
        (b'{\n"a": "\xe9"}', r":2: byte 0xe9 is not UTF-8"),
        (b'{"a": ' + b"1" * 5000 + b"}", r"can't be read \(Exceeds the limit"),
    ],
)
def test_json_that_is_none_is_named(tmp_path, content, what):
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(KdlabError, match=what):
        read_fields(tmp_path / "x.json", "save it again")


def test_numbers_that_are_what_they_look_like_are_read():
    assert parse_yaml("a: [0, 10, -3, 1.5, 1e-5, 0x1F, '010', \"1:30\"]\n", PATH)[0] == {
        "a": [0, 10, -3, 1.5, "1e-5", 31, "010", "1:30"]
    }
    assert parse_yaml("labels: [010, 1:30]\n", PATH, texts=("labels",))[0] == {"labels": [8, 90]}
    assert parse_yaml("a: &x {k: 1}\nb: {<<: *x, c: 2}\n", PATH)[0]["b"] == {"k": 1, "c": 2}


def test_a_byte_order_mark_is_no_content(tmp_path):
    (tmp_path / "x.json").write_bytes(b'\xef\xbb\xbf{"a": 1}')
    assert read_json(tmp_path / "x.json", "") == {"a": 1}
    (tmp_path / "x.yaml").write_bytes(b"\xef\xbb\xbfa: 1\n")
    assert read_yaml(tmp_path / "x.yaml")[0] == {"a": 1}


def test_what_is_shown_has_no_control_sequences():
    assert shown("café 你好 🙂\u00a0x") == "café 你好 🙂\u00a0x"
    assert shown("a\x1b[2Jb\u202ec\udce9\n") == "a\\x1b[2Jb\\u202ec\\udce9\\n"
    assert shown("a\nb\x07", keep="\n") == "a\nb\\x07"
    assert marked("<b>|a`[x](y)*\n") == "&lt;b&gt;&#124;a&#96;&#91;x&#93;(y)&#42;&#92;n"


def test_lists_are_bounded():
    assert listed(["a", "b"]) == "a, b"
    assert listed([]) == "none"
    many = listed(f"label{i}" for i in range(100_000))
    assert len(many) < 340
    assert many.endswith(", … (100,000 in all)")
    assert len(listed(["x" * 10_000])) < 200
    assert clipped("abc", 2) == "a…"
