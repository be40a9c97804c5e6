"""Tokenizers of checkpoints: loaded from their own files alone, known by what they do, and compared by it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kdlab.errors import KdlabError
from kdlab.models.configuration import FILE as CONFIG
from kdlab.system.files import file_digest, fingerprint, scratch_folder
from kdlab.system.foreign import MIB, door, opened, read_fields
from kdlab.system.shown import clipped, shown

FILES = ("tokenizer.json", "vocab.txt", "vocab.json", "merges.txt", "special_tokens_map.json", "added_tokens.json")
SETTINGS = "tokenizer_config.json"
_LIMIT = 256 * MIB
_ADVICE = "give the files that the tokenizer's save_pretrained wrote"
# settings that name other files, would have foreign code run, or are of no use to a classifier
_LEFT_OUT = ("auto_map", "chat_template", "fast_tokenizer_files", "name_or_path", "_name_or_path", "processor_class")
_SAMPLE = "kdlab reads 12 Wörter, 你好 🙂 (x)"
_FEWEST = 6


def open_tokenizer(folder: Path, model_type: str) -> Any:
    """The fast tokenizer of a folder, read from a copy of the files that one consists of.

    Args:
        folder: Of the checkpoint.
        model_type: Of its architecture, which tells what its vocabulary files mean.

    Raises:
        KdlabError: There is none that loads, it is written in Python, or it does not turn text into ids.
    """
    parts = _parts(folder, model_type)
    named = parts[SETTINGS].get("tokenizer_class") or parts[CONFIG]["tokenizer_class"]
    with scratch_folder() as copy:
        there = _files(folder)
        for file in there:
            with opened(file, _LIMIT) as original, (copy / file.name).open("wb") as out:
                out.write(original.read())
        for name, content in parts.items():
            (copy / name).write_text(json.dumps(content), encoding="utf-8")
        try:
            with door(folder, _ADVICE):
                tokenizer = _load(copy)
        except KdlabError as error:
            if not (folder / "tokenizer.json").is_file():
                _refuse_python(folder, named)
            raise KdlabError(f"{folder} has no tokenizer that loads: {_without_copy(str(error), copy)}") from error
    if not tokenizer.is_fast:
        _refuse_python(folder, type(tokenizer).__name__)
    if len(tokenizer) < _FEWEST:
        raise KdlabError(f"{folder} has no vocabulary: give a folder with tokenizer.json or vocab.txt.")
    tokenizer.name_or_path = ""
    tokenizer.init_kwargs = {
        k: v for k, v in tokenizer.init_kwargs.items() if k not in _LEFT_OUT and str(copy) not in str(v)
    }
    _check_reads(tokenizer, folder)
    return tokenizer


def check_savable(tokenizer: Any, source: str) -> None:
    """Saves a tokenizer for a try, because a student that can't be saved with it is better not trained.

    Raises:
        KdlabError: It can't be saved.
    """
    with scratch_folder() as folder:
        with door(f"The tokenizer of {source}", _ADVICE, "can't be saved"):
            tokenizer.save_pretrained(folder)
        if not (folder / "tokenizer.json").is_file():
            raise KdlabError(f"The tokenizer of {source} can't be saved as tokenizer.json: {_ADVICE}.")


def tokenizer_digest(folder: Path, model_type: str) -> str:
    """SHA-256 of all that ``open_tokenizer`` reads, and so of all that can change what a tokenizer does."""
    files = {file.name: file_digest(file) for file in _files(folder)}
    return fingerprint("tokenizer", files, _parts(folder, model_type))


def behave_alike(one: Any, other: Any) -> bool:
    """Whether two fast tokenizers are one, whatever files they were read from: their serialised forms are compared."""
    return _behaviour(one) == _behaviour(other)


def _behaviour(tokenizer: Any) -> dict[str, Any]:
    return {
        "backend": _serialised(tokenizer.backend_tokenizer),
        "pad": tokenizer.pad_token_id,
        "special": sorted(tokenizer.all_special_ids),
        "cuts": tokenizer.truncation_side,
    }


def _serialised(backend: Any) -> dict[str, Any]:
    """A tokenizer of the library below, less how it cuts and pads, which every call says anew."""
    return {**json.loads(backend.to_str()), "truncation": None, "padding": None}


def largest_id(tokenizer: Any) -> tuple[int, str]:
    """The largest id that a tokenizer can make, and its token."""
    token, number = max(tokenizer.get_vocab().items(), key=lambda item: item[1])
    return number, token


def first_difference(one: Any, other: Any, texts: Sequence[str]) -> str | None:
    """The first text that two tokenizers don't make the same ids of; None where they agree on all."""
    if not texts:
        return None
    ours, theirs = (t(list(texts), add_special_tokens=True, verbose=False)["input_ids"] for t in (one, other))
    return next((text for text, a, b in zip(texts, ours, theirs, strict=True) if a != b), None)


