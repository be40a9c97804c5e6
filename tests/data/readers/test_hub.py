"""The hub without a network: conversion by label name, a real cache on disk, and a probe that cannot hang."""

import http.server
import json
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from kdlab.data.readers import hub
from kdlab.data.readers.glue_folder import load_glue
from kdlab.data.readers.hub import convert, go_offline, hub_cached, hub_reachable, load_hub
from kdlab.data.tasks import get_task
from kdlab.errors import KdlabError

VARIABLES = (
    "HF_HUB_OFFLINE",
    "HF_DATASETS_OFFLINE",
    "TRANSFORMERS_OFFLINE",
    "HF_ENDPOINT",
    "HF_HOME",
    "HF_DATASETS_CACHE",
    "XDG_CACHE_HOME",
    *(name for proxy in ("http_proxy", "https_proxy", "all_proxy", "no_proxy") for name in (proxy, proxy.upper())),
)

PREPARE = """
import sys
from pathlib import Path
from datasets import ClassLabel, DatasetInfo, Features, Split, SplitDict, SplitInfo, Value
from datasets.arrow_writer import ArrowWriter

def prepare(config, labels, splits):
    folder = Path(sys.argv[1]) / "datasets" / "nyu-mll___glue" / config / "0.0.0" / "abc123"
    folder.mkdir(parents=True)
    label = ClassLabel(names=labels) if labels else Value("float32")
    texts = ("premise", "hypothesis") if config in ("mnli", "ax") else ("sentence1", "sentence2")
    features = Features({texts[0]: Value("string"), texts[1]: Value("string"), "label": label, "idx": Value("int32")})
    infos = SplitDict(dataset_name="glue")
    for split, values in splits.items():
        with ArrowWriter(features=features, path=str(folder / f"glue-{split}.arrow")) as writer:
            for i, value in enumerate(values):
                writer.write({texts[0]: f"{split} {i}", texts[1]: "b", "label": value, "idx": i + 5})
            rows, size = writer.finalize()
        infos[split] = SplitInfo(name=split, num_bytes=size, num_examples=rows, dataset_name="glue")
    names = {"builder_name": "parquet", "dataset_name": "glue", "config_name": config, "version": "0.0.0"}
    DatasetInfo(features=features, splits=infos, **names).write_to_directory(str(folder))

prepare("rte", ["not_entailment", "entailment"], {"train": [0, 1, 1], "validation": [1, 0], "test": [-1, -1]})
prepare("stsb", None, {"train": [3.8, 0.2], "validation": [5.0, 2.6], "test": [-1.0]})
names = ["entailment", "neutral", "contradiction"]
prepare("mnli", names, {"train": [2, 1, 0], "validation_matched": [0, 1], "validation_mismatched": [2, 2],
                        "test_matched": [-1], "test_mismatched": [-1]})
prepare("ax", names, {"test": [-1, -1, -1]})
"""

READ = """
import json, os, shutil, sys
from pathlib import Path
from kdlab.data.readers.hub import hub_cached, load_hub
from kdlab.data.tasks import get_task
from kdlab.errors import KdlabError
cached = {name: hub_cached(get_task(name)) for name in ("rte", "stsb", "mnli", "ax", "qqp")}
early = [m for m in ("datasets", "huggingface_hub", "pyarrow") if m in sys.modules]
splits = {}
for name in ("rte", "stsb", "ax", "mnli"):
    splits[name] = {k: [e.ids, e.text, e.labels] for k, e in load_hub(get_task(name), offline=True).splits.items()}
late = {name: hub_cached(get_task(name)) for name in cached}
try:
    load_hub(get_task("qqp"), offline=True)
    error = ""
except KdlabError as caught:
    error = str(caught)
shutil.rmtree(Path(os.environ["HF_HOME"], "datasets", "nyu-mll___glue", "ax"))
alone = load_hub(get_task("mnli"), offline=True)
without = [hub_cached(get_task("mnli")), list(alone.splits), alone.notes]
results = {"cached": cached, "early": early, "late": late, "splits": splits, "error": error, "without": without}
print(json.dumps(results))
"""


