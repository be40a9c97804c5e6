"""Set before anything imports transformers: no network, no hub, one thread, and a cache that goes away."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile

_CACHE = tempfile.mkdtemp(prefix="kdlab-test-cache-")
atexit.register(shutil.rmtree, _CACHE, ignore_errors=True)
os.environ.update(
    HF_HUB_OFFLINE="1",
    TRANSFORMERS_OFFLINE="1",
    HF_DATASETS_OFFLINE="1",
    WANDB_MODE="offline",
    WANDB_SILENT="true",
    TOKENIZERS_PARALLELISM="false",
    KDLAB_CACHE=_CACHE,
)

import pytest  # noqa: E402


def pytest_configure(config):
    """A frozen teacher is in eval mode, and phases share a folder: Lightning need not say so."""
    for message in (r"Found \d+ module\(s\) in eval mode", "Checkpoint directory .* exists and is not empty"):
        config.addinivalue_line("filterwarnings", f"ignore:{message}:UserWarning")


@pytest.fixture(scope="session", autouse=True)
def _one_quiet_thread():
    """Tiny models are fastest on one thread, and then their sums are the same everywhere."""
    import torch

    from kdlab.system.quiet import quiet_libraries

    torch.set_num_threads(1)
    quiet_libraries()


@pytest.fixture
def two_threads():
    """Two threads for torch inside."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def cache(tmp_path):
    """A cache of the test's own that remembers what it said."""
    from kdlab.system.cache import Cache

    said: list[str] = []
    made = Cache(tmp_path / "cache", said.append)
    made.said = said
    return made


@pytest.fixture(scope="session")
def checkpoint_folder(tmp_path_factory):
    """A 4-layer BERT of 16 units with a head for no / yes and a tokenizer, as a Hugging Face folder."""
    from helpers import save_checkpoint, tiny_encoder

    return save_checkpoint(tiny_encoder(layers=4), tmp_path_factory.mktemp("tiny") / "bert")
