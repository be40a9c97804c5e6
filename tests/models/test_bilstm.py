"""The BiLSTM by arithmetic: what it reads of one text and of two, what padding and company change, what is kept."""

from __future__ import annotations

import dataclasses
import json
from types import SimpleNamespace

import pytest
import torch
from helpers import CPU, PAIRS, VOCABULARY, save_checkpoint, tiny_batch, tiny_bilstm, tiny_encoder, tiny_tokenizer
from tokenizers import processors
from torch import Tensor, nn
from transformers import AutoModelForSequenceClassification, BertConfig

from kdlab.data.tasks import TaskSpec
from kdlab.errors import KdlabError
from kdlab.models.bilstm import BiLSTMConfig
from kdlab.models.checkpoint import Checkpoint, head_order, labelled_config, load_encoder, resolve_checkpoint
from kdlab.models.encoder import TextEncoder, count_parameters, depth_of, freeze, usable_positions
from kdlab.models.packed import packed
from kdlab.models.recurrent import BiLSTMEncoder, bilstm_config, new_bilstm
from kdlab.ops.mixup import MixPlan, mix_embeddings, mix_mask
from kdlab.types import Taps

ALONE = TaskSpec(name="alone", text="a", labels=("no", "yes"))
BOTH = pytest.mark.parametrize("task", [ALONE, PAIRS], ids=["one text", "pairs"])
NAMES = ("no", "yes")


def logits(encoder: TextEncoder, ids: list[list[int]], types: list[list[int]] | None = None) -> Tensor:
    """Of rows that may differ in length, padded with 0."""
    longest = max(map(len, ids))
    rows = torch.tensor([row + [0] * (longest - len(row)) for row in ids])
    segments = None if types is None else torch.tensor([row + [0] * (longest - len(row)) for row in types])
    return encoder(rows, (rows != 0).long(), segments).logits


def state_by_hand(encoder: TextEncoder, ids: list[int]) -> Tensor:
    """The last states of both directions by the equations of an LSTM, gates in PyTorch's order i, f, g, o."""
    lstm, table = encoder.model.bilstm.lstm, encoder.word_table
    ends = []
    for suffix, order in (("", ids), ("_reverse", ids[::-1])):
        into, again, b, c = (
            getattr(lstm, f"{name}_l0{suffix}") for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        )
        h = cell = torch.zeros(lstm.hidden_size)
        for token in order:
            i, f, g, o = (into @ table[token] + b + again @ h + c).chunk(4)
            cell = f.sigmoid() * cell + i.sigmoid() * g.tanh()
            h = o.sigmoid() * cell.tanh()
        ends.append(h)
    return torch.cat(ends)


def head_by_hand(encoder: TextEncoder, features: Tensor) -> Tensor:
    model = encoder.model
    hidden = (model.dense.weight @ features + model.dense.bias).clamp(min=0)
    return model.classifier.weight @ hidden + model.classifier.bias


def test_one_text_by_hand():
    encoder, ids = tiny_bilstm(ALONE), [2, 9, 7, 9, 3]
    expected = head_by_hand(encoder, state_by_hand(encoder, ids))
    torch.testing.assert_close(logits(encoder, [ids])[0], expected)
    assert not torch.allclose(expected, head_by_hand(encoder, state_by_hand(encoder, ids[::-1])), atol=1e-3)


def test_a_pair_by_hand():
    encoder, first, second = tiny_bilstm(), [2, 9, 7, 3], [11, 8, 12, 3]
    a, b = (state_by_hand(encoder, ids) for ids in (first, second))
    ours = logits(encoder, [first + second], [[0] * 4 + [1] * 4])[0]
    torch.testing.assert_close(ours, head_by_hand(encoder, torch.cat([a, b, a * b, (a - b).abs()])))
    for wrong in ([b, a, a * b, (a - b).abs()], [a, b, a * b, a - b], [a, b, a + b, (a - b).abs()]):
        assert not torch.allclose(ours, head_by_hand(encoder, torch.cat(wrong)), atol=1e-3)
    joint = state_by_hand(encoder, first + second)
    assert not torch.allclose(ours, head_by_hand(encoder, torch.cat([joint, joint, joint**2, joint * 0])), atol=1e-3)


