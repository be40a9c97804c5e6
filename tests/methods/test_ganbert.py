"""``ganbert``: its two objectives by hand, its players, its rows, and wrong copies that must be found."""

from __future__ import annotations

import csv
import inspect

import ganbert_checks
import pytest
import torch
from ganbert_checks import (
    begun,
    check_answer,
    check_discriminator,
    check_generator,
    check_gradients_are_apart,
    check_repetition,
    check_steps_are_apart,
    check_unlabelled_rows_teach_no_class,
    drawn,
    half_labelled,
    mixed_batch,
)
from helpers import SCORES, tiny_batch, tiny_encoder, tiny_method, train

import kdlab.methods.ganbert
from kdlab.errors import KdlabError
from kdlab.losses.gan_bert import feature_matching, fooling, told_fake, told_real
from kdlab.methods.base import TrainingConfig
from kdlab.methods.ganbert import GANBERT, how_it_ended, repetitions
from kdlab.methods.ganbert_settings import GANBERTConfig
from kdlab.methods.shared.labelled import gold_loss

METHOD = kdlab.methods.ganbert


def run(check, cache, folder, monkeypatch):
    given = {"cache": cache, "folder": folder, "patch": monkeypatch}
    check(**{name: given[name] for name in inspect.signature(check).parameters})


CHECKS = [getattr(ganbert_checks, name) for name in dir(ganbert_checks) if name.startswith("check_")]


@pytest.mark.parametrize("check", CHECKS)
def test_it_is_its_formulas(check, cache, tmp_path, monkeypatch):
    run(check, cache, tmp_path, monkeypatch)


# --- wrong copies ----------------------------------------------------------------------------------------------------


def unknown_taught(logits, batch):
    """Unlabelled rows are taught to be UNK."""
    labels = torch.where(batch.labelled, batch.labels, torch.full_like(batch.labels, logits.shape[1] - 1))
    return torch.nn.functional.cross_entropy(logits, labels)


def every_label_used(logits, batch):
    """The labels that unlabelled rows had are used."""
    return torch.nn.functional.cross_entropy(logits, batch.labels)


def by_all_rows(logits, batch):
    """The sum over labelled rows is divided by all rows."""
    return gold_loss(logits, batch) * batch.labelled.float().mean()


def labels_alone(logits, batch):
    """UNK is left out of the classes of a labelled row."""
    return gold_loss(logits[:, :2], batch)


def first_column(loss):
    return lambda logits, *rest: loss(logits.roll(-1, dims=1), *rest)


def of_both(module, player, batch, right=GANBERT.loss_of):
    """One sum for both players, as in a popular public version."""
    parts = [right(module, name, batch) for name in ("student", "generator")]
    return type(parts[0])(parts[0].total + parts[1].total, parts[0].terms | parts[1].terms)


def one_optimiser(module, right=GANBERT.players):
    """The generator's step moves the student too."""
    return {**right(module), "generator": [p for own in right(module).values() for p in own]}


def unknown_first(module, hidden):
    """The classes beside the labels stand before them."""
    return torch.cat([module.further(hidden), module.head.output(hidden)], dim=-1)


def all_classes(module, batch):
    return module.discriminate(module.head.hidden(module.head.features(batch)))


def means_of_squares(real, made):
    """The distance of each pair, not of the means."""
    return (real - made).square().mean()


def sum_of_squares(real, made):
    return feature_matching(real, made) * real.shape[-1]


