"""What a user can get wrong is one sentence on standard error and exit code 2, and nothing is lost or left behind."""

import json
import shutil
import socket
import time
from pathlib import Path

import pytest
import torch
import yaml
from cli_fixtures import WORDS, Lab, metrics, open_lab, write_checkpoint, write_rte

TASK = "name: mine\nfiles: {train: mine.csv}\ncolumns: {text: said, label: mood}\nlabels: [glad, sad]\n"
ROWS = "".join(f"the man {i},{('glad', 'sad')[i % 2]}\n" for i in range(20))
METHOD = """
from dataclasses import dataclass
from typing import ClassVar
from kdlab.methods.base import DistillModule, MethodConfig
from kdlab.losses.soft_targets import supervised
from kdlab.types import LossTerms
{before}
class Mine(DistillModule):
    {inside}
    def compute_loss(self, batch):
        loss = supervised(self.student.classify(batch), batch.gold(), self.task.regression)
        {after}
        return LossTerms(loss, {{"ce": loss}})
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory):
    return open_lab(tmp_path_factory)


@pytest.fixture
def refused(lab: Lab, tmp_path: Path):
    """Runs a command line that must be refused before anything is written; returns the sentence."""

    def check(*words: object, method: object = "kd", task: object = "rte", env: dict | None = None) -> str:
        out = tmp_path / "out"
        sentence = lab.run(*lab.words(out, *words, method=method, task=task), env=env).sentence
        assert not out.exists()
        return sentence

    return check


def write(path: Path, content: str | bytes) -> Path:
    """A file with this content."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def method_file(folder: Path, before: str = "", inside: str = "pass", after: str = "pass") -> str:
    """``FILE:Class`` of a user's own method."""
    return f"{write(folder / 'mine.py', METHOD.format(before=before, inside=inside, after=after))}:Mine"


