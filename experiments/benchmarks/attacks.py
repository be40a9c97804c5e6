"""`kdlab attack`'s engine beside the bare passes over all that it asks, for a second victim, and its memory.

Texts have the lengths of SST-2's dev; words, neighbours and tagger are generated, so nothing is needed but the project.
Neither side loads models in its time. The bare side reads the same pooled texts, round by round as the engine asked for
them: tokenised, sorted, in batches within the same budget, through the same models.
"""

from __future__ import annotations

import copy
import functools
import itertools
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from torch import Tensor
from transformers import BertConfig, BertForSequenceClassification, BertModel, PreTrainedTokenizerFast

from experiments.benchmarks.world import SEED, SST2_RANKS, drawn, encoders, masked_lm
from kdlab.attacks import load_recipe
from kdlab.attacks.asks import AskSimilarity, AskVictim, AskWords
from kdlab.attacks.engine import Models
from kdlab.attacks.kit import MASKED_LM, NEIGHBOURS, SENTENCE_ENCODER, Kit
from kdlab.attacks.masked_words import MaskedWords
from kdlab.attacks.passes import Passes
from kdlab.attacks.sentences import SentenceEncoder
from kdlab.attacks.store import Store
from kdlab.attacks.study import Target, run_study
from kdlab.attacks.victim import EncoderVictim
from kdlab.evaluation.halves import in_halves, shares_cores
from kdlab.models.cloze import Cloze
from kdlab.models.encoder import TextEncoder
from kdlab.models.generator import MaskedLM
from kdlab.models.last_layer import first_token_alone
from kdlab.models.packed import pack, packed
from kdlab.models.sentences import SentenceModel
from kdlab.transformations.perceptron import Perceptron
from kdlab.transformations.stand_ins import STOP_WORDS
from kdlab.transformations.tables import STOP_WORDS as STOPS
from kdlab.transformations.tables import TAGGER, Origin, StopWords, WordTable
from kdlab.transformations.tagger import UNIVERSAL, PerceptronTagger

EXAMPLES = {"textfooler": 64, "bae": 24, "deepwordbug": 96, "pruthi": 8}
"""That each recipe attacks; its passes take seconds, not minutes."""
FEW, MANY = 872, 20_000
SST2_DEV = (2, 9, 11, 14, 16, 19, 21, 24, 27, 32, 47)
"""Words of SST-2's 872 sentences of dev, as deciles."""
NAMES = ("negative", "positive")
_LENGTH, _BUDGET, _ROWS = 128, 1024, 128
_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_VOCABULARY = 30_522
_ENDINGS = ("", "", "", "s", "s", "ing", "ed", "ly", "ness", "er", "ous", "ion")
_SYLLABLES = tuple(
    a + b for a in ("b", "c", "d", "f", "g", "l", "m", "n", "p", "r", "s", "t", "tr", "st") for b in "aeiou"
)


@functools.cache
def words() -> tuple[str, ...]:
    """All words, the most frequent first: stop words and signs, then made-up ones with English endings."""
    draw = np.random.default_rng(SEED)
    found = dict.fromkeys([".", ",", *sorted(STOP_WORDS)[:123]])
    while len(found) < _VOCABULARY - 200:
        stem = "".join(draw.choice(_SYLLABLES, draw.integers(1, 4)))
        found[stem + str(draw.choice(_ENDINGS))] = None
    return tuple(found)


@functools.cache
def texts(count: int) -> tuple[str, ...]:
    """Sentences of the lengths of SST-2's, with words as frequent as there."""
    draw = np.random.default_rng(SEED)
    own = words()
    return tuple(" ".join(own[i] for i in drawn(draw, int(n), SST2_RANKS)) for n in drawn(draw, count, SST2_DEV))


@functools.cache
def tokenizer() -> PreTrainedTokenizerFast:
    """Words, and pieces of a letter for what attacks make of them."""
    letters = [chr(i) for i in range(33, 127)]
    names = dict.fromkeys([*_SPECIAL, *letters, *(f"##{letter}" for letter in letters), *words()])
    core = Tokenizer(models.WordPiece({word: i for i, word in enumerate(names)}, unk_token="[UNK]"))
    core.normalizer = normalizers.BertNormalizer()
    core.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    core.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    kinds = ("pad_token", "unk_token", "cls_token", "sep_token", "mask_token")
    return PreTrainedTokenizerFast(tokenizer_object=core, **dict(zip(kinds, _SPECIAL, strict=True)))


@functools.cache
def kit(recipe: str) -> Kit:
    """Generated neighbours, of which about half have the same part of speech, stop words and tagger."""
    draw = np.random.default_rng(SEED + 1)
    content = words()[125:]
    near = draw.integers(0, len(content), (len(content), 20))
    table = {
        word: tuple(content[i] for i in row if content[i] != word) for word, row in zip(content, near, strict=True)
    }
    nowhere = {kind: Origin(kind, "generated", "") for kind in (NEIGHBOURS, STOPS, TAGGER)}
    return Kit(
        recipe,
        load_recipe(recipe).needs,
        ("sentence",),
        tables={NEIGHBOURS: WordTable(nowhere[NEIGHBOURS], table)},
        stop=StopWords(nowhere[STOPS], frozenset(STOP_WORDS)),
        parts_of_speech=PerceptronTagger(nowhere[TAGGER], _perceptron()),
    )


