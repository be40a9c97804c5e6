"""Tiny models with weights by a seed, for both environments: the same files are loaded on both sides, in float64."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

HIDDEN = 16
SPREAD = 0.5  # of the weights: so wide that a word's context decides about its candidates


def _write(folder: Path, kind: str, vocabulary_file: Path, seed: int, context: bool = True) -> None:
    """Without ``context`` neither a token's place nor other tokens count."""
    import torch
    import transformers

    folder.mkdir(parents=True, exist_ok=True)
    with vocabulary_file.open(encoding="utf-8") as file:
        size = sum(1 for _ in file)
    shutil.copyfile(vocabulary_file, folder / "vocab.txt")
    settings = {"tokenizer_class": "BertTokenizer", "do_lower_case": True, "model_max_length": 512}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    config = transformers.BertConfig(
        vocab_size=size,
        hidden_size=HIDDEN,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=2 * HIDDEN,
        initializer_range=SPREAD,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model: Any = getattr(transformers, kind)(config)
    if not context:
        with torch.no_grad():
            model.embeddings.position_embeddings.weight.zero_()
            model.embeddings.token_type_embeddings.weight.zero_()
            model.encoder.layer[0].attention.output.dense.weight.zero_()
            model.encoder.layer[0].output.dense.weight.zero_()  # what it adds is much the same for all tokens
    model.eval().save_pretrained(folder)


def make_masked_lm(folder: Path, vocabulary_file: Path, seed: int = 0) -> None:
    """A masked LM that knows nothing, with its tokenizer; no two of its candidates are equally likely in float64."""
    _write(folder, "BertForMaskedLM", vocabulary_file, seed)


def make_sentence_encoder(folder: Path, vocabulary_file: Path, seed: int = 1) -> None:
    """An encoder whose mean over the tokens changes so much with one word of 15 that the recipes' bounds matter."""
    _write(folder, "BertModel", vocabulary_file, seed, context=False)
