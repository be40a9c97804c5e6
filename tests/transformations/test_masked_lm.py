"""A masked LM asked for words in many places at once."""

from __future__ import annotations

import pytest
import torch
from helpers import FAMILIES, SPECIAL, WORDS, tiny_generator
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from kdlab.errors import KdlabError
from kdlab.transformations import masked_lm
from kdlab.transformations.blanks import Blank, Reader, spellings
from kdlab.transformations.masked_lm import Filler
from kdlab.transformations.words import Words


def blank(text: str, position: int, **more: object) -> Blank:
    return Blank(Words(text), position, **more)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_best_words_are_the_models_own(family: str):
    model = tiny_generator(family).eval()
    filler = Filler(model, 32)
    (guesses,) = filler.best([blank("ba be, bi!", 1)], 5)
    ids = model.tokenizer("ba [MASK] , bi !", return_tensors="pt")["input_ids"]
    masked = ids == 4
    logits = model(ids, torch.ones_like(ids), torch.zeros_like(ids), masked)[0].detach()
    logs = torch.log_softmax(logits[5:], dim=0)
    assert [guess.word for guess in guesses] == [WORDS[i] for i in logs.argsort(descending=True)[:5]]
    assert [guess.log_prob for guess in guesses] == pytest.approx(sorted(logs.tolist(), reverse=True)[:5], abs=1e-5)


def test_answers_come_back_in_the_order_of_questions(monkeypatch: pytest.MonkeyPatch):
    filler = Filler(tiny_generator(), 32)
    texts = [" ".join(WORDS[i : i + 1 + i % 7]) for i in range(30)]
    asked = [blank(text, i % len(text.split())) for i, text in enumerate(texts)]
    whole = [[guess.word for guess in guesses] for guesses in filler.best(asked, 3)]
    monkeypatch.setitem(masked_lm._BATCH, "cpu", (40, 128))
    filler = Filler(tiny_generator(), 32)
    assert [[guess.word for guess in guesses] for guesses in filler.best(asked, 3)] == whole
    assert [[guess.word for guess in filler.best([one], 3)[0]] for one in asked] == whole


def test_both_texts_of_a_pair_are_read():
    filler = Filler(tiny_generator(), 32)
    alone, behind, before = (
        filler.best([one], 3)[0]
        for one in (blank("ba be", 0), blank("ba be", 0, before="ca ce"), blank("ba be", 0, after="ca ce"))
    )
    assert alone != behind != before != alone