def test_both_texts_are_read_by_the_same_weights():
    encoder = tiny_bilstm()
    text = [9, 7, 12, 3]
    embeddings = encoder.embed(torch.tensor([text + text]), torch.tensor([[0] * 4 + [1] * 4]))  # (1, 8, 18)
    first, second = embeddings.chunk(2, dim=-1)
    assert torch.equal(first, second)
    assert first[0, :, -1].tolist() == [1, 1, 1, 1, 0, 0, 0, 0]  # both start in the first column, and end with a mark
    assert torch.equal(first[0, :4, :-1], encoder.word_table[text])
    assert not first[0, 4:].any()


def test_a_second_text_starts_behind_the_first_of_two_separators():
    by_types, by_separators = tiny_bilstm(), tiny_bilstm(separator_token_id=3)
    assert all(map(torch.equal, by_types.parameters(), by_separators.parameters()))
    ids = [[2, 9, 7, 3, 3, 8, 3], [2, 9, 3, 3, 8, 12, 3], [2, 3, 3, 8, 3], [2, 9, 3, 3, 3]]
    types = [[0] * 4 + [1] * 3, [0] * 3 + [1] * 4, [0, 0, 1, 1, 1], [0, 0, 0, 1, 1]]
    torch.testing.assert_close(logits(by_separators, ids), logits(by_types, ids, types))
    with pytest.raises(ValueError, match="give token_type_ids"):
        logits(by_types, ids)
    other = [[0] * 5 + [1] * 2, *types[1:]]
    assert not torch.allclose(logits(by_types, ids, other)[0], logits(by_types, ids, types)[0], atol=1e-3)


@BOTH
def test_a_text_alone_leaves_nothing_undefined(task):
    answers = logits(tiny_bilstm(task), [[2, 9, 3], [2]], [[0, 0, 0], [0]])
    assert answers.isfinite().all()
    assert (answers[0] - answers[1]).abs().max() > 1e-3


@BOTH
def test_padding_and_company_change_nothing(task):
    encoder, batch = tiny_bilstm(task), tiny_batch(lengths=(9, 4, 7))
    together = encoder.classify(batch)
    for i, length in enumerate((9, 4, 7)):
        columns = (batch.input_ids, batch.attention_mask, batch.token_type_ids)
        for width in (length, 9):
            alone = encoder(*(column[i : i + 1, :width] for column in columns)).logits[0]
            torch.testing.assert_close(together[i], alone, atol=1e-6, rtol=0)
    wider = [nn.functional.pad(column, (0, 5)) for column in columns]
    torch.testing.assert_close(encoder(*wider).logits, together, atol=1e-6, rtol=0)
    order = [2, 0, 1]
    torch.testing.assert_close(encoder(*(c[order] for c in columns)).logits, together[order], atol=1e-6, rtol=0)
    assert together.std(0).min() > 1e-3  # inputs differ, so equality says something
    assert encoder(*(c[:0] for c in columns)).logits.shape == (0, 2)


@BOTH
def test_what_the_mask_leaves_out_is_not_read(task):
    encoder, batch = tiny_bilstm(task), tiny_batch(lengths=(9, 4))
    noise = torch.where(batch.attention_mask == 0, 33, batch.input_ids)
    covered = dataclasses.replace(batch, input_ids=noise)
    assert torch.equal(encoder.classify(covered), encoder.classify(batch))
    assert not torch.equal(encoder(noise, None, batch.token_type_ids).logits[1], encoder.classify(batch)[1])


@BOTH
def test_order_matters(task):
    encoder = tiny_bilstm(task)
    ids, types = [[2, 9, 7, 3, 8, 12, 3], [2, 7, 9, 3, 8, 12, 3], [2, 9, 7, 3, 12, 8, 3]], [[0] * 4 + [1] * 3] * 3
    answers = logits(encoder, ids, types)
    assert (answers[1:] - answers[0]).abs().amax(1).min() > 1e-3


