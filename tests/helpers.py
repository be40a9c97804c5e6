"""Tiny encoders, batches, tasks and data, and the one way in which tests train a method on them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    AutoModelForMaskedLM,
    AutoModelForSequenceClassification,
    BertConfig,
    DistilBertConfig,
    PreTrainedTokenizerFast,
    RobertaConfig,
)

from kdlab.attacks import load_recipe
from kdlab.attacks.kit import Kit
from kdlab.data.domains import DomainDataModule
from kdlab.data.examples import Examples
from kdlab.data.module import GLUEDataModule
from kdlab.data.tasks import TaskSpec
from kdlab.methods import load_method
from kdlab.methods.base import TrainingConfig
from kdlab.models.bilstm import BiLSTMConfig
from kdlab.models.checkpoint import labelled_config
from kdlab.models.encoder import TextEncoder
from kdlab.models.generator import MaskedLM
from kdlab.models.recurrent import new_bilstm
from kdlab.results.run_record import (
    Fingerprints,
    RunRecord,
    Selection,
    SourceRecord,
    StudentRecord,
    TrainingRecord,
)
from kdlab.system.console import Reporter
from kdlab.system.hardware import Hardware
from kdlab.training.fit import TrainingRequest, fit
from kdlab.training.history import history_of
from kdlab.transformations import stand_ins
from kdlab.transformations.tables import STOP_WORDS, Origin, StopWords
from kdlab.types import Batch, LeftoverRows, Need, RecipeResource, Resource

FAMILIES = ("bert", "roberta", "distilbert")
CPU = Hardware("cpu", 1, "32-true")
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
WORDS = tuple(f"{c}{v}" for c in "bcdfglmnprs" for v in "aeiou")
VOCABULARY = {word: i for i, word in enumerate((*SPECIAL, *WORDS))}  # 60

PAIRS = TaskSpec(name="tiny", text="a", text_pair="b", labels=("no", "yes"), aliases={"nope": "no", "1": "yes"})
SCORES = TaskSpec(name="scored", text="a", text_pair="b", metrics=("pearson",), score_range=(0.0, 5.0))

# what makes a default of the papers fit a training of a few batches: one of the generator's, then two of the student's
BRIEF = {
    "annealing_kd": {"tau": 2, "epochs_each": 1},
    "mate_kd": {"n_g": 1, "n_s": 2, "head_steps": 3, "show_every": 1},
    "cilda": {"n_g": 1, "n_s": 2, "head_steps": 3, "show_every": 1},
    "robust": {"online": "deepwordbug", "attacked": 0.5, "alpha": 0.5},
    "l2a": {"samples": 2, "head_steps": 3, "show": 2},
}

# methods of the tests' own: a second player on every batch; a pool drawn anew, domains, unlabelled rows, a policy
TOYS = {name: f"{Path(__file__).parent}/methods/toys.py:{name.title()}" for name in ("rival", "pooled")}


def brief_words(name: str) -> list[str]:
    """``BRIEF`` as words of the command line."""
    return [f"{name}.{key}={value}" for key, value in BRIEF.get(name, {}).items()]


def tiny_encoder(
    family: str = "bert", layers: int = 2, hidden: int = 16, task: TaskSpec = PAIRS, seed: int = 0, dropout: float = 0.0
) -> TextEncoder:
    """An encoder from configuration, in eval mode, with weights wide enough that different inputs differ."""
    torch.manual_seed(seed)
    if family == "distilbert":
        config = DistilBertConfig(
            vocab_size=60, dim=hidden, n_layers=layers, n_heads=2, hidden_dim=2 * hidden, max_position_embeddings=32,
            dropout=dropout, attention_dropout=dropout, seq_classif_dropout=dropout, initializer_range=0.3,
        )  # fmt: skip
    else:
        kind = {"bert": BertConfig, "roberta": RobertaConfig}[family]
        config = kind(
            vocab_size=60, hidden_size=hidden, num_hidden_layers=layers, num_attention_heads=2, pad_token_id=0,
            intermediate_size=2 * hidden, max_position_embeddings=34, type_vocab_size=2, initializer_range=0.3,
            hidden_dropout_prob=dropout, attention_probs_dropout_prob=dropout,
        )  # fmt: skip
    model = AutoModelForSequenceClassification.from_config(labelled_config(config, task.labels))
    with torch.no_grad():  # as in published checkpoints, the padding's embedding is not zero
        model.get_input_embeddings().weight[0].normal_(std=0.3)
    return TextEncoder(model).eval()


def tiny_bilstm(task: TaskSpec = PAIRS, seed: int = 0, dropout: float = 0.0, **sizes) -> TextEncoder:
    """A BiLSTM over the tiny vocabulary, in eval mode, with tokens wide enough that different inputs differ."""
    own = {"vocab_size": 60, "embedding_size": 8, "hidden_size": 6, "classifier_size": 10, "initializer_range": 1.0}
    config = BiLSTMConfig(**{**own, "pair": task.text_pair is not None, "dropout": dropout, **sizes})
    return new_bilstm(labelled_config(config, task.labels), seed).eval()


def tiny_generator(family: str = "bert", hidden: int = 16, seed: int = 2, vocabulary: int = 60) -> MaskedLM:
    """A masked LM of 2 layers over the tiny vocabulary, drawn at random."""
    config = tiny_encoder(family, hidden=hidden).config
    config.vocab_size = vocabulary
    torch.manual_seed(seed)
    model = AutoModelForMaskedLM.from_config(config)
    return MaskedLM(model, VOCABULARY["[MASK]"], range(len(SPECIAL)), tiny_tokenizer()).eval()


def tiny_tokenizer() -> PreTrainedTokenizerFast:
    """A word-level tokenizer of 60 entries that writes pairs as BERT does."""
    core = Tokenizer(models.WordLevel(VOCABULARY, unk_token="[UNK]"))
    core.pre_tokenizer = pre_tokenizers.Whitespace()
    core.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    names = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), SPECIAL, strict=True))
    return PreTrainedTokenizerFast(tokenizer_object=core, **names)


def save_checkpoint(encoder: TextEncoder, folder: Path) -> Path:
    """The encoder and the tiny tokenizer as a Hugging Face folder."""
    encoder.model.save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return folder


def tiny_batch(lengths=(9, 4, 7, 5, 9, 6), task: TaskSpec = PAIRS, seed: int = 0, logits: bool = False) -> Batch:
    """Pairs of these lengths, padded on the right, with token types, labels and, where asked for, teacher logits."""
    draw = torch.Generator().manual_seed(seed)
    size, longest = len(lengths), max(lengths)
    ids = torch.randint(5, 60, (size, longest), generator=draw)  # (B, T)
    mask = (torch.arange(longest) < torch.tensor(lengths)[:, None]).long()
    types = (torch.arange(longest) >= torch.tensor(lengths)[:, None] // 2).long() * mask
    labels = torch.randint(0, 2, (size,), generator=draw)
    return Batch(
        index=torch.arange(size),
        input_ids=ids * mask,
        attention_mask=mask,
        token_type_ids=types,
        labels=labels.float() * 2.5 + 0.3 if task.regression else labels,
        teacher_logits=torch.randn(size, task.num_outputs, generator=draw) if logits else None,
    )


def tiny_examples(size: int, task: TaskSpec = PAIRS, seed: int = 0) -> Examples:
    """Pairs of 1 to 10 words a side; the label is whether they share their first letter."""
    draw = np.random.default_rng(seed)
    sides = [[" ".join(draw.choice(WORDS, draw.integers(1, 11))) for _ in range(size)] for _ in range(2)]
    same = [int(a[0] == b[0]) if i % 2 else i // 2 % 2 for i, (a, b) in enumerate(zip(*sides, strict=True))]
    labels = tuple(float(s) * 2.5 + len(a) / 40 for s, a in zip(same, sides[0], strict=True))
    return Examples(tuple(range(size)), tuple(sides[0]), tuple(sides[1]), labels if task.regression else tuple(same))


def tiny_data(
    cache, task: TaskSpec = PAIRS, train: int = 16, batch_size: int = 8, seed: int = 0, module=None
) -> GLUEDataModule:
    """A data module with a train and a dev split, and those that a method wants besides."""
    splits = {"train": tiny_examples(train, task), "dev": tiny_examples(10, task, seed=1)}
    for i, (name, wish) in enumerate(module.splits_of(module.config).items() if module else ()):
        rows = tiny_examples(6, task, seed=2 + i)
        splits[name] = dataclasses.replace(rows, labels=None) if isinstance(wish, LeftoverRows) else rows
    return GLUEDataModule(task, splits, tiny_tokenizer(), "tiny", 32, batch_size, 8, "dev", seed, cache)


def two_domains(cache, task=PAIRS, target: int = 8, source: int = 16):
    """Tiny data of two domains, with a reward part."""
    whole = tiny_examples(target + source, task)
    domain = (0,) * target + (1,) * source
    splits = {"train": dataclasses.replace(whole, domain=domain), "dev": tiny_examples(10, task, seed=1)}
    splits["reward"] = tiny_examples(6, task, seed=2)
    return DomainDataModule(task, splits, tiny_tokenizer(), "tiny", 32, 8, 8, "dev", 0, cache)


def tiny_method(name: str, task: TaskSpec = PAIRS, dropout: float = 0.0, student=None, **settings):
    """A registered method (or a class) with a 2-layer student of 16 units and, where needed, a teacher of 24.

    Settings that ``BRIEF`` has for it stand in for the papers' own; ``student`` is another student.
    """
    kind = load_method(TOYS.get(name, name)) if isinstance(name, str) else name
    teacher = tiny_encoder(layers=3, hidden=24, task=task, seed=1, dropout=dropout)
    config = kind.Config(**{**BRIEF.get(kind.name, {}), **settings})
    needs_model = bool(kind.needs_of(config) - {Need.LOGITS})
    student = student or tiny_encoder(task=task, dropout=dropout)
    module = kind(config, student, teacher if needs_model else None, task)
    for name, wish in kind.resources_of(config).items():
        module.take(name, tiny_resource(wish))
    return module


def tiny_resource(wish: Resource):
    """What a method wants, as small as it gets: a masked LM, or a recipe's attack with kdlab's own stop words."""
    if not isinstance(wish, RecipeResource):
        return tiny_generator()
    kind = load_recipe(wish.recipe)
    stop = StopWords(Origin(STOP_WORDS, "kdlab's own list", ""), stand_ins.STOP_WORDS)
    return kind().build(Kit(kind.name, kind.needs, ("a", "b"), stop=stop))


def train(module, data: GLUEDataModule, folder: Path, hardware: Hardware = CPU, seed: int = 0, **training):
    """Trains through ``kdlab.training.fit.fit`` with a CSV history; a method that takes logits gets random ones."""
    settings = TrainingConfig(**{"epochs": 2, "batch_size": 8, "learning_rate": 1e-3, "log_every": 1, **training})
    folder.mkdir(parents=True, exist_ok=True)
    if Need.LOGITS in module.needs_of(module.config):
        data.hand_out_logits(random_logits(data.task.num_outputs))
    request = TrainingRequest(settings, hardware, folder, seed, [history_of(folder)], Reporter(quiet=True), "student")
    return fit(module, data, request)


def random_logits(outputs: int):
    """A teacher whose clean logits are drawn, the same for one number of rows."""
    return lambda split: np.random.default_rng(0).normal(size=(len(split), outputs)).astype(np.float32)


def tiny_record() -> RunRecord:
    """The figures of a run without a teacher."""
    return RunRecord(
        kdlab="0.1.0",
        method="finetune",
        task="rte",
        profile="auto",
        seed=0,
        teacher_seed=0,
        split_seed=0,
        source=SourceRecord("local", "here", embedded=False),
        substituted=[],
        selection=Selection("holdout", "val/accuracy", 0.5, 1),
        max_length=32,
        training=TrainingRecord(2, 1, 0.5),
        teacher=None,
        student=StudentRecord("layers 0 of bert", 100, 10.0, {"dev": {"accuracy": 0.5}}),
        retained={},
        fingerprints=Fingerprints("run", "data", None, "tokenizer"),
    )