@functools.cache
def _perceptron() -> Perceptron:
    """As large as NLTK's, and as it mostly does it goes by endings."""
    draw = np.random.default_rng(SEED + 2)
    tags = sorted(UNIVERSAL)

    def weights(size: float) -> dict[str, float]:
        return {tags[i]: round(float(draw.normal(0, size)), 3) for i in draw.choice(len(tags), 4, replace=False)}

    found = {f"{place} suffix {end}": weights(3) for place in ("i", "i+1", "i-1") for end in {w[-3:] for w in words()}}
    found |= {f"{place} word {word}": weights(0.3) for place in ("i", "i+1", "i-1") for word in words()[:20_000]}
    found |= {f"i-{n} tag {tag}": weights(1) for n in (1, 2) for tag in tags}
    return Perceptron(found, dict.fromkeys(words()[:125], "DT"), tags)


def sentence_model(config: BertConfig) -> SentenceModel:
    """A sentence encoder of the victim's size."""
    torch.manual_seed(SEED + 3)
    return SentenceModel(BertModel(config, add_pooling_layer=False)).eval()


def balanced(encoder: TextEncoder) -> TextEncoder:
    """The classifier with a bias by which it gives each label to a half of the texts."""
    head = encoder.model.classifier
    logits = EncoderVictim(encoder, NAMES, tokenizer(), _LENGTH).logits([(text,) for text in texts(256)])
    with torch.no_grad():
        head.bias[1] += (logits[:, 0] - logits[:, 1]).median()
    return encoder


@functools.cache
def victims() -> tuple[TextEncoder, TextEncoder]:
    """The benchmarks' teacher, and one that differs from it as a second fine-tuning of the same checkpoint does."""
    first = encoders()[0]
    second = copy.deepcopy(first)
    torch.manual_seed(SEED + 4)
    with torch.no_grad():
        for weight in second.model.bert.encoder.parameters():
            weight.add_(torch.randn_like(weight) * 0.05 * weight.std() if weight.numel() > 1 else 0)
    return balanced(first), balanced(second)


@functools.cache
def targets(count: int) -> tuple[Target, ...]:
    """Examples of which both victims are rather sure, so that all are attacked, and not over at once."""
    own = [(text,) for text in texts(8 * count)]
    first, second = (EncoderVictim(one, NAMES, tokenizer(), _LENGTH).logits(own) for one in victims())
    margins = first[:, 1] - first[:, 0]
    fit = (first.argmax(1) == second.argmax(1)) & (margins.abs() >= margins.abs().median())
    return tuple(Target(i, own[i], int(margins[i] > 0)) for i in fit.nonzero().flatten().tolist()[:count])


@functools.cache
def _lm() -> MaskedLM:
    return MaskedLM(masked_lm(encoders()[0]), 4, range(5), tokenizer())


@functools.cache
def _sentences() -> SentenceModel:
    return sentence_model(encoders()[0].config)


@dataclass
class Asked:
    """What an engine asked for: kind and pooled questions of each round."""

    rounds: list[tuple[type, list[Any]]] = field(default_factory=list)


class Noted(Models):
    """Models that note what they are asked."""

    asked: Asked

    def answer(self, kind: type, items: list[Any]) -> Any:
        """See ``Models.answer``."""
        self.asked.rounds.append((kind, items))
        return super().answer(kind, items)


@dataclass
class Ran:
    """One study.

    Attributes:
        rate: Attacked examples a second.
        passes: Share of the time that models take, in percent of one.
        read: Texts that victim, masked LM and sentence encoder read.
        fooled: Successes.
    """

    rate: float
    passes: float
    read: tuple[int, int, int]
    fooled: int


def run_engine(recipe: str, number: int = 0, stores: Path | None = None, asked: Asked | None = None) -> Ran:
    """The engine's study of a recipe.

    Args:
        recipe: Its name.
        number: Of the victim.
        stores: Folder of answers that masked LM and sentence encoder have given; None for a new one.
        asked: Takes what is asked.
    """
    kind, own = load_recipe(recipe), targets(EXAMPLES[recipe])
    with tempfile.TemporaryDirectory() as name:
        folder = stores or Path(name)

        def store(what: str) -> Store:
            (folder / what).mkdir(exist_ok=True)
            return Store(folder / what)

        victim = EncoderVictim(victims()[number], NAMES, tokenizer(), _LENGTH)
        lm = sentences = None
        if MASKED_LM in kind.needs:
            lm = MaskedWords(_lm(), _LENGTH, False, store=store("words"))
        if SENTENCE_ENCODER in kind.needs:
            sentences = SentenceEncoder(_sentences(), tokenizer(), _LENGTH, store=store("sentences"))
        made = Noted(victim, lm, sentences)
        object.__setattr__(made, "asked", asked or Asked())
        attack = kind().build(kit(recipe))
        with _timed() as clock:
            started = time.perf_counter()
            outcomes = list(run_study(own, attack, made, SEED))
            seconds = time.perf_counter() - started
    fooled = sum(one.status == "succeeded" for one in outcomes)
    return Ran(len(own) / seconds, clock.seconds / seconds, (clock.read[0], clock.read[1], clock.read[2]), fooled)