NAMES = {
    "--method mixdk": "no method 'mixdk': did you mean mixkd? Known: ",
    "--method= ": "no method ' '. Known: ",
    "--task rtee": "no task 'rtee': did you mean rte or rt? Known: ax, cikm, cola",
    "--profile papre": "no profile of the name 'papre': did you mean paper? Known: auto, embedded, paper",
    "--logger tensorbord": "no logger of the name 'tensorbord': did you mean tensorboard?",
    "--precision 64": "no precision '64': ",
    "--accelerator tpu": "no accelerator 'tpu': did you mean gpu or cpu?",
    "--sead 1": "no flag '--sead': did you mean --seed",
    "-x": "no flag '-x'",
    "kd.alhpa=1": "no setting 'kd.alhpa': did you mean kd.alpha",
    "--training.epoch=1": "no setting 'training.epoch': did you mean training.epochs",
    "mixkd.alpha_sm=1": "'mixkd.alpha_sm' is a setting of mixkd, and this run has another method: leave it out",
    "data.selection=test": "no data.selection of the name 'test'. Known: dev, holdout",
}
TYPES = {
    "--seed one": "Argument --seed: invalid int value: 'one'",
    "--seed": "Argument --seed: expected one argument",
    "training.epochs=many": "training.epochs=many has the wrong type: ",
    "training.epochs=1.5": "training.epochs=1.5 has the wrong type: ",
    "training.epochs=": "training.epochs= has the wrong type: ",
    "kd.scale_t2=maybe": "kd.scale_t2=maybe has the wrong type: ",
    "logger=csv": "logger=csv has the wrong type: it is a list; the default is ['csv']",
    "training=3": "'training' is a section: set one of training.epochs, ",
    "data={dir: x}": "'data' is a section: set one of data.dir, ",
    "--training.epochs 3": "A setting is written --training.epochs=VALUE, with '=' and no space",
    "epochs": "'epochs' is neither a flag nor key=value",
    "=3": "'=3' is neither a flag nor key=value",
    "data.dir=${HOME}": "data.dir=${HOME}: variables are not filled in here",
    "student.source=null": "student.source=None has the wrong type: ",
    "task=[rte": "The value of 'task=[rte' can't be read",
    "seed=2020-13-01": "The value of 'seed=2020-13-01' can't be read",
}
RANGES = {
    "--seeds 0": "seeds=0: ",
    "--seeds 20201120": "seeds=20201120: it says how many, 1 to 1000; --seed says which",
    "--seed -1": "seed=-1: it must be 0 or more",
    "--seed 18446744073709551616": "seed=18446744073709551616: ",
    "teacher.seed=-1": "teacher.seed=-1: ",
    "data.split_seed=-1": "data.split_seed=-1: ",
    "training.batch_size=0": "training.batch_size=0: it must be 1 or more",
    "training.batch_size=99999999999": "training.batch_size=99999999999: ",
    "teacher.epochs=0": "teacher.epochs=0: it must be 1 or more",
    "training.max_steps=0": "training.max_steps=0: a number of steps, or -1",
    "training.checkpoint_every=-1": "training.checkpoint_every=-1.0: it can't be negative",
    "training.patience=-1": "training.patience=-1: it must be 0 or more",
    "training.accumulate=3": "training.batch_size=16 must be a multiple of accumulate=3",
    "training.learning_rate=0": "training.learning_rate=0.0: it must be positive",
    "training.learning_rate=nan": "training.learning_rate=nan: it must be a finite number",
    "training.learning_rate=.inf": "training.learning_rate=inf: it must be a finite number",
    "training.clip=-1": "training.clip=-1.0: it can't be negative",
    "training.warmup=2": "training.warmup=2.0: ",
    "teacher.warmup=.nan": "teacher.warmup=nan: ",
    "data.holdout=1": "data.holdout=1.0: ",
    "data.max_length=4": "data.max_length=4: it must be 8 or more",
    "data.max_length=512": "data.max_length=512, but the encoder has positions for 48 tokens",
    "kd.temperature=0": "kd.temperature is 0.0: ",
    "kd.temperature=.inf": "kd.temperature=inf: ",
    "kd.alpha=1.5": "kd.alpha is 1.5: ",
    "--method mixkd mixkd.beta=-1": "mixkd.beta is -1.0: ",
    "--method mixkd mixkd.beta=.nan": "mixkd.beta=nan: ",
    "--method mixkd mixkd.ratio=0": "mixkd.ratio is 0: ",
    "--method ad2 ad2.steps=-1": "ad2.steps is -1: it counts steps of ascent",
    "--method ad2 ad2.epsilon=0": "ad2.epsilon is 0.0: the ball needs a positive radius",
    "--method ad2 ad2.norm=l3": "no ad2.norm of the name 'l3'",
    "--method ad2 ad2.preset=papre": "no ad2.preset of the name 'papre': did you mean paper?",
    "--method ad2 ad2.layer_map=[[4,1]]": "ad2.layer_map names layer 4 of the teacher, which has 3",
    "--method ad2 ad2.layer_map=3:2,2:1": "ad2.layer_map names layer 2 of the student, which has 1",
    "--method ad2 ad2.layer_map=2:1": "ad2.layer_map reads as the number 121: write a single pair as [[2,1]]",
    "--method ad2 ad2.layer_map=nearest": "ad2.layer_map='nearest' is no layer map: give uniform, ",
    "--method pkd": "pkd.layer_map=skip leaves the student's last layer out, and it has no other",
    "--method tinybert_kd tinybert_kd.layer_map=[[9,1]]": "tinybert_kd.layer_map names layer 9 of the teacher",
    "--limit-train 0": "'0' is neither a whole number from 1 nor a percentage",
    "--limit-train abc": "'abc' is neither a whole number from 1 nor a percentage",
    "--limit-train 150%": "'150%' is neither a whole number from 1 nor a percentage",
    "--limit-train -5": "'-5' is neither a whole number from 1 nor a percentage",
    "--limit-train 1": "'1' is less than the 2 labels of the data",
    "--limit-train=": "'data.limit_train' is empty",
    "--data-dir=": "'data.dir' is empty",
    "--teacher=": "'teacher.source' is empty",
    "--student=": "'student.source' is empty",
    "out=": "'out' is empty",
    "--devices 3": "--devices 3: ",
    "--devices 0": "--devices 0: ",
    "--precision 16": "--precision 16 needs a GPU",
    "--config ~nobody.of.that.name/x.yaml": "--config '~nobody.of.that.name/x.yaml': there is no such home folder",
    "data.dir=~nobody.of.that.name": "data.dir '~nobody.of.that.name': there is no such home folder",
    f"--data-dir {'long' * 200}": "File name too long: longlong",
}
LAYERS = {
    "layers:bottom:9": "asks for 9 layers, but its donor has 3",
    "layers:0,7": "asks for layer 7, but its donor has 3, numbered 0 to 2",
    "layers:1,0": "layers [1, 0] must rise",
    "layers:middle:2": "'middle:2' is no choice of layers; write layers:bottom:3",
    "layers:bottom:0": "'bottom:0' is no choice of layers",
    "layers:": "'' is no choice of layers",
    "layer:bottom:1": "'layer:bottom:1' is neither a folder nor a name on the hub",
    "bottom:1": "'bottom:1' is neither a folder nor a name on the hub",
    "nothing-here": "'nothing-here' is neither a folder nor in the hub's cache",
    "./nothing": "There is no folder './nothing'",
}


