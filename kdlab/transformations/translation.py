"""Translators: a command that reads lines and writes lines, or a MarianMT model."""

from __future__ import annotations

import importlib.util
import shlex
import shutil
import subprocess
import threading
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kdlab.errors import KdlabError
from kdlab.system.files import files_digest, fingerprint
from kdlab.system.foreign import door, read_fields
from kdlab.system.shown import clipped, shown
from kdlab.transformations.packing import batches

_BUDGET = 4096  # tokens of a batch of sources
_LONGEST = 256  # tokens of a text and of its translation
_ROWS = 128  # of a batch
_OF_A_BATCH = 512  # tokens that take as long as a batch more, with all its steps
_running: list[subprocess.Popen[bytes]] = []  # commands at work
_starting = threading.RLock()  # held until a command that starts stands in the list


def end_commands() -> None:
    """Ends the commands that this process has started; it starts no more."""
    _starting.acquire()
    for command in list(_running):
        command.kill()


class Translator(ABC):
    """Translates texts.

    Attributes:
        name: The command or model.
        sha256: Of what it is, as far as that can be seen.
    """

    name: str
    sha256: str

    @abstractmethod
    def translate(self, texts: Sequence[str], ways: int, key: str) -> list[list[str]]:
        """Up to so many different translations of each text.

        Args:
            texts: N texts.
            ways: How many of each.
            key: What sampled translations depend on, besides the texts.

        Raises:
            KdlabError: It does not answer as it should.
        """


class CommandTranslator(Translator):
    """A command that translates standard input line by line; it knows one translation of a text.

    Args:
        command: As in a shell, without pipes.

    Raises:
        KdlabError: There is no such program.
    """

    def __init__(self, command: str) -> None:
        try:
            self.words = shlex.split(command)
        except ValueError as error:
            raise KdlabError(
                f"The translation command '{command}' can't be read ({error}): mend its quotes."
            ) from error
        if not self.words or shutil.which(self.words[0]) is None:
            raise KdlabError(
                f"There is no program '{self.words[0] if self.words else ''}' for the translation command '{command}': "
                "install it, or give its path."
            )
        self.name = command
        self.sha256 = fingerprint("command", self.words)

    def translate(self, texts: Sequence[str], ways: int, key: str) -> list[list[str]]:
        """See ``Translator.translate``; blank texts are not sent."""
        lines = [" ".join(text.split()) for text in texts]
        sent = [line for line in lines if line]
        answers = iter(self._run(sent) if sent else [])
        return [[next(answers)] if line else [] for line in lines]

    def _run(self, lines: Sequence[str]) -> list[str]:
        text = "".join(f"{line}\n" for line in lines).encode("utf-8", "replace")
        pipe = subprocess.PIPE
        try:
            with _starting:
                started = subprocess.Popen(self.words, stdin=pipe, stdout=pipe, stderr=pipe)
                _running.append(started)
            with started as done:
                out, err = done.communicate(text)
                _running.remove(done)
        except OSError as error:
            raise KdlabError(f"The translation command '{self.name}' can't be run ({error.strerror}).") from error
        said = clipped(shown(" ".join(err.decode("utf-8", "replace").split())), 200)
        if done.returncode:
            why = f" ({said})" if said else ""
            raise KdlabError(
                f"The translation command '{self.name}' ended with code {done.returncode}{why}: try it by hand; what "
                "was finished before is kept."
            )
        answers = out.decode("utf-8", "replace").removesuffix("\n").split("\n")
        if len(answers) != len(lines):
            raise KdlabError(
                f"The translation command '{self.name}' answered {len(lines)} lines with {len(answers)}: it must write "
                "one line for each that it reads."
            )
        return [answer.strip() for answer in answers]


class MarianTranslator(Translator):
    """A MarianMT model from a folder (Helsinki-NLP's opus-mt models are such).

    Args:
        folder: With ``config.json``, the weights and the two SentencePiece models.
        name: What the user called it.
        device: Where it runs.

    Raises:
        KdlabError: It can't be loaded.
    """

    def __init__(self, folder: Path, name: str, device: str = "cpu") -> None:
        self.name = name
        self.device = device
        with door(
            name, "give a folder of a MarianMT model, and pip install 'kdlab[translation]', which reads its text"
        ):
            from transformers import MarianMTModel, MarianTokenizer

            self.tokenizer: Any = MarianTokenizer.from_pretrained(folder, local_files_only=True)
            self.model: Any = MarianMTModel.from_pretrained(folder, local_files_only=True).to(device).eval()
            self.sha256 = files_digest(folder, [file for file in folder.rglob("*") if file.is_file()])

    def translate(self, texts: Sequence[str], ways: int, key: str) -> list[list[str]]:
        """See ``Translator.translate``: one by beam search, several by sampling from the 10 best words of each step.

        A text of more tokens than fit has none, for the rest of it would be lost.
        """
        import torch

        encoded = self.tokenizer([text.encode("utf-8", "replace").decode("utf-8") for text in texts])["input_ids"]
        found: list[list[str]] = [[] for _ in texts]
        fit = [i for i, row in enumerate(encoded) if texts[i].strip() and len(row) <= _LONGEST]
        for places in batches([len(encoded[i]) for i in fit], max(_BUDGET // ways, 1), _ROWS, _OF_A_BATCH):
            group = [fit[place] for place in places]
            padded = self.tokenizer.pad({"input_ids": [encoded[i] for i in group]}, return_tensors="pt").to(self.device)
            how = (
                {"num_beams": 4, "do_sample": False} if ways == 1 else {"do_sample": True, "top_k": 10, "num_beams": 1}
            )
            seed = int(fingerprint(key, self.sha256, [texts[i] for i in group])[:15], 16)
            with torch.random.fork_rng(), torch.no_grad():
                torch.manual_seed(seed)
                ids = self.model.generate(**padded, **how, num_return_sequences=ways, max_new_tokens=_LONGEST)
            answers = self.tokenizer.batch_decode(ids, skip_special_tokens=True)
            for row, i in enumerate(group):
                found[i] = list(dict.fromkeys(answers[row * ways : (row + 1) * ways]))
        return found


def find_model(name: str, online: bool) -> Path:
    """The folder of a translation model.

    Args:
        name: A folder, or a name on the hub.
        online: Whether the hub answers.

    Raises:
        KdlabError: It is neither here nor to be had, is another model, or a package is missing.
    """
    with door(f"The translation model '{name}'", "give a folder, or connect once", "can't be had"):
        folder = Path(name).expanduser()
        if not folder.is_dir():
            from huggingface_hub import snapshot_download

            folder = Path(snapshot_download(name, local_files_only=not online))
    advice = "give a folder of a MarianMT model, such as Helsinki-NLP's opus-mt models"
    if read_fields(folder / "config.json", advice).get("model_type") != "marian":
        raise KdlabError(f"{name} is no MarianMT model: {advice}.")
    if not all(map(importlib.util.find_spec, ("sentencepiece", "sacremoses"))):
        raise KdlabError(
            "MarianMT's tokenizers need the packages sentencepiece and sacremoses: pip install 'kdlab[translation]'."
        )
    return folder
