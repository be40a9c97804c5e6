"""Mixed neighbours: which examples are paired, and whose states are drawn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers import tiny_data, tiny_encoder

from kdlab.errors import KdlabError
from kdlab.ops.mixup import MixPlan, mix_embeddings, mix_mask
from kdlab.reports.neighbours import STEPS, choose_pairs, cls_states, picture
from kdlab.reports.pictures import save_picture
from kdlab.types import Taps


def test_pairs_are_of_the_two_most_frequent_classes():
    labels = np.array([0] * 9 + [1] * 3 + [2] * 7)
    first, second = choose_pairs(labels, 5, seed=0)
    assert len(first) == len(set(first)) == len(second) == len(set(second)) == 5
    assert {int(labels[i]) for i in first} == {0}
    assert {int(labels[i]) for i in second} == {2}
    assert choose_pairs(labels, 5, seed=0) == (first, second)
    assert len(choose_pairs(labels, 50, seed=0)[0]) == 7
    with pytest.raises(KdlabError, match="needs examples of two classes"):
        choose_pairs(np.zeros(4, dtype=int), 5, seed=0)


def test_states_are_those_of_examples_and_mixtures(cache):
    encoder, split = tiny_encoder().eval(), tiny_data(cache).split("train")
    first, second = [0, 3, 5], [2, 4, 9]
    states = cls_states(encoder, split, first, second)
    assert states.shape == (3 * (2 + len(STEPS)), 16)
    taps = Taps(hidden=(encoder.depth,))
    with torch.no_grad():
        batch = split.collate([*first, *second])
        clean = encoder.read(batch, taps=taps).hidden[encoder.depth][:, 0]
        assert torch.allclose(torch.from_numpy(states[:6]), clean, atol=1e-5)
        plan = MixPlan(torch.tensor([STEPS[1]]), torch.tensor([5]), torch.tensor([2]))  # the third pair, half and half
        mixed = mix_embeddings(encoder.embed(batch.input_ids, batch.token_type_ids), batch.attention_mask, plan)
        out = encoder(attention_mask=mix_mask(batch.attention_mask, plan), embeddings=mixed, taps=taps)
    assert torch.allclose(torch.from_numpy(states[6 + 3 + 2]), out.hidden[encoder.depth][0, 0], atol=1e-5)


def test_a_picture_has_a_panel_for_each_student(tmp_path):
    draw = np.random.default_rng(0)
    states = {name: draw.normal(size=(20, 8)).astype(np.float32) for name in ("plain", "mixed")}
    figure = picture(states, 4, ("no", "yes"), " (EMBEDDED CORPUS)")
    assert [axes.get_title() for axes in figure.axes] == ["plain (EMBEDDED CORPUS)", "mixed (EMBEDDED CORPUS)"]
    save_picture(figure, tmp_path / "p.svg")
    text = (tmp_path / "p.svg").read_text()
    assert all(word in text for word in ("mixed, 75% no", ">yes<"))
    with pytest.raises(KdlabError, match="the suffix says what is written"):
        save_picture(figure, tmp_path / "p.gif")
