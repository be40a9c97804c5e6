"""Who is attacked: any function of texts, and encoders in batches."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from helpers import WORDS, tiny_encoder, tiny_tokenizer

from kdlab.attacks import passes as module
from kdlab.attacks.passes import Passes
from kdlab.attacks.victim import CallableVictim, EncoderVictim
from kdlab.errors import KdlabError

LABELS = ("no", "yes")
TEXTS = [("a",), ("b c",), ("d",)]
ROWS = [[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]]


@pytest.mark.parametrize(
    ("answer", "dtype"),
    [
        (ROWS, torch.float32),
        ([(0, 1), (2, 3), (4, 5)], torch.float32),
        (np.array(ROWS), torch.float64),
        (np.array(ROWS, dtype=np.float32), torch.float32),
        (np.array(ROWS, dtype=np.int8), torch.float32),
        (torch.tensor(ROWS), torch.float32),
        (torch.tensor(ROWS, dtype=torch.float64), torch.float64),
        (torch.tensor(ROWS, dtype=torch.int64), torch.float32),
        (torch.tensor(ROWS, dtype=torch.bfloat16), torch.float32),
        (torch.tensor(ROWS, dtype=torch.float16), torch.float32),
        (torch.tensor(ROWS, requires_grad=True), torch.float32),
    ],
    ids=str,
)
def test_answers_of_many_kinds(answer: object, dtype: torch.dtype):
    rows = CallableVictim(lambda _: answer, LABELS).logits(TEXTS)
    assert rows.tolist() == ROWS
    assert rows.dtype == dtype
    assert not rows.requires_grad


def test_it_is_asked_for_texts_and_for_pairs_of_texts():
    asked: list[list[object]] = []

    def call(items: list[object]) -> list[list[float]]:
        asked.append(items)
        return [[float(len(asked)), float(i)] for i in range(len(items))]

    victim = CallableVictim(call, LABELS, batch_size=2)
    assert victim.logits(TEXTS).tolist() == [[1, 0], [1, 1], [2, 0]]
    assert victim.logits([("a", "b")]).tolist() == [[3, 0]]
    assert asked == [["a", "b c"], ["d"], [("a", "b")]]
    assert victim.logits([]).shape == (0, 2)
    assert len(asked) == 3


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (ROWS[:2], r"3 texts with numbers of shape \(2, 2\), and \(3, 2\) is needed"),
        ([*ROWS, ROWS[0]], r"shape \(4, 2\)"),
        ([[1.0], [2.0], [3.0]], r"shape \(3, 1\)"),
        ([[1.0, 2.0, 3.0]] * 3, r"shape \(3, 3\)"),
        ([1.0, 2.0, 3.0], r"shape \(3,\)"),
        (0.5, r"shape \(\)"),
        ([], r"shape \(0,\)"),
        ([[0.0, 1.0], [2.0], [4.0, 5.0]], "no table of numbers"),
        ([["no", "yes"]] * 3, "no table of numbers"),
        (None, "no table of numbers"),
        ({"label": 1}, "no table of numbers"),
        ([[0.0, 1.0], [2.0, float("nan")], [4.0, 5.0]], r"answer to 'b c' is no number: \[2.0, nan\]"),
        ([[0.0, 1.0], [2.0, 3.0], [float("-inf"), 5.0]], r"answer to 'd' is no number"),
        ([[0.0, 1e300], [2.0, 3.0], [4.0, 5.0]], r"answer to 'a' is no number"),  # of float32
    ],
)
def test_answers_that_are_no_logits_are_refused(answer: object, message: str):
    with pytest.raises(KdlabError, match=message):
        CallableVictim(lambda _: answer, LABELS).logits(TEXTS)


def texts_of(*lengths: int) -> list[tuple[str, ...]]:
    return [(" ".join(WORDS[(7 * i + j) % len(WORDS)] for j in range(n)),) for i, n in enumerate(lengths)]


def by_itself(encoder, text: tuple[str, ...], max_length: int = 32) -> torch.Tensor:
    """Logits of one text in a batch of its own."""
    own = {"truncation": True, "max_length": max_length, "return_token_type_ids": True}
    inputs = tiny_tokenizer()(*text, return_tensors="pt", **own)
    with torch.no_grad():
        return encoder(inputs["input_ids"], inputs["attention_mask"], inputs["token_type_ids"]).logits[0]


@pytest.mark.parametrize("family", ["bert", "roberta", "distilbert"])
@pytest.mark.parametrize("budget", [None, (16, 2), (1000, 3)])
def test_an_encoder_answers_in_the_order_of_the_texts(family: str, budget: tuple[int, int] | None):
    encoder = tiny_encoder(family)
    texts = [*texts_of(3, 9, 1, 0, 9, 12, 3), ("ba be", "bi"), ("", "bo bu ca"), ("zzz",)]
    expected = torch.stack([by_itself(encoder, text) for text in texts])
    rows = EncoderVictim(encoder, LABELS, tiny_tokenizer(), 32, budget=budget).logits(texts)
    assert torch.allclose(rows, expected, atol=1e-5)
    assert not rows.requires_grad
    assert not torch.allclose(rows[0], rows[1], atol=1e-3)


def test_an_encoder_is_in_eval_mode_and_keeps_its_precision():
    encoder = tiny_encoder(dropout=0.5).double().train()
    victim = EncoderVictim(encoder, LABELS, tiny_tokenizer(), 32)
    first, second = victim.logits(texts_of(5)), victim.logits(texts_of(5))
    assert torch.equal(first, second)
    assert first.dtype == torch.float64
    assert not encoder.training


def test_what_is_too_long_is_cut():
    encoder = tiny_encoder()
    victim = EncoderVictim(encoder, LABELS, tiny_tokenizer(), 6)
    (long,) = texts_of(9)
    assert torch.allclose(victim.logits([long])[0], by_itself(encoder, long, 6), atol=1e-6)
    pair = (long[0], "ba be")
    assert torch.allclose(victim.logits([pair])[0], by_itself(encoder, pair, 6), atol=1e-6)


def test_a_tokenizer_s_own_padding_and_cutting_are_neither_used_nor_changed():
    tokenizer, encoder = tiny_tokenizer(), tiny_encoder()
    tokenizer.backend_tokenizer.enable_padding(length=20)
    tokenizer.backend_tokenizer.enable_truncation(4)
    victim = EncoderVictim(encoder, LABELS, tokenizer, 32)
    (text,) = texts_of(6)
    assert torch.allclose(victim.logits([text])[0], by_itself(encoder, text), atol=1e-6)
    assert tokenizer.backend_tokenizer.truncation["max_length"] == 4


def test_texts_with_half_characters():
    victim = EncoderVictim(tiny_encoder(), LABELS, tiny_tokenizer(), 32)
    rows = victim.logits([("ba \ud800 be",), ("ba ? be",), ("ba \udfff", "é"), ("ba ?", "é")])
    assert torch.equal(rows[0], rows[1])
    assert torch.equal(rows[2], rows[3])


def passes(budget: tuple[int, int]) -> Passes:
    return Passes(tiny_tokenizer(), 32, torch.device("cpu"), budget)


def lengths_of(inputs: module.Inputs) -> torch.Tensor:
    return inputs.mask.sum(1, keepdim=True)


@pytest.mark.parametrize("at_once", [4, 4096])
def test_batches_keep_to_their_budget(at_once: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "AT_ONCE", at_once)
    shapes: list[torch.Size] = []

    def answer(inputs: module.Inputs) -> torch.Tensor:
        assert inputs.ids.shape == inputs.mask.shape == inputs.types.shape
        assert torch.equal(inputs.mask, (inputs.ids != 0).long())
        shapes.append(inputs.ids.shape)
        return lengths_of(inputs)

    lengths = (1, 9, 4, 4, 2, 7, 25, 4, 0, 1)
    found = passes((24, 3)).run([text for (text,) in texts_of(*lengths)], answer, 1, torch.int64)
    assert found[:, 0].tolist() == [n + 2 for n in lengths]
    assert all(rows * width <= 24 or rows == 1 for rows, width in shapes)
    assert max(rows for rows, _ in shapes) <= 3
    assert sum(rows for rows, _ in shapes) == len(lengths)


@pytest.mark.usefixtures("two_threads")
def test_two_threads_give_the_same():
    texts = [text for (text,) in texts_of(*range(12))]
    called: list[bool] = []

    def answer(inputs: module.Inputs) -> torch.Tensor:
        called.append(torch.is_grad_enabled())
        return lengths_of(inputs)

    assert passes((32, 4)).run(texts, answer, 1, torch.int64)[:, 0].tolist() == [n + 2 for n in range(12)]
    assert set(called) == {False}
    assert torch.get_num_threads() == 2


def test_no_texts_at_all():
    never: Callable[[module.Inputs], torch.Tensor] = lambda _: pytest.fail("called")  # noqa: E731
    assert passes((32, 4)).run([], never, 3, torch.float32).shape == (0, 3)