def check_as_written(tokenizer: Any, folder: Path, texts: Sequence[str]) -> None:
    """Checks on texts that a tokenizer does what its ``tokenizer.json`` says.

    For some classes transformers builds normaliser, pre-tokeniser and post-processor anew from the vocabulary, and what
    the file says of them is lost without a word.

    Args:
        tokenizer: From ``open_tokenizer``.
        folder: Of the checkpoint.
        texts: Read by both.

    Raises:
        KdlabError: They read one of them differently; the message names it.
    """
    file = folder / "tokenizer.json"
    if not file.is_file() or not texts:
        return
    from transformers import PreTrainedTokenizerFast

    with door(file, _ADVICE):
        written = PreTrainedTokenizerFast(tokenizer_file=str(file)).backend_tokenizer
        if _serialised(written) == _serialised(tokenizer.backend_tokenizer):
            return
        written.no_truncation()
        written.no_padding()
        theirs = [encoding.ids for encoding in written.encode_batch(list(texts))]
    ours = tokenizer(list(texts), verbose=False)["input_ids"]
    text = next((text for text, a, b in zip(texts, ours, theirs, strict=True) if a != b), None)
    if text is not None:
        raise KdlabError(
            f"{file} reads '{clipped(shown(text), 60)}' otherwise than the {type(tokenizer).__name__} that "
            f'transformers makes of it: set "tokenizer_class": "PreTrainedTokenizerFast" in {SETTINGS} where the file '
            "is right, or save the tokenizer again where it is not."
        )


def _files(folder: Path) -> list[Path]:
    """The files that are taken as they are."""
    return [folder / name for name in FILES if (folder / name).is_file()]


def _parts(folder: Path, model_type: str) -> dict[str, dict[str, Any]]:
    """The settings by file, without what would lead out of the folder."""
    path = folder / SETTINGS
    settings = read_fields(path, _ADVICE, limit=64 * MIB) if path.is_file() else {}
    kept = {key: value for key, value in settings.items() if key not in _LEFT_OUT and not key.endswith("_file")}
    named = read_fields(folder / CONFIG, _ADVICE).get("tokenizer_class")
    return {SETTINGS: kept, CONFIG: {"model_type": model_type, "tokenizer_class": named}}


def _load(folder: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)


def _without_copy(message: str, copy: Path) -> str:
    """A library's complaint without the name of the copy, which is gone when it is read."""
    return message.replace(f"{copy}/", "").replace(str(copy), "its folder")


def _refuse_python(folder: Path, named: Any) -> None:
    """Raises ``KdlabError`` where the tokenizer is one of those that exist in Python only."""
    import transformers

    kind = getattr(transformers, named, None) if isinstance(named, str) else None
    if isinstance(kind, type) and not issubclass(kind, transformers.PreTrainedTokenizerFast):
        raise KdlabError(
            f"{folder} has a tokenizer that is written in Python ({clipped(shown(named), 60)}), and kdlab needs a fast "
            "one: give a folder with tokenizer.json."
        )


def _check_reads(tokenizer: Any, folder: Path) -> None:
    """Raises ``KdlabError`` where it has no padding token, or makes no ids of text."""
    if tokenizer.pad_token_id is None:
        raise KdlabError(
            f"{folder}: its tokenizer names no padding token: add pad_token to {SETTINGS} (such as "
            '"pad_token": "[PAD]").'
        )
    with door(folder, _ADVICE):
        for pair in (None, _SAMPLE):
            made: Mapping[str, Any] = tokenizer(_SAMPLE, pair, return_token_type_ids=True, verbose=False)
            if not made["input_ids"] or not all(isinstance(i, int) for i in made["input_ids"]):
                raise KdlabError(f"{folder}: its tokenizer makes nothing of text: {_ADVICE}.")
