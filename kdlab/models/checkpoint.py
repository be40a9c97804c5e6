"""Checkpoints: a folder or a name on the hub, the labels of its head, and how it becomes an encoder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from kdlab.errors import KdlabError
from kdlab.models.encoder import TextEncoder, get_family
from kdlab.system.files import folder_digest
from kdlab.system.spelling import plain

EMBEDDED = "embedded"
SCORE = "score"
"""The label of a regression head; ``teacher.labels=[score]`` declares it for a checkpoint with another name."""
_WEIGHTS = ("*.safetensors", "config.json")
_TOKENIZER = ("tokenizer.json", "vocab.txt", "vocab.json", "merges.txt", "tokenizer_config.json")
_SINGLE, _INDEX = "model.safetensors", "model.safetensors.index.json"
_HEADS = ("classifier.weight", "classifier.out_proj.weight")


@dataclass(frozen=True)
class Checkpoint:
    """A Hugging Face folder on disk.

    Attributes:
        folder: Its folder.
        source: What the user called it (a folder, a name on the hub, ``embedded``).
    """

    folder: Path
    source: str

    @cached_property
    def config(self) -> Any:
        """The Hugging Face configuration of a supported architecture."""
        from transformers import AutoConfig

        try:
            config = AutoConfig.from_pretrained(self.folder, local_files_only=True)
        except Exception as e:  # the library raises many kinds of error on a broken file
            raise KdlabError(f"{self.folder}/config.json is no Hugging Face configuration: {_first_line(e)}.") from e
        get_family(config.model_type, str(self.folder))
        return config

    def with_labels(self, labels: Sequence[str]) -> Checkpoint:
        """A copy of this checkpoint with other names for the head's outputs, in their order."""
        import copy

        config = copy.deepcopy(self.config)
        config.id2label = dict(enumerate(labels))
        renamed = Checkpoint(self.folder, self.source)
        renamed.__dict__.update(self.__dict__, config=config)  # keeps what cached properties have already read
        return renamed

    @cached_property
    def weights_fingerprint(self) -> str:
        """SHA-256 of weights and configuration: a checkpoint retrained in place gets a new one."""
        return folder_digest(self.folder, _WEIGHTS)

    @cached_property
    def tokenizer_fingerprint(self) -> str:
        """SHA-256 of the tokenizer's files."""
        return folder_digest(self.folder, _TOKENIZER)

    @cached_property
    def tokenizer(self) -> Any:
        """The checkpoint's fast tokenizer."""
        from transformers import AutoTokenizer

        try:
            tokenizer = AutoTokenizer.from_pretrained(self.folder, local_files_only=True)
        except Exception as e:  # the tokenizers library raises plain Exceptions
            raise KdlabError(f"{self.folder} has no tokenizer that loads: {_first_line(e)}.") from e
        if not tokenizer.is_fast or len(tokenizer) < 6:
            raise KdlabError(f"{self.folder} has no vocabulary: give a folder with tokenizer.json or vocab.txt.")
        return tokenizer

    @cached_property
    def weight_names(self) -> frozenset[str]:
        """Names of the tensors in the checkpoint, read from the file headers alone."""
        from safetensors import SafetensorError, safe_open

        index = self.folder / _INDEX
        try:
            if index.is_file():
                return frozenset(json.loads(index.read_text(encoding="utf-8"))["weight_map"])
            with safe_open(self.folder / _SINGLE, framework="pt") as f:
                return frozenset(f.keys())
        except (OSError, ValueError, LookupError, TypeError, SafetensorError) as e:
            file = index if index.is_file() else self.folder / _SINGLE
            raise KdlabError(f"{file} can't be read ({_first_line(e)}): the file is damaged.") from e

    @property
    def has_head(self) -> bool:
        """Whether the weights of a classification head are in the checkpoint."""
        return any(name in self.weight_names for name in _HEADS)

    @property
    def head_labels(self) -> tuple[str, ...]:
        """Label names in the order of the head's outputs."""
        names = self.config.id2label
        return tuple(str(names[i]) for i in sorted(names))


def resolve_checkpoint(source: str, offline: bool) -> Checkpoint:
    """The folder of a checkpoint: given, shipped with kdlab, in the hub's cache, or downloaded.

    Only safetensors weights are accepted: pickled weights could run foreign code.

    Args:
        source: A folder, a name on the hub, or ``embedded``.
        offline: Whether the hub must not be contacted.

    Raises:
        KdlabError: It does not exist, or its weights are not safetensors.
    """
    if source == EMBEDDED:
        return _checked(Checkpoint(Path(__file__).parent / "embedded", source))
    folder = Path(source).expanduser()
    if source and folder.is_dir():
        return _checked(Checkpoint(folder, source))
    if source.count("/") > 1 or source.startswith((".", "/", "~")) or not source:
        raise KdlabError(
            f"There is no folder '{source}': give a Hugging Face folder, a name on the hub, or 'embedded'."
        )
    return _checked(Checkpoint(_from_hub(source, offline), source))


