"""Students of other shapes: the BiLSTM with every method, and the transformers of the L2A paper's tables."""

from __future__ import annotations

import csv
import math

import pytest
import torch
from helpers import (
    CPU,
    PAIRS,
    SCORES,
    TOYS,
    tiny_batch,
    tiny_bilstm,
    tiny_data,
    tiny_encoder,
    tiny_generator,
    tiny_method,
    tiny_resource,
    train,
)
from transformers import AutoModelForSequenceClassification, BertConfig

from kdlab.errors import KdlabError
from kdlab.evaluation.predict import predict
from kdlab.methods import METHODS, load_method
from kdlab.methods.base import PhaseContext, TrainingConfig
from kdlab.models.checkpoint import labelled_config
from kdlab.models.encoder import TextEncoder
from kdlab.models.recurrent import wrap
from kdlab.planning.models import check_taps
from kdlab.system.hardware import Hardware
from kdlab.types import Need

# what each method does with a BiLSTM: settings under which it works, and what it says under its defaults where it
# doesn't
WORKS: dict[str, dict[str, object]] = {
    "finetune": {},
    "kd": {},
    "annealing_kd": {},
    "mixkd": {},
    "mate_kd": {},
    "pkd": {"beta": 0.0},
    "ad2": {"deep_kd": False, "adversarial": False},
    "cilda": {"crd_weight": 0.0, "alpha2": 0.0},
    "l2a": {"attention_weight": 0.0, "hidden_weight": 0.0},
    "ganbert": {},
    "robust": {},
}
REFUSES = {
    "pkd": "pkd works on [CLS] states of mapped layers (which pkd.beta=0 leaves out)",
    "tinybert_kd": "tinybert_kd works on attention and hidden states of mapped layers",
    "ad2": "ad2 works on features and attention of mapped layers (which ad2.deep_kd=false and ad2.adversarial=false",
    "cilda": "cilda works on [CLS] states of all layers (which cilda.crd_weight=0 and cilda.alpha2=0 leave out)",
    "l2a": "l2a works on attention and hidden states of the last layer (which l2a.attention_weight=0 and l2a.hidden_",
}
works = pytest.mark.parametrize("name", [*WORKS, "pooled"])


def method_of(name: str, task=PAIRS, dropout: float = 0.1):
    return tiny_method(name, task, student=tiny_bilstm(task, dropout=dropout), **WORKS.get(name, {}))


def history(folder) -> list[dict[str, str]]:
    with (folder / "history" / "metrics.csv").open() as f:
        return list(csv.DictReader(f))


def test_every_method_is_here():
    assert {*WORKS, *REFUSES} == {*METHODS}


@pytest.mark.parametrize("name", [*METHODS, *TOYS])
def test_a_method_that_works_on_layers_is_refused_in_a_sentence(name):
    kind = load_method(TOYS.get(name, name))
    layers, none = tiny_encoder().config, tiny_bilstm().config
    check_taps(kind, kind.Config(), layers, layers)
    if name not in REFUSES:
        check_taps(kind, kind.Config(), none, none)
        return
    for who, teacher, student in (("student", layers, none), ("teacher", none, layers)):
        with pytest.raises(KdlabError) as caught:
            check_taps(kind, kind.Config(), teacher, student)
        assert str(caught.value).startswith(REFUSES[name])
        assert f"the {who} is a BiLSTM, which has none: take a {who} of layers, or" in str(caught.value)
    if name in WORKS:
        check_taps(kind, kind.Config(**WORKS[name]), none, none)


def test_what_is_left_of_ad2_says_what_it_needs():
    kind, none = load_method("ad2"), tiny_bilstm().config
    with pytest.raises(KdlabError, match=r"embeddings that it perturbs \(which ad2.adversarial=false leaves out\)"):
        check_taps(kind, kind.Config(deep_kd=False), tiny_encoder().config, none)
    with pytest.raises(KdlabError, match=r"mapped layers \(which ad2.deep_kd=false leaves out\)"):
        check_taps(kind, kind.Config(adversarial=False), tiny_encoder().config, none)
    check_taps(kind, kind.Config(deep_kd=False), none, tiny_encoder().config)  # its answers are all it takes of it


@works
@pytest.mark.parametrize("task", [PAIRS, SCORES], ids=["classification", "regression"])
def test_it_learns_and_is_what_was_validated(name, task, cache, tmp_path):
    module = method_of(name, task)
    before = {k: v.clone() for k, v in module.student.state_dict().items()}
    data = tiny_data(cache, task, module=module)
    if task is SCORES and name in ("ganbert", "robust"):
        pytest.skip("scores are refused, whatever the student")
    fitted = train(module, data, tmp_path, weight_decay=0.0)
    student = module.finished_student()
    for key, value in student.state_dict().items():
        assert value.isfinite().all()
        assert not torch.equal(value, before[key]), key
    predicted = predict(student, data.split(data.select_on), data.eval_batch_size, CPU.device)
    assert torch.equal(fitted.answers.logits, predicted.logits)
    assert all(math.isfinite(float(row["train/loss"])) for row in history(tmp_path) if row["train/loss"])


class StoppedError(Exception):
    """What ends a training in the test below."""