@BOTH
def test_embeddings_give_what_ids_give(task):
    encoder, batch = tiny_bilstm(task), tiny_batch()
    embeddings = encoder.embed(batch.input_ids, batch.token_type_ids)
    on_embeddings = encoder(attention_mask=batch.attention_mask, embeddings=embeddings).logits
    assert torch.equal(on_embeddings, encoder.read(batch).logits)
    assert torch.equal(on_embeddings, encoder.classify(batch))
    same = encoder.embed(batch.input_ids, batch.token_type_ids, words=encoder.look_up(batch.input_ids))
    assert torch.equal(same, embeddings)
    with pytest.raises(ValueError, match="either"):
        encoder(batch.input_ids, embeddings=embeddings)
    with pytest.raises(ValueError, match="either"):
        encoder(attention_mask=batch.attention_mask)


@BOTH
def test_a_mixture_mixes_text_with_text(task):
    encoder, batch = tiny_bilstm(task), tiny_batch(lengths=(9, 4))
    clean, embeddings = encoder.classify(batch), encoder.embed(batch.input_ids, batch.token_type_ids)
    partner = torch.tensor([1, 0])

    def mixed(lam: float) -> tuple[Tensor, Tensor]:
        plan = MixPlan(torch.full((2,), lam), partner)
        made = mix_embeddings(embeddings, batch.attention_mask, plan)
        return made, encoder(attention_mask=mix_mask(batch.attention_mask, plan), embeddings=made).logits

    assert torch.equal(mixed(1.0)[1], clean)
    torch.testing.assert_close(mixed(0.0)[1], clean[partner], atol=1e-6, rtol=0)
    made, answers = mixed(0.25)
    texts = made.chunk(2, -1) if task is PAIRS else (made,)
    long, short = (9, 4) if task is ALONE else (4, 2)  # of the first texts
    assert (texts[0][..., -1] > 0).sum(1).tolist() == [long, long]  # the longer one's mask covers both
    assert texts[0][0, :short, -1].tolist() == [1.0] * short
    assert texts[0][0, short:long, -1].tolist() == [0.25] * (long - short)
    words = 0.25 * encoder.word_table[batch.input_ids[0, 0]] + 0.75 * encoder.word_table[batch.input_ids[1, 0]]
    torch.testing.assert_close(texts[0][0, 0, :-1], words)
    if task is PAIRS:  # second texts meet at their first words, wherever these stand in the inputs
        words = 0.25 * encoder.word_table[batch.input_ids[0, 4]] + 0.75 * encoder.word_table[batch.input_ids[1, 2]]
        torch.testing.assert_close(texts[1][0, 0, :-1], words)
    assert (answers - clean).abs().amax(1).min() > 1e-3


@BOTH
def test_gradients_reach_words_through_a_frozen_network(task):
    encoder, batch = freeze(tiny_bilstm(task, dropout=0.5).train()), tiny_batch()
    words = encoder.look_up(batch.input_ids).detach().requires_grad_()
    out = encoder(embeddings=encoder.embed(batch.input_ids, batch.token_type_ids, words)).logits
    out.sum().backward()
    reached = words.grad.abs().sum(-1) > 0  # (B, T)
    assert torch.equal(reached, batch.attention_mask.bool())  # every word, and no padding
    assert all(p.grad is None for p in encoder.parameters())


@BOTH
def test_under_autocast_the_recurrence_stays_in_float32(task):
    encoder, batch = tiny_bilstm(task), tiny_batch()
    states = []
    encoder.model.bilstm.register_forward_hook(lambda _module, _inputs, out: states.append(out))
    plain = encoder.classify(batch)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = encoder.classify(batch)
    assert rounded.dtype == torch.bfloat16
    assert torch.equal(states[0], states[1])
    torch.testing.assert_close(rounded.float(), plain, atol=0.05, rtol=0.05)


@BOTH
def test_packed_layers_and_compilation_leave_its_answers(task, packs):
    encoder, batch = tiny_bilstm(task), tiny_batch()
    with torch.no_grad():
        plain = encoder.classify(batch)
        with packed(encoder):
            torch.testing.assert_close(encoder.classify(batch), plain, atol=1e-6, rtol=0)
        encoder.compile_pass()
        assert encoder.compiled is None
        assert torch.equal(encoder.to(CPU.device).classify(batch), plain)