def _from_hub(name: str, offline: bool) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(
            snapshot_download(name, allow_patterns=[*_WEIGHTS, *_TOKENIZER, "*.json"], local_files_only=offline)
        )
    except LocalEntryNotFoundError as e:
        raise KdlabError(
            f"'{name}' is neither a folder nor in the hub's cache, and the hub can't be reached: "
            "give a Hugging Face folder, connect once, or use --profile embedded."
        ) from e
    except HFValidationError as e:
        raise KdlabError(
            f"'{name}' is neither a folder nor a name on the hub (and layers are written [DONOR:]layers:bottom:3)."
        ) from e
    except (HfHubHTTPError, OSError, ValueError) as e:
        raise KdlabError(f"'{name}' can't be had from the hub: {_first_line(e)}.") from e


def cached_on_disk(source: str) -> bool:
    """Whether a checkpoint needs no network: it is a folder, shipped with kdlab, or completely in the hub's cache."""
    if source == EMBEDDED or Path(source).expanduser().is_dir():
        return True
    try:
        resolve_checkpoint(source, offline=True)
    except KdlabError:
        return False
    return True


def _checked(checkpoint: Checkpoint) -> Checkpoint:
    folder = checkpoint.folder
    if not (folder / "config.json").is_file():
        raise KdlabError(f"{folder} has no config.json: give a Hugging Face folder (config, safetensors, tokenizer).")
    if not ((folder / _SINGLE).is_file() or (folder / _INDEX).is_file()):
        raise KdlabError(
            f"{folder} has no {_SINGLE} (kdlab loads no pickles, which can run foreign code): "
            "convert it with transformers' save_pretrained."
        )
    return checkpoint


def labelled_config(config: Any, labels: Sequence[str]) -> Any:
    """A copy of a configuration with a head for these labels in this order; no labels mean regression."""
    import copy

    new = copy.deepcopy(config)
    names = list(labels) or [SCORE]
    new.id2label = dict(enumerate(names))
    new.label2id = {name: i for i, name in enumerate(names)}
    new.problem_type = "single_label_classification" if labels else "regression"
    new.architectures = None
    return new


def head_order(checkpoint: Checkpoint, labels: Sequence[str], aliases: dict[str, str]) -> list[int] | None:
    """The output of the head for each label of the task, matched by *name*; None where the head is another task's.

    Args:
        checkpoint: A checkpoint, with or without a head.
        labels: The task's labels in order; empty for regression.
        aliases: Other spellings of them.

    Returns:
        The head's row for each label, or None.
    """
    if not checkpoint.has_head:
        return None
    outputs = checkpoint.head_labels
    if not labels:
        return [0] if outputs == (SCORE,) else None  # a head of another name may use another scale
    spelling = {plain(k): v for k, v in aliases.items()} | {plain(name): name for name in labels}
    names = [spelling.get(plain(name)) for name in outputs]
    return [names.index(name) for name in labels] if sorted(map(str, names)) == sorted(labels) else None


def load_encoder(
    checkpoint: Checkpoint,
    labels: Sequence[str],
    order: list[int] | None,
    seed: int,
    config: Any = None,
) -> TextEncoder:
    """An encoder in float32 with a head in the task's label order.

    Args:
        checkpoint: Where the weights are.
        labels: The task's labels in order; empty for regression.
        order: From ``head_order``: the head is kept and its rows are put into the task's order. None gives a new head.
        seed: Seed of a new head; the global random state is neither used nor changed.
        config: A changed configuration (fewer layers); None takes the checkpoint's own.
    """
    base = labelled_config(config or checkpoint.config, labels)
    if order is not None and len(order) != base.num_labels:
        raise ValueError("the order of labels does not fit the head")
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = _load_model(checkpoint, base, order is None)
        encoder = TextEncoder(model)
        head = _head_layer(encoder)
        if order is None:
            if checkpoint.has_head:  # another task's head: draw a new one
                model._init_weights(head)
                torch.nn.init.normal_(head.weight, std=base.initializer_range)
                torch.nn.init.zeros_(head.bias)
        elif order != sorted(order):
            with torch.no_grad():
                head.weight.copy_(head.weight[order].clone())
                head.bias.copy_(head.bias[order].clone())
    return encoder


def _load_model(checkpoint: Checkpoint, config: Any, new_head: bool) -> Any:
    """The sequence classifier with every weight of the encoder from the checkpoint, none drawn at random."""
    from safetensors import SafetensorError
    from transformers import AutoModelForSequenceClassification

    try:
        model, report = AutoModelForSequenceClassification.from_pretrained(
            checkpoint.folder,
            config=config,
            dtype=torch.float32,
            use_safetensors=True,
            local_files_only=True,
            ignore_mismatched_sizes=new_head,
            output_loading_info=True,
        )
    except (OSError, ValueError, RuntimeError, SafetensorError) as e:
        raise KdlabError(f"The weights in {checkpoint.folder} can't be loaded: {_first_line(e)}.") from e
    names = [*report["missing_keys"], *(name for name, *_ in report["mismatched_keys"])]
    for name in sorted(n for n in names if ".layer." in n or ".embeddings." in n):
        raise KdlabError(
            f"The weights in {checkpoint.folder} do not fit its config.json: {name} is missing or has another shape."
        )
    return model


def _head_layer(encoder: TextEncoder) -> torch.nn.Linear:
    head = encoder.model.classifier
    return head if isinstance(head, torch.nn.Linear) else head.out_proj


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
