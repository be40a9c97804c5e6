"""The shipped backbone: it loads, it is small, it knows the corpus's language, it can spell other words."""

from __future__ import annotations

import random
import statistics
import string
import sys
from collections import Counter
from pathlib import Path

import pytest

from kdlab.data.embedded import generate, pretraining_text
from kdlab.data.tasks import TASKS

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "kdlab" / "models" / "embedded"
sys.path.insert(0, str(ROOT / "experiments" / "embedded"))


@pytest.fixture(scope="module")
def tokenizer():
    return transformers.AutoTokenizer.from_pretrained(FOLDER)


@pytest.fixture(scope="module")
def masked_model():
    return transformers.AutoModelForMaskedLM.from_pretrained(FOLDER, dtype=torch.float32).eval()


def test_the_folder_is_small_and_has_a_card():
    files = [path for path in FOLDER.iterdir() if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= 4 * 2**20
    card = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert "apache-2.0" in card.lower()
    assert "{" not in card.split("```")[0]


def test_stored_in_half_precision_and_loaded_in_single(masked_model):
    assert transformers.AutoConfig.from_pretrained(FOLDER).dtype == torch.float16
    assert all(p.dtype == torch.float32 and p.isfinite().all() for p in masked_model.parameters())


def test_a_classifier_loads_and_answers(tokenizer):
    model = transformers.AutoModelForSequenceClassification.from_pretrained(FOLDER, num_labels=3, dtype=torch.float32)
    model.eval()
    encoded = tokenizer(["Anna sold the car."], ["The car was sold by Anna."], return_tensors="pt")
    assert encoded["token_type_ids"].sum() > 0
    assert model(**encoded).logits.shape == (1, 3)
    assert model.config.max_position_embeddings == 128


def test_pairs_are_written_as_bert_writes_them(tokenizer):
    encoded = tokenizer("Anna sold the car.", "Who sold it?")
    tokens = tokenizer.convert_ids_to_tokens(encoded["input_ids"])
    assert tokens == ["[CLS]", "anna", "sold", "the", "car", ".", "[SEP]", "who", "sold", "it", "?", "[SEP]"]
    assert encoded["token_type_ids"] == [0] * 7 + [1] * 5


@pytest.mark.full
def test_every_word_of_the_corpus_is_one_piece(tokenizer):
    for task in TASKS:
        for examples in generate(task).values():
            texts = [*examples.text, *(examples.text_pair or ())]
            pieces = {piece for text in texts for piece in tokenizer.tokenize(text)}
            assert tokenizer.unk_token not in pieces
            assert not [piece for piece in pieces if piece.startswith("##")], task


def test_any_ascii_word_can_be_spelled(tokenizer):
    chance = random.Random(0)
    for _ in range(300):
        word = "".join(chance.choice(string.ascii_letters + string.digits) for _ in range(chance.randint(1, 15)))
        pieces = tokenizer.tokenize(word)
        assert tokenizer.unk_token not in pieces
        assert "".join(piece.removeprefix("##") for piece in pieces) == word.lower()
    assert tokenizer.unk_token not in tokenizer.tokenize(string.punctuation)


@pytest.mark.full
def test_masked_words_are_predicted_far_above_the_commonest_word(masked_model, tokenizer):
    from pretrain import masked_accuracy

    seen = set(pretraining_text())
    lines = [line for line in pretraining_text(1)[:600] if line not in seen][:400]
    counts = Counter(i for line in lines for i in tokenizer(*line.split("\t"))["input_ids"] if i > 4)
    baseline = max(counts.values()) / sum(counts.values())
    accuracy = masked_accuracy(masked_model, tokenizer, lines)
    assert accuracy > 0.6
    assert accuracy > baseline + 0.4


@pytest.fixture(scope="module")
def scores():
    from hardness import PAIR_TASKS, Settings, measure

    return {task: measure(task, 3, Settings()) for task in PAIR_TASKS}


@pytest.mark.slow
def test_words_alone_do_not_suffice_and_a_teacher_does(scores):
    for task, score in scores.items():
        teacher = statistics.mean(score.teacher)
        assert 0.75 <= teacher <= 0.95, score
        assert teacher >= score.words + 0.08, score
        assert abs(score.second_only - score.majority) <= 0.05, task


@pytest.mark.slow
def test_a_student_of_the_bottom_layers_has_something_to_gain(scores):
    below = [
        task
        for task, score in scores.items()
        if statistics.mean(score.teacher) - statistics.mean(score.student) > 2 * statistics.stdev(score.student)
    ]
    assert len(below) >= 3, below
