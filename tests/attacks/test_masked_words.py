"""A masked LM's words for a place, as TextAttack's BAE ranks them."""

from __future__ import annotations

import string

import pytest
import torch
from attack_fixtures import SPECIAL, masked_lm
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, RobertaConfig, RobertaForMaskedLM

from kdlab.attacks import masked_words as module
from kdlab.attacks.masked_words import MaskedWords
from kdlab.attacks.store import Store
from kdlab.models.generator import MaskedLM
from kdlab.transformations.attack_words import words_from_text

NAMES = ("film", "##ing", ",", "dull", "ing", "'", "bright", "##s", "x2", "a", "the", "[unused0]", "33", "##!", "s")
COMPAT = ["film", "ing", "dull", "ing", "bright", "s", "x2", "a", "the", "[unused0]", "33", "s", "[UNK]", "[CLS]"]
FIXED = ["film", "dull", "ing", "bright", "x2", "a", "the", "[unused0]", "33", "s"]


def by_the_letter(model: MaskedLM, text: str, most: int) -> list[str]:
    """``WordSwapMaskedLM._bae_replacement_words`` for BERT, with one whole pass."""
    tokenizer = model.tokenizer
    inputs = tokenizer(text, return_tensors="pt", truncation=True, max_length=32)
    ids = inputs["input_ids"][0].tolist()
    if tokenizer.mask_token_id not in ids:
        return []
    with torch.no_grad():
        logits = model.model(**inputs).logits[0, ids.index(tokenizer.mask_token_id)]
    found = []
    for i in torch.softmax(logits, 0).argsort(descending=True).tolist():
        word = tokenizer.convert_ids_to_tokens(i).replace("##", "")
        if len(words_from_text(word)) == 1 and not all(sign in string.punctuation for sign in word):
            found.append(word)
        if len(found) >= most:
            break
    return found


@pytest.mark.parametrize("most", [1, 5, 50])
def test_words_are_those_of_a_whole_pass(most: int):
    model = masked_lm([*NAMES, *(f"w{i}" for i in range(60))])
    texts = ["the [MASK] film", "[MASK]", "dull, [MASK].", "a film [MASK]ing bright films", "the\n[MASK]", "no mask"]
    expected = [by_the_letter(model, text, most) for text in texts]
    assert MaskedWords(model, 32, True, most).words(texts) == expected
    assert expected[0] != expected[1]
    assert expected[-1] == []
    assert max(map(len, expected)) == most


def test_pieces_and_special_tokens_are_words_in_compat_alone():
    model = masked_lm(NAMES, by_rank=True)
    assert MaskedWords(model, 32, compat=True).words(["the [MASK]"]) == [[*COMPAT[:12], "[PAD]", *COMPAT[12:],
                                                                        "[SEP]", "[MASK]"]]  # fmt: skip
    assert MaskedWords(model, 32, compat=False).words(["the [MASK]"]) == [FIXED]


def test_so_many_words_and_no_more():
    model = masked_lm(NAMES, by_rank=True)
    for most in (1, 3, 10, 11):
        assert MaskedWords(model, 32, compat=True, most=most).words(["a [MASK]"]) == [COMPAT[:most]]
        assert MaskedWords(model, 32, compat=False, most=most).words(["a [MASK]"]) == [FIXED[:most]]


@pytest.mark.parametrize("compat", [False, True])
def test_where_the_best_tokens_are_no_words_all_are_looked_at(compat: bool, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "_LOOKED_AT", 3)
    names = (",", ";", "?", "!", *NAMES)
    model = masked_lm(names, by_rank=True)
    expected = COMPAT if compat else FIXED
    words = MaskedWords(model, 32, compat, most=4)
    assert words.words(["a [MASK]", "no mask", "[MASK]"]) == [expected[:4], [], expected[:4]]


