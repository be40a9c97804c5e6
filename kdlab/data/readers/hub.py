"""GLUE tasks from the Hugging Face hub or its cache on disk.

Importing this module imports neither ``datasets`` nor ``huggingface_hub``. Both retry an unreachable hub for half a
minute or more, so call ``hub_reachable`` first, and ``go_offline`` if it returns False.
"""

from __future__ import annotations

import http.client
import os
import ssl
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from kdlab.data.examples import Examples, Loaded, clip
from kdlab.data.reading import Collector
from kdlab.data.tasks import TASKS, TEST, TaskSpec, owner_of
from kdlab.errors import KdlabError
from kdlab.system.foreign import door, read_fields
from kdlab.system.shown import listed

_OFFLINE = ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE")
_TRUE = {"1", "ON", "YES", "TRUE"}
_CONSTANTS = {  # the values that the libraries read from the environment when they are imported
    "huggingface_hub.constants": ("HF_HUB_OFFLINE",),
    "datasets.config": ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE"),
}
_ENDPOINT = "https://huggingface.co"


def load_hub(spec: TaskSpec, offline: bool) -> Loaded:
    """Read a task's splits through ``datasets``.

    Args:
        spec: A task with ``hub``.
        offline: True to read only the cache on disk; turns offline mode on for the whole process.

    Returns:
        Every split of the task, and optional test splits of other tasks where available.

    Raises:
        KdlabError: ``datasets`` cannot find or read the dataset, or its splits or columns are not the task's.
    """
    if offline:
        go_offline()
    splits: dict[str, Examples] = {}
    notes: list[str] = []
    opened: dict[tuple[str, str], Any] = {}
    for split, hub_split in spec.splits.items():
        hub = _hub(spec, split)
        if hub not in opened:
            opened[hub] = open_dataset(hub, offline)
        source = f"{hub[0]} ({hub[1]}), split {hub_split}"
        if hub_split not in opened[hub]:
            raise KdlabError(
                f"{source} is not there; the splits there are {listed(opened[hub])}: remove the dataset from "
                f"{_cache()} and load it again."
            )
        splits[split], split_notes = convert(opened[hub][hub_split], spec, split, source)
        notes.extend(split_notes)
    for split, name in spec.further.items():
        owner = TASKS[name]
        hub = _hub(owner, TEST)
        if offline and not _prepared(hub, {owner.splits[TEST]}):
            notes.append(f"{hub[0]} ({hub[1]}) is not in the hub's cache, so no {spec.submission[split]} is written")
            continue
        source = f"{hub[0]} ({hub[1]}), split {owner.splits[TEST]}"
        splits[split], split_notes = convert(open_dataset(hub, offline)[owner.splits[TEST]], owner, TEST, source)
        notes.extend(split_notes)
    return Loaded(splits, tuple(notes))


def convert(dataset: Any, spec: TaskSpec, split: str, source: str) -> tuple[Examples, list[str]]:
    """The examples of a ``datasets.Dataset``, and notes on what was skipped.

    Args:
        dataset: Has columns for text, second text and label, and maybe ``idx``. Labels are matched by name.
        spec: The task.
        split: The task's name for the split.
        source: Name of the dataset in messages.

    Raises:
        KdlabError: A column is missing, a row has no label in a labelled split, or a label is not the task's.
    """
    test = split in spec.unlabelled_splits
    columns = (spec.text, spec.text_pair, spec.label)
    names = [name for name in (spec.text, spec.text_pair, None if test else spec.label) if name is not None]
    for name in names:
        if name not in dataset.column_names:
            raise KdlabError(
                f"{source}: no column {name!r}; the columns there are {listed(dataset.column_names)}: check that it "
                f"is the dataset of task {spec.name}."
            )
    texts = _texts(dataset, spec.text)
    pairs = [None] * len(texts) if spec.text_pair is None else _texts(dataset, spec.text_pair)
    labels = [None] * len(texts) if test else _labels(dataset, spec.label, source)
    ids: Sequence[int] = dataset["idx"][:] if "idx" in dataset.column_names else ()
    if len(set(ids)) != len(texts) or not all(isinstance(i, int) for i in ids):
        ids = range(len(texts))
    collector = Collector(spec, split, source, columns, row=", row ", blanks=spec.skip_malformed and test)
    skipped = 0
    for row, (text, pair, label) in enumerate(zip(texts, pairs, labels, strict=True)):
        if spec.skip_malformed and not test and not (text.strip() and (pair is None or pair.strip())):
            skipped += 1
            continue
        collector.add(row, ids[row], text, pair, label)
    notes = [f"{source}: {skipped} broken row{'s' * (skipped != 1)} skipped"] if skipped else []
    return collector.finish(), notes


def hub_cached(spec: TaskSpec) -> bool:
    """True where every split of the task is prepared in the ``datasets`` cache, so that no network is needed."""
    splits_of: dict[tuple[str, str], set[str]] = {}
    for split, hub_split in spec.splits.items():
        if spec.hub is None:
            return False
        splits_of.setdefault(_hub(spec, split), set()).add(hub_split)
    return all(_prepared(hub, splits) for hub, splits in splits_of.items())