@works
@pytest.mark.parametrize("stop", [2, 4])
def test_a_stopped_training_ends_as_one_that_was_not(name, stop, cache, tmp_path):
    whole = method_of(name)
    end = train(whole, tiny_data(cache, module=whole), tmp_path / "whole")
    begun = [0]

    def step_and_stop(*arguments):
        begun[0] += 1
        if begun[0] == stop:
            raise StoppedError
        type(stopped).on_train_batch_start(stopped, *arguments)

    stopped = method_of(name)
    stopped.on_train_batch_start = step_and_stop
    with pytest.raises(StoppedError):
        train(stopped, tiny_data(cache, module=stopped), tmp_path / "stopped", checkpoint_every=0.0)
    resumed = method_of(name)
    again = train(resumed, tiny_data(cache, module=resumed), tmp_path / "stopped", checkpoint_every=0.0)
    assert (again.value, again.epoch, again.steps) == (end.value, end.epoch, end.steps)
    assert history(tmp_path / "stopped") == history(tmp_path / "whole")
    wanted = whole.state_dict()
    assert all(torch.equal(v, wanted[k]) for k, v in resumed.state_dict().items())


@pytest.mark.parametrize("name", ["kd", "mixkd"])
def test_autocast_to_bf16_follows_fp32(name, cache, tmp_path):
    start = {k: v.clone() for k, v in tiny_bilstm().state_dict().items()}
    ends = {}
    for precision in ("32-true", "bf16-mixed"):
        module = method_of(name, dropout=0.0)
        train(module, tiny_data(cache), tmp_path / precision, hardware=Hardware("cpu", 1, precision))
        ends[precision] = module.student.state_dict()

    def distance(one, other) -> float:
        return float(torch.cat([(one[k] - other[k]).flatten() for k in start]).norm())

    exact, rounded = ends["32-true"], ends["bf16-mixed"]
    assert 0 < distance(exact, rounded) < 0.5 * distance(exact, start)


def test_its_words_carry_a_generators_gradient():
    module = method_of("mate_kd", dropout=0.0)
    losses = module.attack(tiny_batch(lengths=(9, 8)))
    losses.total.backward()
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in module.generator.parameters())


@pytest.mark.parametrize(
    ("student", "own", "training", "rate"),
    [
        (tiny_bilstm, None, 1e-3, 5e-5),
        (tiny_bilstm, None, 1e-5, 1e-5),
        (tiny_bilstm, 2e-3, 1e-3, 2e-3),
        (tiny_encoder, None, 1e-3, 1e-3),
        (tiny_encoder, 2e-3, 1e-3, 2e-3),
    ],
)
def test_a_generator_does_not_learn_at_the_rate_of_drawn_weights(student, own, training, rate):
    module = tiny_method("mate_kd", student=student(), generator_learning_rate=own)
    module.begin_phase(PhaseContext(training=TrainingConfig(learning_rate=training)))
    assert module.learning_rate_of("generator") == rate
    assert module.learning_rate_of("student") == training


def test_a_bilstm_can_be_a_teacher(cache, tmp_path):
    kind = load_method("mate_kd")
    module = kind(kind.Config(n_g=1, n_s=2), tiny_encoder(), tiny_bilstm(seed=4), PAIRS)
    module.take("generator", tiny_generator())
    before = {k: v.clone() for k, v in module.teacher.state_dict().items()}
    train(module, tiny_data(cache), tmp_path)
    assert all(torch.equal(v, before[k]) for k, v in module.teacher.state_dict().items())


# --- transformers of other shapes ------------------------------------------------------------------------------------


def shaped(layers: int, width: int, heads: int, inner: int, seed: int = 0) -> TextEncoder:
    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=60, hidden_size=width, num_hidden_layers=layers, num_attention_heads=heads, intermediate_size=inner,
        max_position_embeddings=32, pad_token_id=0,
    )  # fmt: skip
    return wrap(AutoModelForSequenceClassification.from_config(labelled_config(config, PAIRS.labels)))


def losses_of(name: str, student: TextEncoder, teacher: TextEncoder, **settings):
    kind = load_method(name)
    config = kind.Config(**settings)
    kind.check_pair(config, teacher.config, student.config)
    needs = kind.needs_of(config) - {Need.LOGITS}
    module = kind(config, student, teacher if needs else None, PAIRS)
    for resource, wish in kind.resources_of(config).items():
        module.take(resource, tiny_resource(wish))
    module.begin_phase(PhaseContext(phase=module.phases()[0], total_steps=10))
    losses = module.compute_loss(tiny_batch(logits=True))
    losses.total.backward()
    return losses


@pytest.mark.parametrize(("layers", "width"), [(4, 312), (12, 384)], ids=["TinyBERT", "MiniLM"])
@pytest.mark.parametrize("name", METHODS)
def test_shapes_of_the_papers_beside_a_teacher_of_another_width(name, layers, width):
    student, teacher = shaped(layers, width, 12, 1200), shaped(6, 48, 12, 96, seed=1)  # twelve heads, as they have
    losses = losses_of(name, student, teacher)
    assert losses.total.isfinite()
    reached = {n for n, p in student.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}
    assert any("word_embeddings" in n for n in reached)
    assert {n.split(".")[4] for n in reached if ".layer." in n} == {str(n) for n in range(layers)}


@pytest.mark.parametrize("name", ["tinybert_kd", "ad2"])
def test_other_numbers_of_heads_are_compared_by_relations(name):
    student, teacher = shaped(4, 312, 12, 1200), shaped(6, 64, 16, 96, seed=1)  # 12 and 16 heads: 4 relations
    with pytest.raises(KdlabError, match=rf"\(16, T, T\) in the teacher and \(12, T, T\).*{name}.attention=relations"):
        losses_of(name, student, teacher)
    assert losses_of(name, student, teacher, attention="relations").total.isfinite()
