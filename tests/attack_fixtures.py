"""Hand-made victims, masked LMs and sentence encoders, and one way in which tests run an attack on them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from torch import Tensor
from transformers import BertConfig, BertForMaskedLM, PreTrainedTokenizerFast

from kdlab.attacks.asks import Ask, Steps
from kdlab.attacks.attempt import Attack, Attempt
from kdlab.attacks.engine import Models, attack_all
from kdlab.attacks.search import Search, WordImportance
from kdlab.attacks.text import AttackText
from kdlab.attacks.transformations import TableSwap
from kdlab.attacks.victim import Victim
from kdlab.models.generator import MaskedLM
from kdlab.system.draw import Draw
from kdlab.transformations.attack_words import words_from_text
from kdlab.transformations.tables import Origin, StopWords
from kdlab.transformations.tagger import Tagger

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
R = TypeVar("R")
NOTHING = Origin("", "", "")


class Weighed(Victim):
    """Says the first label by the sum of its words' weights, in float64; every call is remembered.

    Args:
        weights: Word to weight; another word weighs nothing.
    """

    labels = ("good", "bad")

    def __init__(self, **weights: float) -> None:
        self.weights = weights
        self.asked: list[list[str]] = []

    def logits(self, texts: Sequence[tuple[str, ...]]) -> Tensor:
        whole = ["\n".join(text) for text in texts]
        self.asked.append(whole)
        return self.rows(whole)

    def rows(self, texts: Sequence[str]) -> Tensor:
        """Logits that never sum to 1, which TextAttack would take for probabilities."""
        sums = [sum(self.weights.get(word, 0.0) for word in words_from_text(text)) for text in texts]
        return torch.tensor([[one - 50, -50] for one in sums], dtype=torch.float64)

    def score(self, text: str) -> float:
        """What an attack makes of its answer."""
        return float(1 - torch.softmax(self.rows([text]), 1)[0, 0])


class Told(Victim):
    """Gives texts the probabilities that are written down, in float64; every call is remembered.

    Args:
        rows: Text to probabilities.
        other: Those of any other text.
    """

    def __init__(self, rows: Mapping[str, Sequence[float]], other: Sequence[float]) -> None:
        self.rows, self.other = rows, other
        self.labels = ("a", "b", "c")[: len(other)]
        self.asked: list[list[str]] = []

    def logits(self, texts: Sequence[tuple[str, ...]]) -> Tensor:
        whole = ["\n".join(text) for text in texts]
        self.asked.append(whole)
        return torch.tensor([self.rows.get(text, self.other) for text in whole], dtype=torch.float64).log()


class Listed:
    """A masked LM that gives the words that are written down for a text; every call is remembered."""

    def __init__(self, answers: Mapping[str, Sequence[str]]) -> None:
        self.answers = answers
        self.asked: list[list[str]] = []

    def words(self, texts: list[str]) -> list[list[str]]:
        self.asked.append(texts)
        return [list(self.answers.get(text, ())) for text in texts]


class Cosines:
    """A sentence encoder that finds cosines by a rule; every pair is remembered."""

    def __init__(self, rule: Callable[[str, str], float]) -> None:
        self.rule = rule
        self.asked: list[tuple[str, str]] = []

    def cosines(self, pairs: list[tuple[str, str]]) -> Tensor:
        self.asked += pairs
        return torch.tensor([self.rule(*pair) for pair in pairs], dtype=torch.float64)


class TableTagger(Tagger):
    """Tells the parts of speech that are written down, NOUN otherwise; what it was asked is remembered."""

    origin = NOTHING

    def __init__(self, **tags: str) -> None:
        self.by_word = tags
        self.asked: list[tuple[list[str], list[str], list[str]]] = []

    def tags(self, before: Sequence[str], words: Sequence[str], after: Sequence[str]) -> list[str]:
        self.asked.append((list(before), list(words), list(after)))
        return [self.by_word.get(word, "NOUN") for word in words]


def swaps(search: Search | None = None, **table: str) -> Attack:
    """An attack by a table of words, ``good="fine nice"``, without any constraint."""
    return Attack(TableSwap({word: tuple(new.split()) for word, new in table.items()}), search or WordImportance())


def attempt_on(*texts: str, attack: Attack | None = None, label: int = 0, compat: bool = False) -> Attempt:
    """An attack on an example that has not begun."""
    return Attempt(attack or swaps(), AttackText.of(texts), label, Draw("test"), compat)


def attacked(
    *texts: str, attack: Attack, models: Models | Victim, label: int = 0, compat: bool = False
) -> tuple[Attempt, str]:
    """An attack that has ended, and how."""
    answering = Models(models) if isinstance(models, Victim) else models
    (end,) = attack_all([attempt_on(*texts, attack=attack, label=label, compat=compat)], answering)
    return end


def driven(steps: Steps[R], answer: Callable[[Ask], object] | None = None) -> tuple[list[Ask], R]:
    """What a computation asks for, and its result.

    Args:
        steps: The computation.
        answer: Gives the answers; None where nothing may be asked for.
    """
    asked: list[Ask] = []
    try:
        asked.append(next(steps))
        while True:
            assert answer is not None, f"asks for {asked[-1]}"
            asked.append(steps.send(answer(asked[-1])))
    except StopIteration as end:
        return asked, end.value


def made(attempt: Attempt) -> str:
    """The text in which an attack ended."""
    assert attempt.best is not None
    return attempt.best.text.text


def stop_words(*words: str) -> StopWords:
    return StopWords(NOTHING, frozenset(words))


def wordpiece(names: Sequence[str]) -> PreTrainedTokenizerFast:
    """A lower-casing tokenizer of BERT's kind whose vocabulary is ``SPECIAL`` and these pieces."""
    core = Tokenizer(models.WordPiece({name: i for i, name in enumerate((*SPECIAL, *names))}, unk_token="[UNK]"))
    core.normalizer = normalizers.BertNormalizer(lowercase=True)
    core.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    core.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    kinds = ("pad_token", "unk_token", "cls_token", "sep_token", "mask_token")
    return PreTrainedTokenizerFast(tokenizer_object=core, **dict(zip(kinds, SPECIAL, strict=True)))


def masked_lm(names: Sequence[str], by_rank: bool = False, seed: int = 0) -> MaskedLM:
    """A BERT of 2 layers, drawn at random, over ``wordpiece(names)``.

    Args:
        names: Its pieces.
        by_rank: Whether it has the pieces one after the other in every place, and special tokens behind them.
        seed: Of its weights.
    """
    tokenizer = wordpiece(names)
    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=64, initializer_range=0.5, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
    )  # fmt: skip
    model = BertForMaskedLM(config).eval()
    if by_rank:
        head = model.cls.predictions
        torch.nn.init.zeros_(head.transform.LayerNorm.weight)
        torch.nn.init.zeros_(head.transform.LayerNorm.bias)
        count, special = len(tokenizer), len(SPECIAL)
        with torch.no_grad():
            head.bias.copy_(-((torch.arange(count) - special) % count).float())
    return MaskedLM(model, tokenizer.mask_token_id, range(len(SPECIAL)), tokenizer).eval()