def test_a_mask_that_is_cut_off_has_no_words():
    words = MaskedWords(masked_lm(NAMES, by_rank=True), 6, compat=False, most=1)
    assert words.words(["a a a [MASK]", "a a a a [MASK]", "[MASK] a a a a a a"]) == [["film"], [], ["film"]]


def test_of_two_masks_the_first_is_asked_for():
    model = masked_lm(NAMES)
    text = "dull [MASK] the [MASK] film"
    assert MaskedWords(model, 32, True, 5).words([text]) == [by_the_letter(model, text, 5)]


def test_texts_of_all_lengths_in_any_batches():
    model = masked_lm(NAMES)
    texts = [" ".join(["[MASK]", *(NAMES[(i * j) % 3 * 3] for j in range(i))]) for i in range(12)]
    expected = [by_the_letter(model, text, 50) for text in texts]
    for budget in ((8, 2), (64, 5), (4096, 128)):
        assert MaskedWords(model, 32, True, budget=budget).words(texts) == expected


def counted(words: MaskedWords, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Texts that the model reads from now on."""
    read: list[list[str]] = []
    run = words._passes.run

    def noted(texts, *rest):
        read.append(list(texts))
        return run(texts, *rest)

    monkeypatch.setattr(words._passes, "run", noted)
    return read


@pytest.mark.parametrize("compat", [False, True])
def test_a_store_gives_the_same_words_and_asks_once(compat: bool, tmp_path, monkeypatch: pytest.MonkeyPatch):
    model = masked_lm(NAMES)
    texts = ["a [MASK]", "no mask", "the [MASK]", "a [MASK]"]
    expected = MaskedWords(model, 32, compat).words(texts)
    store = Store(tmp_path)
    words = MaskedWords(model, 32, compat, store=store)
    read = counted(words, monkeypatch)
    assert words.words(texts) == expected
    assert [sorted(asked) for asked in read] == [["a [MASK]", "no mask", "the [MASK]"]]
    assert words.words(["film [MASK]", *texts])[1:] == expected
    assert read[1:] == [["film [MASK]"]]
    store.close()
    again = MaskedWords(model, 32, compat, store=Store(tmp_path))
    read = counted(again, monkeypatch)
    assert again.words(texts) == expected
    assert read == []


def roberta(names: list[str]) -> MaskedLM:
    """A RoBERTa that has tokens one after the other in every place."""
    special = ["<pad>", "<unk>", "<s>", "</s>", "<mask>"]
    core = Tokenizer(models.WordLevel({name: i for i, name in enumerate([*special, *names])}, unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    kinds = ("pad_token", "unk_token", "bos_token", "eos_token", "mask_token")
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, **dict(zip(kinds, special, strict=True)))
    config = RobertaConfig(
        vocab_size=len(tokenizer), hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8,
        max_position_embeddings=40, pad_token_id=0,
    )  # fmt: skip
    model = RobertaForMaskedLM(config)
    torch.nn.init.zeros_(model.lm_head.layer_norm.weight)
    torch.nn.init.zeros_(model.lm_head.layer_norm.bias)
    with torch.no_grad():
        model.lm_head.bias.copy_(-torch.arange(len(tokenizer)).float())
    return MaskedLM(model, tokenizer.mask_token_id, range(len(SPECIAL)), tokenizer).eval()


def test_words_of_bytes():
    model = roberta(["ing", "Ġfilm", "Ġ,", ",", "Ġ", "Ġdon't", "'s"])
    fixed = MaskedWords(model, 16, compat=False).words(["a <mask>"])
    assert fixed == [["film", "don't"]]
    compat = MaskedWords(model, 16, compat=True).words(["a <mask>"])
    words = ["ing", "film", ",", "", "don't", "'s"]  # a sign behind a blank counts, and no candidate is made of it
    assert compat == [["<pad>", "<unk>", "<s>", "</s>", "<mask>", *words]]
    assert MaskedWords(model, 16, compat=True, most=8).words(["a <mask>"]) == [compat[0][:8]]
