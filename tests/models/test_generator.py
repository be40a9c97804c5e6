"""Masked LMs of every family: the head at masked positions only, loaded or drawn, and readable text."""

from __future__ import annotations

import pytest
import torch
from helpers import FAMILIES, SPECIAL, VOCABULARY, tiny_batch, tiny_data, tiny_encoder, tiny_generator, tiny_tokenizer

from kdlab.errors import KdlabError
from kdlab.models.checkpoint import EMBEDDED, Checkpoint, resolve_checkpoint
from kdlab.models.generator import has_mlm_head, load_masked_lm, readable
from kdlab.pipeline.generator import train_head
from kdlab.system.console import Reporter

each_family = pytest.mark.parametrize("family", FAMILIES)


def saved(model, folder) -> Checkpoint:
    model.save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return Checkpoint(folder, str(folder))


@each_family
def test_logits_at_masked_positions_are_the_models(family):
    generator, batch = tiny_generator(family), tiny_batch()
    masked = (torch.arange(9) % 3 == 1) & (batch.attention_mask == 1)
    logits = generator(batch.input_ids, batch.attention_mask, batch.token_type_ids, masked)
    types = {} if family == "distilbert" else {"token_type_ids": batch.token_type_ids}
    ids = batch.input_ids.masked_fill(masked, 4)
    all_logits = generator.model(input_ids=ids, attention_mask=batch.attention_mask, **types).logits
    torch.testing.assert_close(logits[:, 5:], all_logits[masked][:, 5:])
    assert (logits[:, :5] < -1e30).all()  # special words are never filled in
    assert logits.shape == (int(masked.sum()), 60)


@each_family
def test_a_head_that_is_there_is_loaded(family, tmp_path):
    generator, batch = tiny_generator(family), tiny_batch()
    checkpoint = saved(generator.model, tmp_path)
    assert has_mlm_head(checkpoint)
    loaded = [load_masked_lm(checkpoint, seed).eval() for seed in (0, 1)]
    masked = batch.attention_mask == 1
    inputs = (batch.input_ids, batch.attention_mask, batch.token_type_ids, masked)
    for other in loaded:
        torch.testing.assert_close(other(*inputs), generator(*inputs))
        assert other.mask_id == VOCABULARY["[MASK]"]
        assert other.special.tolist() == list(range(len(SPECIAL)))


@each_family
def test_a_head_that_is_missing_is_drawn_from_the_seed_and_tied(family, tmp_path):
    checkpoint = saved(tiny_encoder(family).model, tmp_path)
    assert not has_mlm_head(checkpoint)
    torch.manual_seed(3)
    next_number = torch.rand(1)
    models = []
    for noise, seed in ((3, 0), (4, 0), (3, 1)):
        torch.manual_seed(noise)
        models.append(load_masked_lm(checkpoint, seed))
        if noise == 3:
            assert torch.equal(torch.rand(1), next_number)  # the random state is left as it was
    first, again, other = (m.state_dict() for m in models)
    assert all(torch.equal(v, again[k]) for k, v in first.items())
    assert not all(torch.equal(v, other[k]) for k, v in first.items())
    model = models[0].model
    assert model.get_output_embeddings().weight is model.get_input_embeddings().weight
    torch.testing.assert_close(model.get_input_embeddings().weight.data, tiny_encoder(family).word_table.data)


def test_the_embedded_encoder_comes_with_its_head():
    checkpoint = resolve_checkpoint(EMBEDDED, offline=True)
    assert has_mlm_head(checkpoint)
    generator = load_masked_lm(checkpoint, 0).eval()
    ids = torch.tensor([checkpoint.tokenizer("the man sleeps .")["input_ids"]])
    masked = torch.zeros_like(ids, dtype=torch.bool)
    masked[0, -2] = True  # the full stop
    logits = generator(ids, torch.ones_like(ids), torch.zeros_like(ids), masked)
    assert checkpoint.tokenizer.decode(logits.argmax(1)) == "."


def test_a_tokenizer_without_a_mask_is_refused(tmp_path):
    checkpoint = saved(tiny_encoder().model, tmp_path)
    checkpoint.tokenizer.mask_token = None
    with pytest.raises(KdlabError, match="has no mask token"):
        load_masked_lm(checkpoint, 0)


def test_a_head_whose_loss_is_no_number_is_not_kept(cache):
    generator = tiny_generator()
    with torch.no_grad():
        generator.model.get_input_embeddings().weight[:] = float("nan")
    with pytest.raises(KdlabError, match="masked-LM loss of the generator's head is nan at step 1:"):
        train_head(generator, tiny_data(cache).split("train"), 3, 0, torch.device("cpu"), Reporter(quiet=True))


def test_changed_tokens_are_marked():
    words = ["[CLS]", "ba", "be", "bi", "[SEP]", "bo", "[SEP]"]
    before = [VOCABULARY[w] for w in words]
    after = [*before[:2], VOCABULARY["ca"], *before[3:5], VOCABULARY["ce"], before[6]]
    assert readable(tiny_tokenizer(), before, after) == ("ba *be* bi *bo*", "ba *ca* bi *ce*")
    assert readable(tiny_tokenizer(), before, before) == ("ba be bi bo", "ba be bi bo")
