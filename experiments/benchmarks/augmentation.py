"""Masked-LM augmentation as `kdlab augment` does it beside one word at a time with the same model, at SST-2's lengths.

kdlab's side is its processes, with a thread each; the other side has all threads for itself.
"""

from __future__ import annotations

import copy
import functools
import itertools
import multiprocessing
import string
import time
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from experiments.benchmarks.world import SEED, SST2_DECILES, SST2_RANKS, drawn, encoders, masked_lm
from kdlab.augmentation.blocks import block_size
from kdlab.models.generator import MaskedLM
from kdlab.transformations.blanks import Blank
from kdlab.transformations.masked_lm import Filler
from kdlab.transformations.words import Words

SENTENCES, MOST, ALONE = 4096, 10, 200
_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


@functools.cache
def _model() -> MaskedLM:
    """A 6×384 masked LM over as many words as BERT's vocabulary has entries."""
    names = ("".join(letters) for letters in itertools.product(string.ascii_lowercase, repeat=4))
    words = [*_SPECIAL, *itertools.islice(names, 30_522 - len(_SPECIAL))]
    core = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="[UNK]"))
    core.pre_tokenizer = pre_tokenizers.Whitespace()
    core.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    kinds = ("pad_token", "unk_token", "cls_token", "sep_token", "mask_token")
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, **dict(zip(kinds, _SPECIAL, strict=True)))
    return MaskedLM(masked_lm(encoders()[0]), 4, range(5), tokenizer)


@functools.cache
def _filler() -> Filler:
    return Filler(copy.deepcopy(_model()), 128)


@functools.cache
def _blocks(share: float) -> tuple[tuple[Blank, ...], ...]:
    """A share of the words of each sentence, one at least, in the blocks in which kdlab works."""
    draw = np.random.default_rng(SEED)
    vocabulary = _filler().words
    found: list[list[Blank]] = []
    for number, length in enumerate(drawn(draw, SENTENCES, SST2_DECILES) - 2):
        words = Words(" ".join(vocabulary[rank] for rank in drawn(draw, max(int(length), 1), SST2_RANKS)))
        places = draw.choice(len(words), max(1, round(share * len(words))), replace=False)
        if number % block_size(SENTENCES) == 0:
            found.append([])
        found[-1] += [Blank(words, int(place)) for place in places]
    return tuple(map(tuple, found))


def _start() -> None:
    torch.set_num_threads(1)
    _answer(0.0, 0)


def _answer(share: float, number: int) -> int:
    """Words of a block."""
    return len(_filler().best(_blocks(share)[number], MOST))


@functools.cache
def _pool() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(torch.get_num_threads(), multiprocessing.get_context("spawn"), _start)


def in_batches(share: float) -> float:
    """Words a second of kdlab's processes, which are ready."""
    numbers = range(len(_blocks(share)))
    list(_pool().map(_answer, itertools.repeat(share), numbers[: 2 * torch.get_num_threads()]))
    started = time.perf_counter()
    words = sum(_pool().map(_answer, itertools.repeat(share), numbers))
    return words / (time.perf_counter() - started)


@torch.no_grad()
def one_at_a_time(share: float) -> float:
    """Words a second, an input of one sentence for each; the first words."""
    model, blanks = _model(), list(itertools.islice(itertools.chain(*_blocks(share)), ALONE))
    tokenizer = model.tokenizer
    started = time.perf_counter()
    for blank in blanks:
        start, end = blank.words.spans[blank.position]
        text = blank.words.text
        ids = tokenizer(f"{text[:start]}[MASK]{text[end:]}", return_tensors="pt")["input_ids"]
        logits = model(ids, torch.ones_like(ids), torch.zeros_like(ids), ids == 4)
        tokenizer.convert_ids_to_tokens(logits[0].topk(MOST).indices.tolist())
    return len(blanks) / (time.perf_counter() - started)