WRONG = {
    "UNK taught to unlabelled rows": (METHOD, "gold_loss", unknown_taught, check_unlabelled_rows_teach_no_class),
    "UNK taught, by the formula": (METHOD, "gold_loss", unknown_taught, check_discriminator),
    "gold labels of unlabelled rows": (METHOD, "gold_loss", every_label_used, check_unlabelled_rows_teach_no_class),
    "gold labels, by the formula": (METHOD, "gold_loss", every_label_used, check_discriminator),
    "CE divided by all rows": (METHOD, "gold_loss", by_all_rows, check_discriminator),
    "UNK left out of a labelled row's classes": (METHOD, "gold_loss", labels_alone, check_discriminator),
    "p_fake of the first column, real rows": (METHOD, "told_real", first_column(told_real), check_discriminator),
    "p_fake of the first column, made rows": (METHOD, "told_fake", first_column(told_fake), check_discriminator),
    "p_fake of the first column, generator": (METHOD, "fooling", first_column(fooling), check_generator),
    "real and made exchanged": (METHOD, "told_real", told_fake, check_discriminator),
    "the generator gives itself away": (METHOD, "fooling", lambda z, e: told_fake(z), check_generator),
    "sign of the generator's loss": (METHOD, "fooling", lambda z, e: -fooling(z, e), check_generator),
    "ε left out": (METHOD, "fooling", lambda z, e: fooling(z, 0.0), check_generator),
    "sign of the matching": (METHOD, "feature_matching", lambda r, m: -feature_matching(r, m), check_generator),
    "matching of pairs": (METHOD, "feature_matching", means_of_squares, check_generator),
    "matching summed over its numbers": (METHOD, "feature_matching", sum_of_squares, check_generator),
    "the sum of both losses descended": (GANBERT, "loss_of", of_both, check_gradients_are_apart),
    "made features not detached": (torch.Tensor, "detach", lambda tensor: tensor, check_gradients_are_apart),
    "one optimiser for both": (GANBERT, "players", one_optimiser, check_steps_are_apart),
    "classes in another order": (GANBERT, "discriminate", unknown_first, check_answer),
    "UNK among the answers": (GANBERT, "answer", all_classes, check_answer),
    "no repetition": (METHOD, "repetitions", lambda labelled, rows: 1, check_repetition),
    "repetition by the ratio": (METHOD, "repetitions", lambda labelled, rows: rows // labelled, check_repetition),
    "repetition rounded up": (METHOD, "repetitions", lambda n, rows: (rows // n).bit_length(), check_repetition),
    "repetition of all rows": (METHOD, "repetitions", lambda n, rows: repetitions(n, rows - n), check_repetition),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_copy_is_rejected(name, cache, tmp_path, monkeypatch):
    where, attribute, wrong, check = WRONG[name]
    run(check, cache, tmp_path / "right", monkeypatch)
    monkeypatch.setattr(where, attribute, wrong)
    with pytest.raises(AssertionError):
        run(check, cache, tmp_path / "wrong", monkeypatch)


# --- settings --------------------------------------------------------------------------------------------------------


def test_presets_say_whether_there_is_an_unknown_class():
    assert [GANBERTConfig(preset=name).unknown for name in ("study", "original")] == [True, False]
    assert GANBERTConfig(preset="original", unknown=True).unknown
    assert begun().further.out_features == 2  # UNK, FAKE
    assert begun(preset="original").further.out_features == 1
    assert begun(game=False).further.out_features == 1
    assert begun(game=False, unknown=False).further is None


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"preset": "paper"}, "There is no ganbert.preset of the name 'paper'"),
        ({"noise": 0}, "ganbert.noise is 0"),
        ({"hidden": 0}, "ganbert.hidden is 0"),
        ({"dropout": 1.0}, r"ganbert.dropout is 1.0: it must lie in \[0, 1\)"),
        ({"generator_learning_rate": 0.0}, "ganbert.generator_learning_rate is 0.0: it must be positive"),
        ({"matching_weight": -1.0}, "ganbert.matching_weight is -1.0"),
        ({"epsilon": 0.0}, "ganbert.epsilon is 0.0: it must be positive"),
    ],
)
def test_settings_that_make_no_sense(settings, said):
    with pytest.raises(KdlabError, match=said):
        GANBERTConfig(**settings).validate()


def test_scores_are_refused():
    with pytest.raises(KdlabError, match="ganbert tells labels from made features, and scored has scores"):
        GANBERT.check_training(GANBERTConfig(), TrainingConfig(), SCORES)


def test_labelled_rows_are_repeated_by_the_logarithm_of_their_share():
    assert [repetitions(n, 100) for n in (100, 70, 50, 34, 25, 20, 12, 10, 5, 1)] == [1, 1, 1, 1, 2, 2, 3, 3, 4, 6]
    assert repetitions(0, 5) == 2  # of no rows nothing is repeated


# --- the game in training --------------------------------------------------------------------------------------------


def history(folder):
    with (folder / "history" / "metrics.csv").open() as f:
        return [row for row in csv.DictReader(f) if row["train/loss"]]


def test_the_twin_makes_the_same_steps_without_a_game(cache, tmp_path):
    steps = {}
    for game in (True, False):
        module = tiny_method("ganbert", game=game)
        steps[game] = train(module, half_labelled(cache, 3, 12), tmp_path / str(game)).steps
        rows = history(tmp_path / str(game))
        assert [("train/fake" in row, "train/generator_loss" in row) for row in rows] == [(game, game)] * len(rows)
    assert steps[True] == steps[False] == 2 * 3  # 2 × 3 + 12 rows in batches of 8
    assert not hasattr(module, "generator")


def test_the_twins_loss_is_the_supervised_part_alone():
    batch = mixed_batch()
    game, twin = begun(), begun(game=False)
    with torch.no_grad():
        twin.further.weight.copy_(game.further.weight[:1])
    drawn(game, batch)
    losses = twin.compute_loss(batch)
    torch.testing.assert_close(losses.total, game.compute_loss(batch).terms["ce"])
    assert set(losses.terms) == {"ce", "right_label"}
    nobody = twin.compute_loss(mixed_batch((False,) * 6))
    assert nobody.total.item() == 0.0
    assert nobody.total.requires_grad  # it makes its step, of nothing, beside the game's


def test_a_batch_whose_rows_are_all_labelled_is_the_plain_one():
    module = begun(game=False, unknown=False)
    plain, mixed = tiny_batch(), mixed_batch((True,) * 6, tuple(tiny_batch().labels.tolist()))
    torch.testing.assert_close(module.compute_loss(plain).total, module.compute_loss(mixed).total)