def test_it_has_nothing_to_tap_or_perturb():
    encoder, batch = tiny_bilstm(), tiny_batch()
    assert encoder.depth == depth_of(encoder.config) == len(encoder.encoder_layers()) == 0
    assert usable_positions(encoder.config) > 10**9
    assert encoder.read(batch, Taps()).hidden == {}
    for taps in (Taps(hidden=(0,)), Taps(projections=(1,))):
        with pytest.raises(KdlabError, match=r"no layers to tap.*method that reads logits alone"):
            encoder.read(batch, taps)
    with pytest.raises(KdlabError, match="no embeddings to perturb"):
        encoder.read(batch, None, torch.zeros(6, 9, 6))


def weights_of(rows: int, outputs: int, pair: bool, hidden: int = 150) -> int:
    """By the sizes that the module's docstring names, two biases a gate as PyTorch has them."""
    lstm = 2 * (4 * hidden * (300 + hidden) + 2 * 4 * hidden)
    features = 2 * hidden * (4 if pair else 1)
    return rows * 300 + lstm + features * 400 + 400 + 400 * outputs + outputs


@pytest.mark.parametrize(
    ("hidden", "pair", "weights"), [(150, True, 10_180_202), (150, False, 9_820_202), (300, True, 11_562_602)]
)
def test_weights_over_berts_vocabulary(hidden, pair, weights):
    config = labelled_config(bilstm_config(hidden, 30522, tiny_tokenizer(), pair, "bert"), NAMES)
    assert count_parameters(config) == weights == weights_of(30522, 2, pair, hidden)
    assert (abs(weights - 10_100_000) < 300_000) == (hidden == 150)  # table 1 of the L2A paper


def test_weights_are_counted_as_they_are_made():
    encoder = tiny_bilstm()
    assert count_parameters(encoder.config) == encoder.num_parameters() == sum(p.numel() for p in encoder.parameters())
    assert encoder.word_table.shape == (60, 8)
    assert encoder.num_outputs == 2


def test_a_seed_draws_the_weights_and_nothing_else_does():
    config = tiny_bilstm().config
    torch.manual_seed(1)
    before = torch.get_rng_state()
    one = new_bilstm(config, 5)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    same, other = new_bilstm(config, 5), new_bilstm(config, 6)
    assert all(map(torch.equal, one.parameters(), same.parameters()))
    names = dict(one.named_parameters())
    assert {n for n, p in other.named_parameters() if torch.equal(p, names[n])} == {
        "model.dense.bias",
        "model.classifier.bias",  # which start at 0
    }
    assert all(p.requires_grad for p in one.parameters())


# --- tokenizers ------------------------------------------------------------------------------------------------------


def tokenizer_with(template: str, types: bool):
    made = tiny_tokenizer()
    pair = template if types else template.replace(":1", ":0")
    made.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair=pair, special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return made


def test_how_a_tokenizer_tells_texts_apart():
    bert = tokenizer_with("[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1", types=True)
    roberta = tokenizer_with("[CLS]:0 $A:0 [SEP]:0 [SEP]:1 $B:1 [SEP]:1", types=False)
    one = tokenizer_with("[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1", types=False)
    assert bilstm_config(6, 60, bert, True, "x").separator_token_id is None
    assert bilstm_config(6, 60, roberta, True, "x").separator_token_id == VOCABULARY["[SEP]"]
    assert bilstm_config(6, 60, roberta, False, "x").separator_token_id is None
    assert bilstm_config(6, 60, one, False, "x").pad_token_id == 0
    with pytest.raises(KdlabError, match=r"of x puts neither token types nor two separators.*take a teacher"):
        bilstm_config(6, 60, one, True, "x")
    assert bilstm_config(7, 61, SimpleNamespace(pad_token_id=4), False, "x").pad_token_id == 4


# --- folders ---------------------------------------------------------------------------------------------------------