@pytest.fixture(autouse=True)
def _clean(monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def read(tmp_path_factory):
    """What a fresh process reads from a prepared cache, with offline mode on and no network."""
    home = tmp_path_factory.mktemp("hub")
    root = Path(__file__).resolve().parents[3]
    env = {k: v for k, v in os.environ.items() if k not in VARIABLES}
    env |= {"HF_HOME": str(home), "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(root)}
    subprocess.run([sys.executable, "-c", PREPARE, str(home)], env=env, check=True, capture_output=True)
    start = time.monotonic()
    done = subprocess.run([sys.executable, "-c", READ], env=env, check=True, capture_output=True, text=True)
    return {"seconds": time.monotonic() - start, "home": home, **json.loads(done.stdout.splitlines()[-1])}


def test_the_cache_is_recognised_without_importing_datasets(read):
    assert read["cached"] == {"rte": True, "stsb": True, "mnli": True, "ax": True, "qqp": False}
    assert read["late"] == read["cached"]
    assert read["early"] == []


def test_a_cached_task_loads_offline(read):
    rte = read["splits"]["rte"]
    assert rte["train"] == [[5, 6, 7], ["train 0", "train 1", "train 2"], [1, 0, 0]]  # names, not numbers
    assert rte["dev"][2] == [0, 1]
    assert rte["test"] == [[5, 6], ["test 0", "test 1"], None]
    assert read["splits"]["stsb"]["train"][2] == [3.8, 0.2]  # and not 3.799999952316284
    assert read["splits"]["stsb"]["test"][2] is None


def test_ax_takes_train_and_dev_from_mnli(read):
    ax = read["splits"]["ax"]
    assert list(ax) == ["train", "dev", "test"]
    assert ax["train"][2] == [2, 1, 0]
    assert ax["dev"][1] == ["validation_matched 0", "validation_matched 1"]
    assert ax["test"][1] == ["test 0", "test 1", "test 2"]


def test_mnli_takes_the_text_of_ax_along_where_it_is_there(read):
    assert list(read["splits"]["mnli"]) == ["train", "dev", "dev_mm", "test", "test_mm", "test_ax"]
    assert read["splits"]["mnli"]["test_ax"] == [[5, 6, 7], ["test 0", "test 1", "test 2"], None]
    note = "nyu-mll/glue (ax) is not in the hub's cache, so no AX.tsv is written"
    assert read["without"] == [True, ["train", "dev", "dev_mm", "test", "test_mm"], [note]]


def test_what_is_not_cached_is_one_quick_sentence(read):
    assert read["error"].startswith(
        f"The dataset nyu-mll/glue (qqp) cannot be read in the cache {read['home']}/datasets,"
    )
    assert "\n" not in read["error"]
    assert read["seconds"] < 20


@pytest.mark.parametrize("variable", ["HF_HOME", "HF_DATASETS_CACHE", "XDG_CACHE_HOME"])
def test_an_incomplete_cache_is_none(read, tmp_path, monkeypatch, variable):
    monkeypatch.setitem(sys.modules, "datasets.config", None)
    place = {"HF_HOME": "datasets", "HF_DATASETS_CACHE": ".", "XDG_CACHE_HOME": "huggingface/datasets"}[variable]
    source = read["home"] / "datasets" / "nyu-mll___glue" / "rte" / "0.0.0" / "abc123"
    target = tmp_path / place / "nyu-mll___glue" / "rte" / "0.0.0" / "abc123"
    monkeypatch.setenv(variable, str(tmp_path))
    assert not hub_cached(get_task("rte"))
    target.mkdir(parents=True)
    assert not hub_cached(get_task("rte"))
    for path in source.iterdir():
        (target / path.name).write_bytes(path.read_bytes())
    assert hub_cached(get_task("rte"))
    (target / "glue-test.arrow").unlink()
    assert not hub_cached(get_task("rte"))
    (target / "dataset_info.json").write_text("{", encoding="utf-8")
    assert not hub_cached(get_task("rte"))


def dataset(columns, names=None):
    datasets = pytest.importorskip("datasets")
    features = {}
    for name, values in columns.items():
        kind = {int: "int64", float: "float32", str: "string"}[type(next(v for v in values if v is not None))]
        features[name] = datasets.Value(kind)
    if names is not None:
        features["label"] = datasets.ClassLabel(names=names)
    return datasets.Dataset.from_dict(columns, features=datasets.Features(features))


PAIR = {"sentence1": ["a", "b", "c"], "sentence2": ["d", "e", "f"], "idx": [4, 2, 9]}


@pytest.mark.parametrize(
    ("names", "labels"),
    [(["entailment", "not_entailment"], [0, 1, 1]), (["not_entailment", "entailment"], [1, 0, 0])],
)
def test_labels_go_by_name_whatever_their_order(names, labels):
    examples, notes = convert(dataset(PAIR | {"label": labels}, names), get_task("rte"), "train", "rte")
    assert examples.labels == (0, 1, 1)
    assert examples.ids == (4, 2, 9)
    assert examples.text_pair == ("d", "e", "f")
    assert notes == []


def test_shuffled_and_filtered_datasets_keep_rows_together():
    data = dataset(PAIR | {"label": [1, 0, 0]}, ["not_entailment", "entailment"]).select([2, 0])
    examples, _ = convert(data, get_task("rte"), "train", "rte")
    assert (examples.ids, examples.text, examples.labels) == ((9, 4), ("c", "a"), (1, 0))


def test_labels_may_be_plain_numbers_or_texts():
    columns = {"sentence": ["a", "b"], "label": [1, 0]}
    assert convert(dataset(columns), get_task("sst2"), "train", "sst2")[0].labels == (1, 0)
    columns = {"sentence": ["a", "b"], "label": ["negative", "positive"]}
    examples, _ = convert(dataset(columns), get_task("sst2"), "train", "sst2")
    assert examples.labels == (0, 1)
    assert examples.ids == (0, 1)


def test_a_test_split_has_no_labels_even_where_the_hub_has_them():
    data = dataset(PAIR | {"label": [1, 0, 1]}, ["not_equivalent", "equivalent"])
    assert convert(data, get_task("mrpc"), "test", "mrpc")[0].labels is None


def test_qqp_skips_blank_rows_but_not_in_test():
    columns = {"question1": ["a", "b", "c"], "question2": ["d", "", None], "label": [0, 1, 1], "idx": [0, 1, 2]}
    data = dataset(columns, ["not_duplicate", "duplicate"])
    examples, notes = convert(data, get_task("qqp"), "dev", "qqp")
    assert (examples.ids, notes) == ((0,), ["qqp: 2 broken rows skipped"])
    assert convert(data, get_task("qqp"), "test", "qqp")[0].text_pair == ("d", "", "")


@pytest.mark.parametrize(
    ("task", "columns", "names", "message"),
    [
        (
            "rte",
            PAIR | {"label": [0, -1, 1]},
            ["not_entailment", "entailment"],
            "src, row 1: column 'label' is '-1', which",
        ),
        (
            "rte",
            PAIR | {"label": [0, None, 1]},
            ["not_entailment", "entailment"],
            "src, row 1: column 'label' is 'None'",
        ),
        (
            "rte",
            PAIR | {"label": [0, 1, 1]},
            ["no", "yes"],
            "src, row 0: label 'no' in column 'label' is none of entail",
        ),
        ("rte", PAIR | {"label": [1, 1, 1]}, ["no", "entailment"], "src: all 3 examples have the label 'entailment'"),
        (
            "rte",
            {"sentence": ["a"], "label": [0]},
            None,
            "src: no column 'sentence1'; the columns there are sentence, label",
        ),
        ("rte", PAIR, None, "src: no column 'label'"),
        (
            "rte",
            PAIR | {"sentence2": ["a", " ", "b"], "label": [0, 1, 1]},
            ["not_entailment", "entailment"],
            "row 1: column",
        ),
        (
            "stsb",
            PAIR | {"label": [0.5, 5.5, 1.0]},
            None,
            "src, row 1: score '5.5' in column 'label' is no number from 0",
        ),
        ("stsb", PAIR | {"label": [0.5, 0.5, 0.5]}, None, "src: all 3 examples have the score 0.5"),
    ],
)
def test_errors_name_row_and_value(task, columns, names, message):
    with pytest.raises(KdlabError) as caught:
        convert(dataset(columns, names), get_task(task), "train", "src")
    assert message in str(caught.value)


def test_equal_examples_have_equal_fingerprints_from_file_and_hub(tmp_path):
    rows = ["index\tgenre\tsentence1\tsentence2\tscore", "0\tnews\ta\tb\t3.800", "1\tnews\tc\td\t0.067"]
    (tmp_path / "STS-B").mkdir()
    for file in ("train.tsv", "dev.tsv"):
        (tmp_path / "STS-B" / file).write_text("\n".join(rows), encoding="utf-8")
    data = dataset({"sentence1": ["a", "c"], "sentence2": ["b", "d"], "label": [3.8, 0.067], "idx": [0, 1]})
    spec = get_task("stsb")
    local = load_glue(spec, tmp_path).splits["train"]
    assert convert(data, spec, "train", "stsb")[0].fingerprint() == local.fingerprint()


class _Handler(http.server.BaseHTTPRequestHandler):
    status = 200
    seen: list[str] = []  # noqa: RUF012

    def do_HEAD(self):
        self.seen.append(self.path)
        self.send_response(self.status)
        self.end_headers()

    def do_CONNECT(self):
        self.seen.append(self.path)
        self.send_error(403)

    def log_message(self, *args):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(_Handler, "seen", [])
    monkeypatch.setenv("NO_PROXY", "")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield f"127.0.0.1:{running.server_address[1]}"
        running.shutdown()


@pytest.mark.parametrize(("status", "reachable"), [(200, True), (404, True), (403, False), (503, False)])
def test_the_probe_asks_the_endpoint_once(server, monkeypatch, status, reachable):
    monkeypatch.setenv("HF_ENDPOINT", f"http://{server}/mirror")
    monkeypatch.setattr(_Handler, "status", status)
    assert hub_reachable() is reachable
    assert _Handler.seen == ["/mirror"]


def test_the_probe_goes_through_the_proxy(server, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", f"http://{server}")
    assert not hub_reachable()  # the proxy refuses
    assert _Handler.seen == ["huggingface.co:443"]


@pytest.mark.parametrize("variable", ["HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE"])
def test_offline_variables_answer_at_once(server, monkeypatch, variable):
    monkeypatch.setenv("HF_ENDPOINT", f"http://{server}")
    monkeypatch.setenv(variable, "1")
    assert not hub_reachable()
    assert _Handler.seen == []
    monkeypatch.setenv(variable, "0")
    assert hub_reachable()


@pytest.mark.parametrize(
    "endpoint", ["nonsense", "file:///etc/hosts", "http://127.0.0.1:1", "http://[", "http://a b/", "x:y"]
)
def test_an_endpoint_that_is_none_is_not_reachable(monkeypatch, endpoint):
    monkeypatch.setenv("HF_ENDPOINT", endpoint)
    assert not hub_reachable()


def test_a_server_that_never_answers_and_a_name_that_is_never_found_do_not_hold_us(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}")
        start = time.monotonic()
        assert not hub_reachable(0.2)
        assert time.monotonic() - start < 1.5
    released = threading.Event()
    monkeypatch.setattr(hub, "_answers", lambda endpoint, timeout: released.wait(10))
    start = time.monotonic()
    assert not hub_reachable(0.2)
    assert time.monotonic() - start < 1.5
    released.set()


def test_going_offline_reaches_libraries_that_are_imported_already():
    code = (
        "from kdlab.data.readers.hub import go_offline; import sys, os\n"
        "assert 'datasets' not in sys.modules and 'huggingface_hub' not in sys.modules\n"
        "import datasets, huggingface_hub\n"
        "print(huggingface_hub.is_offline_mode(), datasets.config.HF_HUB_OFFLINE)\n"
        "go_offline()\n"
        "print(huggingface_hub.is_offline_mode(), datasets.config.HF_HUB_OFFLINE, os.environ['TRANSFORMERS_OFFLINE'])\n"
    )
    env = {k: v for k, v in os.environ.items() if k not in VARIABLES}
    env["PYTHONPATH"] = str(Path(__file__).resolve().parents[3])
    done = subprocess.run([sys.executable, "-c", code], env=env, check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["False", "False", "True", "True", "1"]


def test_going_offline_sets_the_environment(monkeypatch):
    for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.setenv(name, "0")
    monkeypatch.setattr(hub, "_CONSTANTS", {})
    go_offline()
    assert {os.environ[n] for n in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE")} == {"1"}


def test_a_task_that_is_not_on_the_hub():
    spec = type(get_task("rte"))(name="mine", text="text", labels=("a", "b"))
    assert not hub_cached(spec)
    with pytest.raises(KdlabError, match="Task mine is not on the Hugging Face hub"):
        load_hub(spec, offline=False)


@pytest.mark.parametrize(
    ("task", "columns", "labels"),
    [("rt", ("text",), ["neg", "pos"]), ("scitail", ("premise", "hypothesis"), None)],
)
def test_a_labelled_test_split_keeps_its_labels(monkeypatch, task, columns, labels):
    datasets = pytest.importorskip("datasets")
    kind = datasets.ClassLabel(names=labels) if labels else datasets.Value("string")
    features = datasets.Features({**{name: datasets.Value("string") for name in columns}, "label": kind})
    said = [1, 0] if labels else ["entails", "neutral"]
    rows = {**{name: ["a", "b"] for name in columns}, "label": said}
    parts = {name: datasets.Dataset.from_dict(rows, features=features) for name in ("train", "validation", "test")}
    monkeypatch.setattr(hub, "open_dataset", lambda name, offline: parts)
    loaded = load_hub(get_task(task), offline=False)
    assert {split: examples.labels for split, examples in loaded.splits.items()} == dict.fromkeys(
        ("train", "dev", "test"), (1, 0)
    )
