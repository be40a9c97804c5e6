"""Masked-LM augmentation in batches beside one word at a time with the same model, at SST-2's lengths."""

from __future__ import annotations

import functools
import itertools
import string
import time

import numpy as np
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from experiments.benchmarks.world import SEED, SST2_DECILES, SST2_RANKS, drawn, encoders, masked_lm
from kdlab.models.generator import MaskedLM
from kdlab.transformations.masked_lm import Blank, Filler
from kdlab.transformations.words import Words

SENTENCES, MOST = 512, 10
_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


@functools.cache
def _filler() -> Filler:
    """A 6×384 masked LM over as many words as BERT's vocabulary has entries."""
    names = ("".join(letters) for letters in itertools.product(string.ascii_lowercase, repeat=4))
    words = [*_SPECIAL, *itertools.islice(names, 30_522 - len(_SPECIAL))]
    core = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="[UNK]"))
    core.pre_tokenizer = pre_tokenizers.Whitespace()
    core.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    kinds = ("pad_token", "unk_token", "cls_token", "sep_token", "mask_token")
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, **dict(zip(kinds, _SPECIAL, strict=True)))
    return Filler(MaskedLM(masked_lm(encoders()[0]), 4, range(5), tokenizer), 128)


@functools.cache
def _blanks() -> tuple[Blank, ...]:
    """A fifth of the words of each sentence, one at least."""
    draw = np.random.default_rng(SEED)
    vocabulary = _filler().words
    found = []
    for length in drawn(draw, SENTENCES, SST2_DECILES) - 2:
        words = Words(" ".join(vocabulary[rank] for rank in drawn(draw, max(int(length), 1), SST2_RANKS)))
        places = draw.choice(len(words), max(1, round(len(words) / 5)), replace=False)
        found += [Blank(words, int(place)) for place in places]
    return tuple(found)


def in_batches() -> float:
    """Words a second, as kdlab asks."""
    started = time.perf_counter()
    _filler().best(_blanks(), MOST)
    return len(_blanks()) / (time.perf_counter() - started)


@torch.no_grad()
def one_at_a_time() -> float:
    """Words a second, an input of one sentence for each; the first 200 words."""
    filler, blanks = _filler(), _blanks()[:200]
    tokenizer = filler.model.tokenizer
    started = time.perf_counter()
    for blank in blanks:
        start, end = blank.words.spans[blank.position]
        text = blank.words.text
        ids = tokenizer(f"{text[:start]}[MASK]{text[end:]}", return_tensors="pt")["input_ids"]
        logits = filler.model(ids, torch.ones_like(ids), torch.zeros_like(ids), ids == 4)
        tokenizer.convert_ids_to_tokens(logits[0].topk(MOST).indices.tolist())
    return len(blanks) / (time.perf_counter() - started)