@BOTH
def test_a_saved_one_answers_to_the_bit(task, tmp_path):
    encoder, batch = tiny_bilstm(task), tiny_batch()
    folder = save_checkpoint(encoder, tmp_path / "saved")
    checkpoint = resolve_checkpoint(str(folder), offline=True)
    checkpoint.check()
    assert (checkpoint.has_head, checkpoint.head_fault, checkpoint.head_labels) == (True, "", NAMES)
    order = head_order(checkpoint, NAMES, {})
    again = load_encoder(checkpoint, NAMES, order, 0).eval()
    assert isinstance(again, BiLSTMEncoder)
    assert torch.equal(again.classify(batch), encoder.classify(batch))
    plain = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    made = plain(batch.input_ids, attention_mask=batch.attention_mask, token_type_ids=batch.token_type_ids)
    assert torch.equal(made.logits, encoder.classify(batch))
    turned = load_encoder(checkpoint, NAMES[::-1], head_order(checkpoint, NAMES[::-1], {}), 0).eval()
    assert torch.equal(turned.classify(batch), encoder.classify(batch).flip(1))


def test_a_head_for_other_labels_is_drawn_from_the_seed(tmp_path):
    encoder = tiny_bilstm()
    checkpoint = Checkpoint(save_checkpoint(encoder, tmp_path / "saved"), "saved")
    one, same, other = (load_encoder(checkpoint, ("a", "b", "c"), None, seed) for seed in (1, 1, 2))
    assert one.num_outputs == 3
    assert torch.equal(one.model.classifier.weight, same.model.classifier.weight)
    assert not torch.equal(one.model.classifier.weight, other.model.classifier.weight)
    for name in ("bilstm", "dense"):
        kept, theirs = (getattr(e.model, name).state_dict() for e in (one, encoder))
        assert all(torch.equal(kept[key], value) for key, value in theirs.items())


def rewrite(folder, **changes):
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def drop(folder, name: str):
    from safetensors.torch import load_file, save_file

    path = folder / "model.safetensors"
    weights = load_file(path)
    del weights[name]
    save_file(weights, path, metadata={"format": "pt"})


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda f: drop(f, "bilstm.lstm.weight_hh_l0_reverse"), r"lstm.weight_hh_l0_reverse is missing"),
        (lambda f: drop(f, "bilstm.lstm.bias_ih_l0"), r"lstm.bias_ih_l0 is missing"),
        (lambda f: drop(f, "bilstm.embeddings.word_embeddings.weight"), r"word_embeddings.weight is missing"),
        (lambda f: rewrite(f, hidden_size=7), r"do not fit its config.json"),
        (lambda f: rewrite(f, embedding_size=7), r"do not fit its config.json"),
        (lambda f: rewrite(f, embedding_size="wide"), r"config.json"),
        (lambda f: rewrite(f, hidden_size=2**14, vocab_size=2**30), r"do not fit its config.json"),
        (lambda f: rewrite(f, pad_token_id=None), "names no pad_token_id, by which kdlab_bilstm knows padding"),
        (lambda f: rewrite(f, pad_token_id=4), "pads with id 0, and its config.json says pad_token_id=4, by which it"),
    ],
)
def test_a_damaged_folder_is_refused_in_a_sentence(damage, said, tmp_path):
    folder = save_checkpoint(tiny_bilstm(), tmp_path / "saved")
    damage(folder)
    with pytest.raises(KdlabError, match=said):
        resolve_checkpoint(str(folder), offline=True).check()


def test_a_head_that_lacks_a_layer_is_not_taken(tmp_path):
    folder = save_checkpoint(tiny_bilstm(), tmp_path / "saved")
    drop(folder, "dense.weight")
    checkpoint = resolve_checkpoint(str(folder), offline=True)
    checkpoint.check()
    assert "dense.weight" in checkpoint.head_fault
    assert head_order(checkpoint, NAMES, {}) is None


# --- the other students of the L2A paper's tables --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layers", "width", "inner", "weights"), [(4, 312, 1200, 14_350_874), (12, 384, 1536, 33_360_770)]
)
def test_weights_of_tinybert_and_minilm(layers, width, inner, weights):
    config = BertConfig(
        num_hidden_layers=layers, hidden_size=width, intermediate_size=inner, num_attention_heads=12, num_labels=2
    )
    assert count_parameters(config) == weights


def test_the_default_configuration_is_that_of_the_paper():
    config = BiLSTMConfig()
    assert (config.embedding_size, config.hidden_size, config.classifier_size) == (300, 150, 400)
    assert isinstance(tiny_encoder(), TextEncoder)
    assert not isinstance(tiny_encoder(), BiLSTMEncoder)
