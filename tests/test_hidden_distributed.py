"""Methods on hidden layers and adversarial embeddings: two processes on the CPU give what one gives."""

import numpy as np
import pytest
from cli_fixtures import Lab, metrics, predictions
from test_distributed import lab, run_on

__all__ = ["lab"]  # the fixture


@pytest.mark.parametrize(
    ("method", "words", "most"),
    [
        ("ad2", ("ad2.init_std=0.01", "ad2.steps=2"), 1e-4),
        ("pkd", (), 1e-4),
        # scores before the softmax are large in this encoder, and Adam's first steps enlarge their rounding
        ("tinybert_kd", ("training.learning_rate=1e-4",), 1e-3),
    ],
)
def test_two_halves_of_a_batch_equal_the_whole(lab: Lab, method: str, words: tuple[str, ...], most: float):
    runs = [run_on(lab, devices, method, "--student", "layers:0,1", *words) for devices in (1, 2)]
    ours, theirs = (
        np.array([line["student_logits"] for line in predictions(folder, "dev")]) for folder in runs
    )  # (N, C)
    assert np.abs(ours - theirs).max() < most
    first, second = (metrics(folder) for folder in runs)
    assert first["training"]["steps"] == second["training"]["steps"]
    assert first["selection"] == pytest.approx(second["selection"])
