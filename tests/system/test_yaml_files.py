"""Errors of PyYAML, of its own kind and plain ones, as one sentence with file and line."""

from pathlib import Path

import pytest
import yaml

from kdlab.errors import KdlabError
from kdlab.system.yaml_files import reading_yaml

PATH = Path("folder/x.yaml")


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("a: 1\nb: [1\nc: 2\n", "folder/x.yaml:3: not valid YAML (expected ',' or ']', but got ':')"),
        ("a: 2020-13-01\n", "folder/x.yaml: not valid YAML (month must be in 1..12"),
        ("a: !!bool x\n", "folder/x.yaml: not valid YAML ('x')"),
        ("[" * 3000, "folder/x.yaml: not valid YAML (maximum recursion depth exceeded"),
        ("a: *b\n", "folder/x.yaml:1: not valid YAML (found undefined alias 'b')"),
    ],
)
def test_an_error_is_one_sentence_with_file_and_line(text, start):
    with pytest.raises(KdlabError) as caught, reading_yaml(PATH):
        yaml.safe_load(text)
    assert str(caught.value).startswith(start)
    assert str(caught.value).endswith("): correct the file.")
    assert "\n" not in str(caught.value)


def test_other_errors_and_no_error_pass_through():
    with reading_yaml(PATH):
        assert yaml.safe_load("a: 1") == {"a": 1}
    with pytest.raises(KdlabError, match=r"^own sentence$"), reading_yaml(PATH):
        raise KdlabError("own sentence")
    with pytest.raises(OSError, match="gone"), reading_yaml(PATH):
        raise OSError("gone")