@pytest.mark.parametrize("other", ["", "before", "after"])
@pytest.mark.parametrize("place", [0, 27, 54])
def test_a_long_text_is_read_around_the_place(other: str, place: int):
    tokenizer = tiny_generator().tokenizer
    more = {other: " ".join(reversed(WORDS))} if other else {}
    (one,) = Reader(tokenizer, 16).inputs([blank(" ".join(WORDS), place, **more)])
    assert len(one.ids) == 16
    assert one.ids.count(4) == 1
    assert one.ids[one.at] == 4
    names = tokenizer.convert_ids_to_tokens(one.ids)
    room = 14 if not other else 7  # without special tokens
    first = min(max(place - room // 2, 0), 55 - room)
    own = [("[MASK]" if i == place else word) for i, word in enumerate(WORDS)][first : first + room]
    rest = list(reversed(WORDS))[: 13 - room]
    if other:
        texts = [*rest, "[SEP]", *own] if other == "before" else [*own, "[SEP]", *rest]
        types = [0] * (texts.index("[SEP]") + 2) + [1] * (len(texts) - texts.index("[SEP]"))
    else:
        texts, types = own, [0] * 15
    assert names == ["[CLS]", *texts, "[SEP]"]
    assert one.types == ([*types] if other else [0] * len(one.ids))


def test_an_input_is_what_the_tokenizer_makes_where_it_fits():
    tokenizer = tiny_generator().tokenizer
    for more, words in (
        ({}, ("ba [MASK] bi",)),
        ({"before": "ca ce"}, ("ca ce", "ba [MASK] bi")),
        ({"after": "ca"}, ("ba [MASK] bi", "ca")),
    ):
        (one,) = Reader(tokenizer, 32).inputs([blank("ba be bi", 1, **more)])
        whole = tokenizer(*words, return_token_type_ids=True)
        assert (one.ids, one.types, one.at) == (whole["input_ids"], whole["token_type_ids"], one.ids.index(4))


def test_a_mask_that_stands_in_the_text_is_another():
    filler = Filler(tiny_generator(), 32)
    assert filler.best([blank("ba [MASK] be", 2)], 2)[0]
    assert filler.best([], 2) == []


def test_drawn_words_follow_the_distribution_without_the_old_word():
    filler = Filler(tiny_generator(), 32)
    (best,) = filler.best([blank("ba be bi", 1)], len(WORDS))
    expected = {guess.word: guess.log_prob for guess in best}
    rest = 1 - torch.tensor(expected["be"]).exp()
    chances = [(i + 0.5) / 4000 for i in range(4000)]
    (drawn,) = filler.drawn([blank("ba be bi", 1)], [chances], 1.0)
    assert {guess.word for guess in drawn} <= set(WORDS) - {"be"}
    for word in ("ba", "bi", best[0].word):
        probability = float(torch.tensor(expected[word]).exp() / rest)
        assert sum(guess.word == word for guess in drawn) / 4000 == pytest.approx(probability, abs=1e-3)
    for guess in drawn[:5]:
        assert guess.log_prob == pytest.approx(expected[guess.word] - float(rest.log()), abs=1e-4)


def test_labels_change_nothing_until_they_are_learned():
    model = tiny_generator()
    plain = Filler(model, 32).best([blank("ba be", 0)], 3)
    model.tell_labels(2)
    told = Filler(model, 32)
    words = [[guess.word for guess in told.best([blank("ba be", 0, label=label)], 3)[0]] for label in (0, 1)]
    assert words[0] == words[1] == [guess.word for guess in plain[0]]
    torch.nn.init.normal_(model.labels.weight, std=2.0)
    told = Filler(model, 32)
    assert told.best([blank("ba be", 0, label=0)], 3) != told.best([blank("ba be", 0, label=1)], 3)


def fast(core: Tokenizer, **special: str) -> PreTrainedTokenizerFast:
    return PreTrainedTokenizerFast(tokenizer_object=core, **special)


def test_words_of_whole_words():
    tokenizer = tiny_generator().tokenizer
    assert spellings(tokenizer, 60) == {word: [i] for i, word in enumerate(WORDS, len(SPECIAL))}
    assert list(spellings(tokenizer, 10)) == list(WORDS[:5])


def test_words_of_word_pieces_in_several_spellings():
    names = ["[UNK]", "film", "##ing", "Film", "the", "FILM", "'", "x2"]
    core = Tokenizer(models.WordPiece({name: i for i, name in enumerate(names)}, unk_token="[UNK]"))
    assert spellings(fast(core, unk_token="[UNK]"), 20) == {"film": [1, 3, 5], "the": [4]}


def test_words_of_bytes():
    names = [
        "<s>",
        "<pad>",
        "</s>",
        "<unk>",
        "<mask>",
        "a",
        "b",
        "Ġa",
        "Ġab",
        "Ġb",
        "Ġ.",
        "Ġb'",
        "ĠÃ©",
        *"cdefghijklmnopqr",
    ]
    core = Tokenizer(models.BPE(vocab={name: i for i, name in enumerate(names)}, merges=[]))
    core.pre_tokenizer, core.decoder = pre_tokenizers.ByteLevel(), decoders.ByteLevel()
    special = {"bos_token": "<s>", "pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
    assert spellings(fast(core, mask_token="<mask>", **special), 99) == {"a": [7], "ab": [8], "b": [9], "é": [12]}


def test_words_of_sentence_pieces():
    names = [("<unk>", 0.0), ("▁the", -1.0), ("ing", -2.0), ("▁film", -3.0), ("▁", -4.0)]
    core = Tokenizer(models.Unigram(names, unk_id=0))
    core.pre_tokenizer, core.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    assert spellings(fast(core, unk_token="<unk>"), 20) == {"the": [1], "film": [3]}


def test_a_tokenizer_without_words_is_refused():
    pieces = Tokenizer(models.WordPiece({"[UNK]": 0, "##ing": 1}, unk_token="[UNK]"))
    with pytest.raises(KdlabError, match="has no whole words"):
        spellings(fast(pieces, unk_token="[UNK]"), 20)
    with pytest.raises(KdlabError, match=r"can't tell words from pieces in the tokenizer of the masked LM \(BPE\)"):
        spellings(fast(Tokenizer(models.BPE(vocab={"a": 0}, merges=[]))), 20)


def test_spellings_of_a_word_count_together():
    generator = tiny_generator()
    filler = Filler(generator, 32)
    (one,) = filler.best([blank("ba be", 0)], 99)
    by_word = {guess.word: guess.log_prob for guess in one}
    merged = Filler(generator, 32)
    merged.arrange({"be": [6, 7], **{word: [i] for i, word in enumerate(WORDS, 5) if i not in (6, 7)}})
    (other,) = merged.best([blank("ba be", 0)], 99)
    together = {guess.word: guess.log_prob for guess in other}
    total = torch.tensor([by_word["be"], by_word["bi"]]).exp().sum().log()
    assert together["be"] == pytest.approx(float(total), abs=1e-5)
    assert together["bo"] == pytest.approx(by_word["bo"], abs=1e-5)
