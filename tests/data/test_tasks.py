"""The table of tasks: its columns, and that reading it costs nothing."""

import subprocess
import sys

import pytest

from kdlab.data.tasks import TASKS, TEST, TRAIN, get_task
from kdlab.errors import KdlabError


def test_importing_the_tasks_loads_nothing_heavy():
    code = (
        "import sys; import kdlab.data.tasks; "
        "print([m for m in ('torch', 'datasets', 'transformers', 'yaml', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("spec", TASKS.values(), ids=list(TASKS))
def test_every_task_is_consistent(spec):
    text, pair, label = spec.file_columns
    assert text
    assert label
    assert (pair is None) == (spec.text_pair is None)
    assert spec.splits.keys() == spec.files.keys()
    assert spec.other_files.keys() <= spec.files.keys()
    assert TRAIN in spec.splits
    assert TEST in spec.splits
    assert bool(spec.labels) != spec.regression
    assert set(spec.aliases.values()) <= set(spec.labels)


def test_an_unknown_task_lists_the_nearest():
    with pytest.raises(KdlabError, match="no task 'mrcp': did you mean mrpc"):
        get_task("mrcp")