@pytest.mark.parametrize(("words", "said"), {**NAMES, **TYPES, **RANGES}.items())
def test_words(refused, words: str, said: str):
    assert said in refused(*(words.split(" ") if words.startswith("-") and not words.endswith(" ") else [words]))


@pytest.mark.parametrize(("student", "said"), LAYERS.items())
def test_students(refused, student: str, said: str):
    assert said in refused("--student", student)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["rum"], "There is no command 'rum': did you mean run?"),
        (["--seed", "1"], "There is no flag '--seed'"),
        (["--verbose"], "There is no flag '--verbose': did you mean --version?"),
        (["evaluat", "runs/x"], "There is no command 'evaluat': did you mean evaluate?"),
        (["cache", "ls", "--verify"], "There is no flag '--verify'"),
        (["cache", "ls", "more"], "'more' is nothing that kdlab cache knows: see kdlab cache --help"),
        (["list"], "The following arguments are required: kind"),
        (["list", "method"], "Argument kind: invalid choice: 'method'"),
        (["experiment"], "The following arguments are required: STUDY"),
        (["experiment", "nowhere.yaml"], "nowhere.yaml can't be read"),
        (["divergence"], "The following arguments are required: RUN"),
        (["divergence", "nowhere", "--figur", "x"], "There is no flag '--figur': did you mean --figure or --measure?"),
        (["divergence", "nowhere", "--measure", "kll"], "There is no measure 'kll': did you mean kl?"),
        (["run", "--list", "models"], "Argument --list: invalid choice: 'models'"),
    ],
)
def test_commands(lab: Lab, words: list[str], said: str):
    assert said in lab.run(*words).sentence


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_absent_gpu(refused):
    assert "finds no CUDA device here: use --accelerator cpu or auto" in refused("--accelerator", "gpu")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, " can't be read (No such file or directory)"),
        ("seed: 1\nlogger: [csv\n", ":3: not valid YAML ("),
        ("seed: 1\nsede: 2\n", "no setting 'sede': did you mean seed"),
        ("method: mixdk\n", "no method 'mixdk'"),
        ("method: [kd]\n", "no method '['kd']'"),
        ("- seed\n", " must hold settings as 'key: value', not a list"),
        ("seed\n", " must hold settings as 'key: value', not a str"),
        ("seed: 1\n# caf\xe9\n".encode("latin-1"), ":2: byte 0xe9 is not UTF-8"),
        ("seed: 2020-13-01\n", ": not valid YAML ("),
        ("a: &a\n  b: *a\n", ": not valid YAML ("),
        ("training:\n", "'training' is a section"),
        ("training: {epochs: many}\n", "training.epochs=many has the wrong type"),
        ("1: 2\n", "no setting '1'"),
    ],
)
def test_config_files(lab: Lab, tmp_path: Path, content: str | bytes | None, said: str):
    file = tmp_path / "settings.yaml"
    if content is not None:
        write(file, content)
    sentence = lab.run("run", "--config", file, "--out", tmp_path / "out").sentence
    assert said in sentence
    assert str(file) in sentence or "setting" in sentence or "method" in sentence or "training" in sentence


