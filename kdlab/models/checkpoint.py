"""Checkpoints: a folder or a name on the hub, the labels of its head, and how it becomes an encoder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
import transformers

from kdlab import __version__
from kdlab.errors import KdlabError
from kdlab.models.configuration import FILE as CONFIG
from kdlab.models.configuration import contradictory_labels, read_configuration
from kdlab.models.encoder import TextEncoder, get_family
from kdlab.models.loading import LEFT_OVER, Fit, check_shapes, place
from kdlab.models.recurrent import wrap
from kdlab.models.tokenizer import largest_id, open_tokenizer, tokenizer_digest
from kdlab.models.weights import Stored, check_finite, check_stored, read_headers, read_weights, weight_files
from kdlab.system.cache import default_root
from kdlab.system.facts import Facts
from kdlab.system.files import files_digest
from kdlab.system.foreign import MIB, check_regular, reason
from kdlab.system.shown import clipped, listed, shown
from kdlab.system.spelling import plain

EMBEDDED = "embedded"
SCORE = "score"
"""The label of a regression head; ``teacher.labels=[score]`` declares it for a checkpoint with another name."""
_WANTED = ["*.safetensors", "vocab.txt", "merges.txt", "*.json"]  # of a folder on the hub
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
        return read_configuration(self.folder)

    def with_labels(self, labels: Sequence[str]) -> Checkpoint:
        """A copy of this checkpoint with other names for the head's outputs, in their order."""
        import copy

        config = copy.deepcopy(self.config)
        config.id2label = dict(enumerate(labels))
        config.label2id = None  # whatever it said, these are what the user says
        renamed = Checkpoint(self.folder, self.source)
        renamed.__dict__.update(self.__dict__, config=config)  # keeps what cached properties have already read
        return renamed

    @cached_property
    def weights_fingerprint(self) -> str:
        """SHA-256 of weights and configuration: a checkpoint retrained in place gets a new one."""
        return files_digest(self.folder, [self.folder / CONFIG, *self.weight_files], Facts(default_root()).digest)

    @cached_property
    def tokenizer_fingerprint(self) -> str:
        """SHA-256 of everything that decides which ids the tokenizer makes of a text."""
        return tokenizer_digest(self.folder, self.config.model_type)

    @cached_property
    def tokenizer(self) -> Any:
        """The checkpoint's fast tokenizer."""
        return open_tokenizer(self.folder, self.config.model_type)

    @cached_property
    def weight_files(self) -> tuple[Path, ...]:
        """The files that its weights are in."""
        return weight_files(self.folder)

    @cached_property
    def headers(self) -> dict[str, Stored]:
        """Its tensors by name, read from the file headers alone."""
        return read_headers(self.weight_files)

    @property
    def weight_names(self) -> frozenset[str]:
        """Names of its tensors."""
        return frozenset(self.headers)

    @cached_property
    def fit(self) -> Fit:
        """How its weights fit the sequence classifier that its configuration describes; found out once for each.

        Raises:
            KdlabError: They don't fit the encoder, are no plain numbers, or are NaN.
        """
        check_stored(self.headers, self.folder)
        about = [self.weights_fingerprint, self.config.num_labels, __version__, transformers.__version__]
        found = Facts(default_root()).known("fit", about, lambda: asdict(self._find_fit()))
        return Fit(tuple(found["missing"]), tuple(found["unexpected"]))

    def _find_fit(self) -> Fit:
        check_shapes(self.folder, self.config, self.headers)
        weights = read_weights(self.weight_files)
        check_finite(weights, self.folder)
        with torch.random.fork_rng(devices=[]):
            return place(self.folder, self.config, "SEQUENCE_CLASSIFICATION", weights)[1]

    @property
    def has_head(self) -> bool:
        """Whether weights of a classification head are in the checkpoint, all or some."""
        return any(name in self.weight_names for name in _HEADS)

    @property
    def head_fault(self) -> str:
        """Why the head that is there can't be used as it is; empty where it can."""
        if self.fit.missing:
            return f"its head lacks {listed(self.fit.missing, 160)}, or has it in another shape"
        strange = [name for name in self.fit.unexpected if not LEFT_OVER.search(name)]
        if strange:
            return f"its file holds {listed(strange, 160)}, which this architecture's head has no place for"
        if self.config.problem_type == "multi_label_classification":
            return "its head was trained for several labels at once (sigmoid), which a softmax misreads"
        if self.config.problem_type == "regression" and len(self.head_labels) > 1:
            return "its head was trained to give numbers (problem_type regression)"
        if contradictory_labels(self.config):
            return (
                "id2label and label2id in its config.json contradict each other; teacher.labels=[…] states their order"
            )
        return ""

    @property
    def head_labels(self) -> tuple[str, ...]:
        """Label names in the order of the head's outputs."""
        names = self.config.id2label
        return tuple(str(names[i]) for i in sorted(names))

    def check(self) -> None:
        """Reads all of it, so that whatever is wrong is said before any work.

        Raises:
            KdlabError: Configuration, weights or tokenizer can't be read, or don't fit each other.
        """
        _ = self.config, self.fit
        _check_tokenizer(self)