def hub_reachable(timeout: float = 2.0) -> bool:
    """True where the hub answers one request within this many seconds, including the DNS look-up.

    Honours ``HF_ENDPOINT``, ``HTTPS_PROXY`` and ``NO_PROXY``; with an offline variable it returns False at once.
    """
    if is_offline():
        return False
    answer: list[bool] = []
    endpoint = os.environ.get("HF_ENDPOINT") or _ENDPOINT
    probe = threading.Thread(target=lambda: answer.append(_answers(endpoint, timeout)), daemon=True)
    probe.start()
    probe.join(timeout)  # a DNS look-up has no time-out: abandon the thread
    return answer == [True]


def is_offline() -> bool:
    """True where an environment variable turns offline mode on."""
    return any(os.environ.get(name, "").upper() in _TRUE for name in _OFFLINE)


def go_offline() -> None:
    """Keep the Hugging Face libraries off the network from now on, whether they are imported yet or not."""
    for name in _OFFLINE:
        os.environ[name] = "1"
    for module, names in _CONSTANTS.items():
        for name in names:
            if module in sys.modules and hasattr(sys.modules[module], name):
                setattr(sys.modules[module], name, True)


def _hub(spec: TaskSpec, split: str) -> tuple[str, str]:
    """Dataset and configuration on the hub that a split is read from."""
    owner = owner_of(spec, split)
    if owner.hub is None:
        raise KdlabError(f"Task {spec.name} is not on the Hugging Face hub: give the folder of its files.")
    return owner.hub


def open_dataset(hub: tuple[str, str], offline: bool) -> Any:
    """A ``datasets.DatasetDict``, untyped because ``datasets`` is only imported here.

    Args:
        hub: Dataset and configuration; an empty one is the default.
        offline: Whether the hub must not be contacted.

    Raises:
        KdlabError: It can't be had.
    """
    if offline:
        go_offline()
    try:
        import datasets

        return datasets.load_dataset(hub[0], hub[1] or None)
    except Exception as error:
        where = f"in the cache {_cache()}, and offline mode is on" if offline else "on the hub or in its cache"
        what = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise KdlabError(
            f"The dataset {hub[0]}{f' ({hub[1]})' if hub[1] else ''} cannot be read {where} ({type(error).__name__}: "
            f"{what[:300]}): load it once with a network, or give a folder with the files in the GLUE layout."
        ) from error


def _texts(dataset: Any, column: str) -> list[str]:
    """A column as strings; missing values are blank."""
    return ["" if value is None else str(value) for value in dataset[column][:]]


def _labels(dataset: Any, column: str, source: str) -> list[str | None]:
    """A label column as strings: the dataset's name of each class, scores without float32 rounding noise."""
    names: list[str] | None = getattr(dataset.features[column], "names", None)
    labels: list[str | None] = []
    for row, value in enumerate(dataset[column][:]):
        if value is None or (names is not None and not 0 <= value < len(names)):
            raise KdlabError(
                f"{source}, row {row}: column {column!r} is {clip(str(value))}, which is no label: this split should "
                f"be labelled, so check that it is the right one."
            )
        if names is not None:
            labels.append(names[value])
        else:
            labels.append(f"{value:.6g}" if isinstance(value, float) else str(value))
    return labels


def _cache() -> Path:
    """The cache folder of ``datasets``; as the library itself says where it is imported."""
    loaded = sys.modules.get("datasets.config")
    if loaded is not None:
        return Path(loaded.HF_DATASETS_CACHE)
    root = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    home = os.environ.get("HF_HOME") or str(Path(root) / "huggingface")
    folder = os.environ.get("HF_DATASETS_CACHE") or str(Path(home) / "datasets")
    return Path(os.path.expanduser(folder))  # noqa: PTH111  (which raises nothing where there is no home)


def _prepared(hub: tuple[str, str], splits: set[str]) -> bool:
    """True where the newest prepared copy of a configuration, which ``datasets`` uses, has these splits."""
    name = hub[0].split("/")[-1]
    folder = _cache() / hub[0].replace("/", "___") / hub[1]
    try:
        copies = [path for path in folder.glob("*/*") if path.is_dir()]
        if not copies:
            return False
        copy = max(copies, key=lambda path: path.stat().st_mtime)
        with door(copy, "load it again"):
            prepared = [read_fields(path / "dataset_info.json", "load it again")["splits"] for path in copies]
            there = prepared[copies.index(copy)]
            return all(split in there and any(copy.glob(f"{name}-{split}*.arrow")) for split in splits)
    except (OSError, KdlabError):
        return False


def _answers(endpoint: str, timeout: float) -> bool:
    """True where the endpoint answers: the hub itself, or a mirror, even with an HTTP error."""
    try:
        url = urlsplit(endpoint)
        if url.scheme not in ("http", "https"):
            return False
        proxies = urllib.request.getproxies()
        proxy = proxies.get(url.scheme) or proxies.get("all")
        bypass = proxy is None or urllib.request.proxy_bypass(url.hostname or "")
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({} if bypass else {url.scheme: str(proxy)}))
        opener.open(urllib.request.Request(endpoint, method="HEAD"), timeout=timeout).close()
        return True
    except urllib.error.HTTPError as error:
        return error.code < 500 and error.code not in (403, 407)  # those are a proxy's refusal
    except urllib.error.URLError as error:
        # The server answers, and the client library brings its own certificates.
        return isinstance(error.reason, ssl.SSLCertVerificationError)
    except (OSError, ValueError, http.client.HTTPException):
        return False