HEADER = "index\tsentence1\tsentence2\tlabel\n"
GOOD = HEADER + "".join(f"{i}\ta {i}\tb\t{('entailment', 'not_entailment')[i % 2]}\n" for i in range(20))


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("train", None, "/RTE holds no train.tsv, the train split of task rte"),
        ("dev", None, "/RTE holds no dev.tsv, the dev split of task rte"),
        ("train", GOOD.replace("sentence2", "second"), "/train.tsv:1: no column 'sentence2'; the columns there are "),
        ("train", GOOD + "20\tx\ty\tmaybe\n", "/train.tsv:22: label 'maybe' in column 'label' is none of entailment"),
        ("train", GOOD + "20\tx\tentailment\n", "/train.tsv:22: 3 columns where 4 are expected"),
        ("dev", GOOD + "20\tx\t  \tentailment\n", "/dev.tsv:22: column 'sentence2' is blank"),
        ("dev", GOOD.encode() + b"20\tx\t\xff\tentailment\n", "/dev.tsv:22: byte 6 of the line (0xff) is not UTF-8"),
        ("train", "", "/train.tsv holds no examples"),
        ("train", HEADER, "/train.tsv holds no examples"),
        ("test", "index\tsentence1\tsentence2\n", "/test.tsv holds no examples"),
        ("train", GOOD.replace("not_", ""), "/train.tsv: all 20 examples have the label 'entailment'"),
        ("train", "\n".join(GOOD.splitlines()[:3]), "2 examples are too few to hold 2 out"),
    ],
)
def test_data_files(refused, tmp_path: Path, file: str, content: str | bytes | None, said: str):
    path = write_rte(tmp_path / "glue" / "RTE") / f"{file}.tsv"
    path.unlink()
    if content is not None:
        write(path, content)
    assert said in refused("--data-dir", tmp_path / "glue")


def test_data_folders(refused, lab: Lab, tmp_path: Path):
    assert f"There is no folder {tmp_path}/none" in refused("--data-dir", tmp_path / "none")
    assert "There is no folder" in refused("--data-dir", lab.data / "RTE" / "train.tsv")
    (tmp_path / "empty").mkdir()
    assert "holds neither a folder RTE or rte nor train.tsv" in refused("--data-dir", tmp_path / "empty")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("labels: [glad, sad]\n", ""), ":1: field 'labels' or 'score_range' is needed"),
        (("[glad, sad]", "[glad, bad]"), "/mine.csv:3: label 'sad' in column 'mood' is none of glad, bad"),
        (("[glad, sad]", "[yes, no]"), "/mine.csv:2: label 'glad' in column 'mood' is none of yes, no"),
        (("[glad, sad]", "[glad"), ": not valid YAML ("),
        (("said", "heard"), "/mine.csv:1: no column 'heard'; the columns there are said, mood"),
        (("mine.csv", "yours.csv"), "/yours.csv can't be read"),
        (("name: mine", "name: rte"), ":1: field 'name' is 'rte', a task of kdlab's"),
        (("name: mine", "nmae: mine"), ":1: There is no field of a task 'nmae': did you mean name"),
    ],
)
def test_task_files(lab: Lab, tmp_path: Path, change: tuple[str, str], said: str):
    write(tmp_path / "mine.csv", "said,mood\n" + ROWS)
    file = write(tmp_path / "mine.yaml", TASK.replace(*change))
    words = ("run", "--method", "kd", "--task", file, "--teacher", lab.teacher, "--out", tmp_path / "out")
    assert f"{tmp_path}" in lab.run(*words).sentence
    assert said in lab.run(*words).sentence


