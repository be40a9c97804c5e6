"""Cosines of sentence embeddings, with a store and without."""

from __future__ import annotations

import pytest
import torch
from helpers import WORDS, tiny_encoder, tiny_tokenizer

from kdlab.attacks.sentences import SentenceEncoder
from kdlab.attacks.store import Store
from kdlab.models.sentences import SentenceModel

PAIRS = [("ba be", "ba bi"), ("ba", "ba"), ("", "bo bu ca ce ci"), ("ba bi", "ba be"), ("ba be", "da de di do du")]


def model(family: str = "bert", seed: int = 0) -> SentenceModel:
    """Over the tiny vocabulary, drawn at random."""
    return SentenceModel(tiny_encoder(family, seed=seed).model.base_model).eval()


def embedding(encoder: SentenceModel, text: str, max_length: int = 32) -> torch.Tensor:
    """The mean of the last states, special tokens included, by a pass of its own."""
    inputs = tiny_tokenizer()(text, return_tensors="pt", truncation=True, max_length=max_length)
    with torch.no_grad():
        own = {"input_ids": inputs["input_ids"], "attention_mask": inputs["attention_mask"]}
        return encoder.model(**own).last_hidden_state[0].mean(0)


def expected(encoder: SentenceModel, pairs: list[tuple[str, str]], max_length: int = 32) -> list[float]:
    both = [[embedding(encoder, text, max_length) for text in pair] for pair in pairs]
    return [float(a @ b / a.norm() / b.norm()) for a, b in both]


@pytest.mark.parametrize("family", ["bert", "roberta", "distilbert"])
@pytest.mark.parametrize("budget", [None, (16, 2)])
def test_cosines_of_mean_states(family: str, budget: tuple[int, int] | None):
    encoder = model(family)
    found = SentenceEncoder(model(family), tiny_tokenizer(), 32, budget=budget).cosines(PAIRS)
    assert found.dtype == torch.float32
    assert found.tolist() == pytest.approx(expected(encoder, PAIRS), abs=1e-5)
    assert found[1].item() == pytest.approx(1)
    assert found[0].item() == found[3].item() < 0.99


def test_what_is_too_long_is_cut():
    pairs = [(" ".join(WORDS[:9]), " ".join(WORDS[:8])), (" ".join(WORDS[:4]), " ".join(WORDS[:7]))]
    found = SentenceEncoder(model(), tiny_tokenizer(), 6).cosines(pairs)
    assert found.tolist() == pytest.approx([1, 1], abs=1e-6)


def read_by(encoder: SentenceEncoder, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Texts that its model reads from now on."""
    read: list[list[str]] = []
    run = encoder._passes.run

    def noted(texts, *rest):
        read.append(sorted(texts))
        return run(texts, *rest)

    monkeypatch.setattr(encoder._passes, "run", noted)
    return read


def test_each_text_is_read_once(monkeypatch: pytest.MonkeyPatch):
    encoder = SentenceEncoder(model(), tiny_tokenizer(), 32)
    read = read_by(encoder, monkeypatch)
    encoder.cosines(PAIRS)
    assert read == [sorted({text for pair in PAIRS for text in pair})]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_store_gives_the_same_to_the_last_bit_and_asks_once(
    dtype: torch.dtype, tmp_path, monkeypatch: pytest.MonkeyPatch
):
    def opened() -> SentenceEncoder:
        return SentenceEncoder(model().to(dtype), tiny_tokenizer(), 32, store=Store(tmp_path))

    plain = SentenceEncoder(model().to(dtype), tiny_tokenizer(), 32).cosines(PAIRS)
    encoder = opened()
    first = encoder.cosines(PAIRS)
    assert first.dtype == plain.dtype == dtype
    assert torch.equal(first, plain)
    again = opened()
    read = read_by(again, monkeypatch)
    assert torch.equal(again.cosines(PAIRS[::-1]), plain.flip(0))
    assert read == []
    assert again.cosines([("ba", "be"), PAIRS[0]])[1] == plain[0]
    assert read == [["ba", "be"]]


def test_no_pairs(tmp_path):
    assert SentenceEncoder(model(), tiny_tokenizer(), 32).cosines([]).shape == (0,)
    assert SentenceEncoder(model(), tiny_tokenizer(), 32, store=Store(tmp_path)).cosines([]).shape == (0,)
