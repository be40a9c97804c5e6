"""Translation by a command, and what is said of one that does not answer as it should."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path

import pytest
import torch
from transformers import MarianConfig, MarianMTModel

from kdlab.augmentation.back_translation import BackTranslation, BackTranslationSettings, check_given
from kdlab.augmentation.base import Source, Tools
from kdlab.errors import KdlabError
from kdlab.transformations.translation import CommandTranslator, MarianTranslator, find_model


def python(body: str) -> str:
    """A command that does this with every line."""
    return shlex.join([sys.executable, "-c", f"import sys\nfor line in sys.stdin: {body}"])


def test_a_command_translates_line_by_line():
    upper = CommandTranslator(python("print(line.strip().upper())"))
    assert upper.translate(["a film", "", "two\nlines  here"], 3, "key") == [["A FILM"], [], ["TWO LINES HERE"]]
    assert upper.translate([], 1, "key") == []


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("no_such_program x", "There is no program 'no_such_program'"),
        ("", "There is no program ''"),
        ("python 'x", "can't be read"),
        (python("raise SystemExit('broken')"), r"ended with code 1 \(broken\)"),
        (python("print(line); print(line)"), "answered 2 lines with"),
        (python("pass"), "answered 2 lines with 1"),
    ],
)
def test_a_command_that_fails_is_said(command: str, said: str):
    with pytest.raises(KdlabError, match=said):
        CommandTranslator(command).translate(["one", "two"], 1, "key")


def test_there_and_back():
    there = CommandTranslator(python("print(line.strip()[::-1])"))
    back = CommandTranslator(python("print(line.strip()[::-1].replace('film', 'movie'))"))
    one = BackTranslation(BackTranslationSettings(), Tools(translators=(there, back)))
    given = [
        Source(0, ("a film", "the film"), (0, 1), 0),
        Source(1, ("same", "a film"), (0, 1), 1),
        Source(2, ("", "x"), (0,), 0),
    ]
    made = one.augment(given, 2, 0)
    assert [[copy.texts for copy in copies] for copies in made] == [
        [("a movie", "the movie")],
        [("same", "a movie")],
        [],
    ]
    assert [[(edit.side, edit.position, edit.new) for edit in copies[0].edits] for copies in made[:2]] == [
        [(0, -1, "a movie"), (1, -1, "the movie")],
        [(1, -1, "a movie")],
    ]


def test_a_translator_must_be_given():
    with pytest.raises(KdlabError, match="back_translation needs a translator"):
        check_given(BackTranslationSettings())


LINES = (
    "a film that is slow and cold",
    "the actors are warm",
    "nobody knows what the story wants",
    "a quiet little film",
)


@pytest.fixture(scope="module")
def marian(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A MarianMT model with weights that were drawn."""
    import sentencepiece

    folder = tmp_path_factory.mktemp("marian")
    text = folder / "text.txt"
    text.write_text("\n".join(LINES * 20))
    sentencepiece.SentencePieceTrainer.train(
        input=str(text), model_prefix=str(folder / "source"), vocab_size=30, bos_id=-1, minloglevel=2
    )
    (folder / "source.model").rename(folder / "source.spm")
    (folder / "target.spm").write_bytes((folder / "source.spm").read_bytes())
    pieces = sentencepiece.SentencePieceProcessor(str(folder / "source.spm"))
    words = ["</s>", "<unk>", *(pieces.id_to_piece(i) for i in range(pieces.get_piece_size()) if i > 1), "<pad>"]
    words = list(dict.fromkeys(words))
    (folder / "vocab.json").write_text(json.dumps({word: i for i, word in enumerate(words)}))
    (folder / "tokenizer_config.json").write_text(json.dumps({"source_lang": "en", "target_lang": "en"}))
    layers = {f"{part}_{what}": size for part in ("encoder", "decoder") for what, size in SIZES.items()}
    config = MarianConfig(
        vocab_size=len(words),
        d_model=16,
        pad_token_id=len(words) - 1,
        decoder_start_token_id=len(words) - 1,
        eos_token_id=0,
        forced_eos_token_id=0,
        init_std=0.5,
        **layers,
    )
    torch.manual_seed(0)
    MarianMTModel(config).save_pretrained(folder)
    return folder


SIZES = {"layers": 1, "attention_heads": 2, "ffn_dim": 16}


def test_a_marian_model_translates_the_same_way_each_time(marian: Path):
    assert find_model(str(marian), online=False) == marian
    translator = MarianTranslator(marian, "tiny")
    texts = [*LINES[:2], "", "slow " * 300]
    one = translator.translate(texts, 1, "key")
    assert [len(ways) for ways in one] == [1, 1, 0, 0]  # an empty text and one that is too long have none
    torch.manual_seed(1)  # the global random state is neither used nor changed
    before = torch.get_rng_state()
    several = translator.translate(texts, 4, "key")
    assert torch.equal(torch.get_rng_state(), before)
    assert several == translator.translate(texts, 4, "key") != translator.translate(texts, 4, "another key")
    assert all(2 <= len(ways) <= 4 for ways in several[:2])
    assert several[2:] == [[], []]


def test_what_is_no_marian_model_is_said(marian: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(KdlabError, match="is no MarianMT model"):
        find_model(str(tmp_path), online=False)
    (tmp_path / "config.json").write_text((marian / "config.json").read_text())
    with pytest.raises(KdlabError, match="give a folder of a MarianMT model"):
        MarianTranslator(tmp_path, "broken")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(KdlabError, match="pip install 'kdlab\\[translation\\]'"):
        find_model(str(marian), online=False)