@dataclass
class _Clock:
    seconds: float = 0.0
    read: list[int] = field(default_factory=lambda: [0, 0, 0])


class _timed:  # noqa: N801
    """Adds up the time inside forward passes, and counts the texts by who reads them."""

    def __enter__(self) -> _Clock:
        clock, plain = _Clock(), Passes._answers

        def answers(passes: Passes, parts: Sequence[Any], answer: Callable[[Any], Tensor]) -> list[Tensor]:
            started = time.perf_counter()
            found = plain(passes, parts, answer)
            clock.seconds += time.perf_counter() - started
            owner = type(getattr(answer, "__self__", None))
            clock.read[(EncoderVictim, MaskedWords, SentenceEncoder).index(owner)] += sum(len(p.ids) for p in parts)
            return found

        self._patch = mock.patch.object(Passes, "_answers", answers)
        self._patch.start()
        return clock

    def __exit__(self, *_: object) -> None:
        self._patch.stop()


def run_bare(recipe: str, asked: Asked, number: int = 0) -> float:
    """The passes alone over what the engine asked; as many examples a second as the engine would make of them."""
    encoder, cloze, sentences = victims()[number], Cloze(_lm()), _sentences()
    pack(sentences)
    core = copy.deepcopy(tokenizer().backend_tokenizer)
    core.enable_truncation(_LENGTH)

    def victim(ids: Tensor, mask: Tensor, types: Tensor) -> Tensor:
        return encoder(ids, mask, types).logits  # type: ignore[no-any-return]

    def masked(ids: Tensor, mask: Tensor, types: Tensor) -> Tensor:
        return cloze.logits(ids, mask, types, (ids == 4).int().argmax(1)).topk(400).indices

    def read(items: Sequence[str], answer: Callable[[Tensor, Tensor, Tensor], Tensor]) -> None:
        rows = sorted((one.ids for one in core.encode_batch_fast(items)), key=len, reverse=True)
        batches = list(_batches(rows))
        if len(batches) > 1 and shares_cores(torch.device("cpu")):
            in_halves(lambda batch: answer(*batch), batches)
        else:
            with torch.no_grad():
                for batch in batches:
                    answer(*batch)

    started = time.perf_counter()
    with packed(encoder), first_token_alone(encoder):
        for kind, items in asked.rounds:
            if kind is AskVictim:
                read([text for (text,) in items], victim)
            elif kind is AskWords:
                read(list(dict.fromkeys(items)), masked)
            elif kind is AskSimilarity:
                read(list(dict.fromkeys(itertools.chain(*items))), sentences)
    return EXAMPLES[recipe] / (time.perf_counter() - started)


def _batches(rows: Sequence[list[int]]) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Batches of rows that are sorted by length, within the budget."""
    start = 0
    while start < len(rows):
        width = max(len(rows[start]), 1)
        some = rows[start : start + max(min(_BUDGET // width, _ROWS), 1)]
        ids = torch.tensor([row + [0] * (width - len(row)) for row in some])
        yield ids, (ids != 0).long(), torch.zeros_like(ids)
        start += len(some)


def second_victim(recipe: str) -> tuple[Ran, Ran, Ran]:
    """The first victim, the second one behind it, and the second one with nothing known."""
    with tempfile.TemporaryDirectory() as name:
        first = run_engine(recipe, 0, Path(name))
        return first, run_engine(recipe, 1, Path(name)), run_engine(recipe, 1)


def peak_memory(examples: int) -> float:
    """Largest resident memory of a process of its own that attacks so many sentences, in MiB."""
    command = [sys.executable, "-m", "experiments.benchmarks.attacks", str(examples)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def attack_tiny(examples: int) -> None:
    """TextFooler against a classifier of one layer, with a sentence encoder of its size."""
    torch.manual_seed(SEED)
    config = BertConfig(hidden_size=32, num_hidden_layers=1, num_attention_heads=1, intermediate_size=64, num_labels=2)
    encoder = balanced(TextEncoder(BertForSequenceClassification(config)).eval())
    victim = EncoderVictim(encoder, NAMES, tokenizer(), _LENGTH)
    sentences = SentenceEncoder(sentence_model(config), tokenizer(), _LENGTH)
    own = [Target(i, (text,), i % 2) for i, text in enumerate(texts(examples))]
    attack = load_recipe("textfooler")().build(kit("textfooler"))
    for _ in run_study(own, attack, Models(victim, None, sentences), SEED):
        pass


if __name__ == "__main__":
    from experiments.benchmarks.__main__ import high_water
    from kdlab.system.memory import keep_freed_memory

    keep_freed_memory()
    attack_tiny(int(sys.argv[1]))
    sys.stdout.write(f"{high_water()}\n")