def test_missing_task_file(refused, tmp_path: Path):
    assert "none.yaml can't be read" in refused(task=tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("config.json", "{garbage", "config.json can't be read (Expecting property name"),
        ("config.json", "{}", "config.json names no model_type"),
        ("config.json", "[]", "config.json holds a list where fields are needed"),
        (
            "config.json",
            '{"model_type": "bert", "hidden_size": "wide"}',
            "config.json can't be read (Validation error for field 'hidden_size': TypeError: Field",
        ),
        ("config.json", '{"model_type": "gpt2"}', "is of architecture 'gpt2', which kdlab does not drive"),
        ("config.json", '{"model_type": "bert", "hidden_size": 17}', "config.json describes no encoder"),
        ("config.json", None, "has no config.json"),
        ("model.safetensors", b"x" * 100, "model.safetensors can't be read ("),
        ("model.safetensors", "", "model.safetensors can't be read ("),
        ("model.safetensors", None, "has no model.safetensors (kdlab loads no pickles"),
        ("model.safetensors.index.json", "{", "model.safetensors.index.json can't be read ("),
        ("model.safetensors.index.json", "[]", "model.safetensors.index.json holds a list where fields are needed"),
        ("model.safetensors.index.json", '{"weight_map": {}}', "maps no weights to files"),
        ("model.safetensors.index.json", '{"weight_map": {"a": 1}}', "has a in 1: it may name safetensors files"),
        ("tokenizer.json", "{garbage", "has no tokenizer that loads"),
        ("tokenizer.json", None, "has no "),
    ],
)
def test_checkpoint_files(refused, lab: Lab, tmp_path: Path, name: str, content: str | bytes | None, said: str):
    teacher = shutil.copytree(lab.teacher, tmp_path / "teacher")
    if content is None:
        (teacher / name).unlink()
        torch.save({}, teacher / "pytorch_model.bin")  # which is not loaded in its stead
    else:
        write(teacher / name, content)
    if name == "model.safetensors.index.json":
        (teacher / "model.safetensors").unlink()
    sentence = refused("--teacher", teacher)
    assert said in sentence
    assert str(teacher) in sentence
    assert said in refused("--student", teacher, method="finetune")


def test_shortened_weights(refused, lab: Lab, tmp_path: Path):
    teacher = shutil.copytree(lab.teacher, tmp_path / "teacher")
    whole = (teacher / "model.safetensors").read_bytes()
    write(teacher / "model.safetensors", whole[:-100])
    assert "the file is damaged" in refused("--teacher", teacher)


@pytest.mark.parametrize(("field", "value"), [("hidden_size", 32), ("num_hidden_layers", 5), ("vocab_size", 99)])
def test_weights_of_another_shape_are_not_replaced_by_chance(lab: Lab, tmp_path: Path, field: str, value: int):
    teacher = shutil.copytree(lab.teacher, tmp_path / "teacher")
    config = json.loads((teacher / "config.json").read_text())
    write(teacher / "config.json", json.dumps({**config, field: value}))
    done = lab.run(*lab.words(tmp_path / "out", "--teacher", teacher), env={"KDLAB_CACHE": str(tmp_path / "cache")})
    assert ("num_hidden_layers=5, and" if value == 5 else "do not fit its config.json: ") in done.sentence
    assert not list((tmp_path / "out").glob("[!.]*"))