def _check_tokenizer(checkpoint: Checkpoint) -> None:
    """Raises ``KdlabError`` where the tokenizer makes what the encoder has no place for."""
    tokenizer, config, folder = checkpoint.tokenizer, checkpoint.config, checkpoint.folder
    number, token = largest_id(tokenizer)
    if number >= config.vocab_size:
        raise KdlabError(
            f"{folder}: its tokenizer has ids up to {number}, and its embedding {config.vocab_size} rows (for one, "
            f"'{clipped(shown(token), 60)}'): check that the two belong together, and that no token has crept in; for "
            f"tokens that were added on purpose, resize_token_embeddings({number + 1}), train and save."
        )
    family = get_family(config.model_type, str(folder))
    if family.reads_padding and tokenizer.pad_token_id != config.pad_token_id:
        use = "from which positions are counted" if family.counts_from_padding else "by which it knows padding"
        raise KdlabError(
            f"{folder}: its tokenizer pads with id {tokenizer.pad_token_id}, and its {CONFIG} says pad_token_id="
            f"{config.pad_token_id}, {use}: correct whichever is wrong."
        )
    types = max(max(tokenizer("a", pair, return_token_type_ids=True)["token_type_ids"]) for pair in (None, "b"))
    if family.segments and config.type_vocab_size >= 2 and types >= config.type_vocab_size:
        raise KdlabError(
            f"{folder}: its tokenizer makes token types up to {types}, and its {CONFIG} says type_vocab_size="
            f"{config.type_vocab_size}: give the tokenizer that the encoder was trained with."
        )


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
        return Path(snapshot_download(name, allow_patterns=_WANTED, local_files_only=offline))
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
        raise KdlabError(f"'{name}' can't be had from the hub ({reason(e)}): connect, or give a folder.") from e


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
    if not (folder / CONFIG).is_file():
        raise KdlabError(f"{folder} has no config.json: give a Hugging Face folder (config, safetensors, tokenizer).")
    check_regular(folder / CONFIG, 8 * MIB)
    _ = checkpoint.weight_files
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
    if not checkpoint.has_head or checkpoint.head_fault:
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

    Raises:
        KdlabError: The weights can't be read, or don't fit the encoder or the head that is to be kept.
    """
    base = labelled_config(config or checkpoint.config, labels)
    if order is not None and len(order) != base.num_labels:
        raise ValueError("the order of labels does not fit the head")
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        weights = read_weights(checkpoint.weight_files)
        model, fit = place(checkpoint.folder, base, "SEQUENCE_CLASSIFICATION", weights)
        if order is not None and fit.missing:
            raise KdlabError(f"The head in {checkpoint.folder} is not whole: it lacks {listed(fit.missing, 160)}.")
        encoder = wrap(model)
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


def _head_layer(encoder: TextEncoder) -> torch.nn.Linear:
    head = encoder.model.classifier
    return head if isinstance(head, torch.nn.Linear) else head.out_proj