def test_features_of_the_students_step_are_used_once(monkeypatch):
    module, batch = begun(), mixed_batch()
    drawn(module, batch)
    passes = []
    module.student.model.bert.register_forward_hook(lambda *_: passes.append(1))
    module.loss_of("student", batch)
    module.loss_of("generator", batch)
    assert len(passes) == 1
    module.loss_of("generator", batch)  # on its own it makes a pass of its own
    assert len(passes) == 2


def test_noise_is_new_in_every_step_and_uniform():
    module = begun(noise=100)
    module.shared_rng = torch.Generator().manual_seed(0)
    one, two = (module.generator.sample(400, module.shared_rng).noise for _ in range(2))
    assert one.shape == (400, 100)
    assert not torch.equal(one, two)
    assert 0 <= float(one.min()) < 0.01 < 0.99 < float(one.max()) < 1
    assert float(one.mean()) == pytest.approx(0.5, abs=0.01)


def test_the_generators_dropout_keeps_the_size_of_its_hidden_states():
    generator = tiny_method("ganbert", dropout=0.0).generator.train()
    kept = generator.sample(4000, torch.Generator().manual_seed(0)).kept
    assert kept.unique().tolist() == pytest.approx([0.0, 1 / 0.9])
    assert float(kept.mean()) == pytest.approx(1, abs=0.01)
    assert bool((generator.eval().sample(4, None).kept == 1).all())


@pytest.mark.parametrize("game", [True, False])
@pytest.mark.parametrize("stop", [2, 5])
def test_a_stopped_training_of_rows_without_labels_ends_as_one_that_was_not(game, stop, cache, tmp_path):
    class StoppedError(Exception):
        pass

    whole = tiny_method("ganbert", dropout=0.1, game=game)
    train(whole, half_labelled(cache, 4, 18), tmp_path / "whole")
    begun_steps = [0]

    def step_and_stop(*arguments):
        begun_steps[0] += 1
        if begun_steps[0] == stop:
            raise StoppedError
        GANBERT.on_train_batch_start(stopped, *arguments)

    stopped = tiny_method("ganbert", dropout=0.1, game=game)
    stopped.on_train_batch_start = step_and_stop
    with pytest.raises(StoppedError):
        train(stopped, half_labelled(cache, 4, 18), tmp_path / "stopped", checkpoint_every=0.0)
    resumed = tiny_method("ganbert", dropout=0.1, game=game)
    train(resumed, half_labelled(cache, 4, 18), tmp_path / "stopped", checkpoint_every=0.0)
    assert history(tmp_path / "stopped") == history(tmp_path / "whole")
    wanted = whole.state_dict()
    assert all(torch.equal(v, wanted[k]) for k, v in resumed.state_dict().items())


def test_both_are_adam_without_decay_and_the_generators_rate_stays(cache, tmp_path):
    module, rates = tiny_method("ganbert"), []
    module.on_train_batch_end = lambda *a: (
        rates.append([o.param_groups[0]["lr"] for o in module.trainer.optimizers]),
        GANBERT.on_train_batch_end(module, *a),
    )
    train(module, half_labelled(cache), tmp_path, weight_decay=0.0, epochs=3)
    assert all(group["weight_decay"] == 0 for o in module.optimised.optimizers.values() for group in o.param_groups)
    assert {generators for _, generators in rates} == {2e-5}
    assert len({students for students, _ in rates}) > 1


# --- how a game ends -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("real", "made", "said"),
    [
        (0.005, 0.995, "tells every made feature"),
        (0.005, 0.005, "takes every made feature for real"),
        (0.6, 0.001, "takes every made feature for real"),
        (0.995, 0.999, "takes every feature for made"),
        (0.5, 0.5, ""),
        (0.1, 0.9, ""),
        (0.2, 0.995, ""),
    ],
)
def test_a_game_that_is_over_is_known_by_its_probabilities(real, made, said):
    assert said in how_it_ended(real, made)
    assert bool(how_it_ended(real, made)) == bool(said)


def test_a_collapse_is_said_once(cache, tmp_path, monkeypatch):
    module, said = tiny_method("ganbert"), []
    monkeypatch.setattr(METHOD, "how_it_ended", lambda real, made: "the discriminator tells every made feature")
    monkeypatch.setattr("kdlab.training.fit.RunListener.warn", lambda self, text: said.append(text))
    train(module, half_labelled(cache), tmp_path, epochs=3)
    assert len(said) == 1
    assert "The game of ganbert has collapsed in epoch 1 (mean p_fake 0." in said[0]
    assert "as with ganbert.game=false" in said[0]
    assert module.method_state() == {"warned": True}
    quiet = tiny_method("ganbert", game=False)
    train(quiet, half_labelled(cache), tmp_path / "twin")
    assert len(said) == 1


@pytest.mark.parametrize("family", ["roberta", "distilbert"])
def test_other_families_play_it_too(family, cache, tmp_path):
    module = tiny_method("ganbert", student=tiny_encoder(family, dropout=0.1))
    before = {k: v.clone() for k, v in module.student.state_dict().items()}
    train(module, half_labelled(cache), tmp_path, weight_decay=0.0)
    moved = [k for k, v in module.student.state_dict().items() if not torch.equal(v, before[k])]
    assert any("classifier" in k for k in moved)
    assert any("embeddings" in k for k in moved)