def test_checkpoints_that_are_not_there(refused, lab: Lab, tmp_path: Path):
    assert "'no/such' is neither a folder nor in the hub's cache" in refused("--teacher", "no/such")
    assert f"There is no folder '{tmp_path}/no'" in refused("--teacher", tmp_path / "no")
    assert "There is no folder" in refused("--teacher", lab.data / "RTE" / "train.tsv")


@pytest.mark.parametrize("form", ["{}", "{}:layers:bottom:1"])
@pytest.mark.parametrize("words", [(*WORDS, "extra"), WORDS[:-1], (*WORDS[:-2], WORDS[-1], WORDS[-2])])
def test_teacher_and_student_of_different_vocabularies(refused, tmp_path: Path, words: tuple[str, ...], form: str):
    donor = write_checkpoint(tmp_path / "student", words)
    sentence = refused("--student", form.format(donor))
    assert "have different vocabularies (for one, '" in sentence
    assert "(for one, '')" not in sentence


@pytest.mark.parametrize(
    ("head", "stated", "said"),
    [
        (2, "[entail, not_entailment]", "teacher.labels=['entail', 'not_entailment'] doesn't name the labels of rte"),
        (2, "[entailment, entailment]", "doesn't name the labels of rte, each one once: entailment, not_entailment"),
        (2, "[entailment, not_entailment, neutral]", "teacher.labels states 3 labels"),
        (3, "[entailment, not_entailment]", "teacher.labels states 2 labels"),
    ],
)
def test_stated_labels_that_do_not_fit(refused, tmp_path: Path, head: int, stated: str, said: str):
    teacher = write_checkpoint(tmp_path / "teacher", labels=tuple(f"LABEL_{i}" for i in range(head)))
    assert said in refused("--teacher", teacher, f"teacher.labels={stated}")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "There is no file "),
        ("class Yours: pass\n", "no class in "),
        ("class Mine: pass\n", " is no subclass of kdlab.methods.base.DistillModule"),
        ("def Mine(): pass\n", " is no subclass of kdlab.methods.base.DistillModule"),
        ("class Mine(:\n", " can't be imported: SyntaxError: "),
        ("import nothing_of_that_name\n", " can't be imported: ModuleNotFoundError: "),
        ("raise ValueError('one\\ntwo')\n", " can't be imported: ValueError: one two"),
        ("from kdlab.methods.base import DistillModule as Mine\n", "DistillModule itself is no method"),
    ],
)
def test_method_files(refused, tmp_path: Path, content: str | None, said: str):
    if content is not None:
        write(tmp_path / "mine.py", content)
    assert said in refused(method=f"{tmp_path / 'mine.py'}:Mine")


@pytest.mark.parametrize("name", ["data", "training", "teacher", "student", "seed", "method", "out"])
def test_method_named_like_a_section(refused, tmp_path: Path, name: str):
    method = method_file(tmp_path, inside=f"name: ClassVar[str] = {name!r}")
    assert f"A method can't be named '{name}', a setting of every run" in refused(method=method)


@pytest.mark.parametrize("name", ["", "a.b", "../up", "a b"])
def test_method_whose_name_is_no_name(refused, tmp_path: Path, name: str):
    method = method_file(tmp_path, inside=f"name: ClassVar[str] = {name!r}")
    assert f"The method's name '{name}' must be letters" in refused(method=method)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ("class Own(MethodConfig):\n    weight: float = 1.0\n", "Mine.Config must be a dataclass"),
        ("@dataclass\nclass Own:\n    weight: float = 1.0\n", "Mine.Config must be a dataclass"),
        ("@dataclass\nclass Own(MethodConfig):\n    weight: float\n", "'mine.weight' has no default"),
        ("@dataclass\nclass Own(MethodConfig):\n    weight: Lab = None\n", "A field of Mine.Config is no setting"),
    ],
)
def test_method_settings(refused, tmp_path: Path, config: str, said: str):
    method = method_file(tmp_path, before=f"class Lab: pass\n{config}", inside="Config = Own")
    assert said in refused(method=method)


def test_output_folders_that_can_not_be_written(lab: Lab, tmp_path: Path):
    file = write(tmp_path / "file", "kept")
    for out in (file, file / "below"):
        cache = tmp_path / "cache"
        sentence = lab.run(*lab.words(out), env={"KDLAB_CACHE": str(cache)}).sentence
        assert f"The output folder {out} can't be written (" in sentence
        assert not cache.exists()  # before any training
    assert file.read_text() == "kept"


def test_cache_folder_that_can_not_be_written(lab: Lab, tmp_path: Path):
    file = write(tmp_path / "file", "kept")
    sentence = lab.run(*lab.words(tmp_path / "out"), env={"KDLAB_CACHE": str(file)}).sentence
    assert "can't be written (Not a directory): set KDLAB_CACHE to one that can" in sentence


@pytest.fixture
def silent_hub():
    """Environment of a hub that takes connections and never answers."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield {
            "HF_ENDPOINT": f"http://127.0.0.1:{server.getsockname()[1]}",
            **dict.fromkeys(("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE")),
            "no_proxy": "127.0.0.1",
        }


@pytest.mark.parametrize("given", [(), ("--data-dir",), ("--teacher",)])
def test_paper_profile_without_a_hub(lab: Lab, silent_hub: dict, tmp_path: Path, given: tuple[str, ...]):
    words = [word for flag in given for word in (flag, {"--data-dir": lab.data, "--teacher": lab.teacher}[flag])]
    started = time.perf_counter()
    sentence = lab.run("run", "--profile", "paper", "--out", tmp_path / "out", *words, env=silent_hub).sentence
    assert time.perf_counter() - started < 4  # one question of 2 s, and no client's own retries
    missing = "bert-base-uncased" if given == ("--data-dir",) else "nyu-mll/glue/rte"
    assert f"--profile paper needs {missing} from the hub, which is not in its cache and can't be reached" in sentence


@pytest.mark.parametrize("method", ["annealing_kd", "mate_kd", "cilda"])
def test_the_papers_pair_is_asked_for_under_its_profile(lab: Lab, tmp_path: Path, method: str):
    words = ["run", "--method", method, "--profile", "paper", "--data-dir", lab.data, "--out", tmp_path / "out"]
    assert "'roberta-large' is neither a folder nor in the hub's cache" in lab.run(*words).sentence
    words += ["--teacher", lab.teacher, "--student", "layers:0,1", "data.max_length=48", "--print-config"]
    words += [f"{method}.n_g=1"] if method != "annealing_kd" else []
    given = yaml.safe_load(lab.run(*words).out)
    assert (given["teacher"]["source"], given["student"]["source"]) == (str(lab.teacher), "layers:0,1")


def test_error_at_a_later_seed_keeps_the_seeds_before(lab: Lab, tmp_path: Path):
    method = method_file(tmp_path, after="loss = loss * (float('nan') if self.context.seed == 1 else 1.0)")
    words = lab.words(tmp_path / "out", "--seeds", 3, method=method)
    done = lab.run(*words)
    assert "The loss term 'loss' of mine became nan in step 1" in done.sentence
    (kept,) = (tmp_path / "out").glob("*/metrics.json")
    assert metrics(kept.parent)["seed"] == 0
    again = lab.run(*words)
    assert again.code == 2
    assert "Seed 0 is finished already" in again.out


def test_interruption_leaves_no_record_that_looks_finished(lab: Lab, tmp_path: Path):
    method = method_file(tmp_path, after="raise KeyboardInterrupt")
    done = lab.run(*lab.words(tmp_path / "out", method=method))
    assert done.code == 130
    assert done.err.splitlines()[-1].startswith("kdlab: interrupted; ")
    assert not list((tmp_path / "out").rglob("metrics.json"))
