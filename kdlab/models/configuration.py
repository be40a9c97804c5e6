"""``config.json`` of a checkpoint: read without running foreign code, reduced to what is known, and checked."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kdlab.errors import KdlabError
from kdlab.models.encoder import BILSTM, count_parameters, get_family
from kdlab.system.foreign import MIB, door, read_fields
from kdlab.system.shown import clipped, listed, shown

FILE = "config.json"
_ADVICE = "give the config.json that save_pretrained wrote beside the weights"
_LARGEST = 2**31 - 1
_LAYERS, _LABELS = 1000, 10_000
_PREFIXES = {"Bert": "bert", "Roberta": "roberta", "DistilBert": "distilbert"}  # of a class, in files of before 2019
_PROBLEMS = (None, "regression", "single_label_classification", "multi_label_classification")
_LAYER_KEYS = ("num_hidden_layers", "n_layers")
# what the four architectures know; whatever else stands in a file changes nothing of them (or would have foreign code
# run, other weights read, or tuples come out of a forward pass)
_KNOWN = frozenset(
    " ".join(
        (
            "vocab_size hidden_size num_hidden_layers num_attention_heads intermediate_size hidden_act",
            "hidden_dropout_prob attention_probs_dropout_prob max_position_embeddings type_vocab_size",
            "initializer_range layer_norm_eps pad_token_id bos_token_id eos_token_id classifier_dropout is_decoder",
            "add_cross_attention tie_word_embeddings sinusoidal_pos_embds n_layers n_heads dim hidden_dim dropout",
            "attention_dropout activation qa_dropout seq_classif_dropout id2label label2id num_labels problem_type",
            "use_cache embedding_size classifier_size pair separator_token_id",
        )
    ).split()
)


def read_configuration(folder: Path) -> Any:
    """The Hugging Face configuration of a folder.

    Raises:
        KdlabError: It can't be read, is of an architecture that kdlab does not drive, belongs to weights that are
            stored or used in a way that kdlab does not know, or says what can't be.
    """
    path = folder / FILE
    content = read_fields(path, _ADVICE, limit=8 * MIB)
    kind = _model_type(content, path)
    get_family(kind, shown(str(folder)))
    if content.get("quantization_config") is not None:
        how = content["quantization_config"]
        method = how.get("quant_method", "unknown method") if isinstance(how, Mapping) else "unknown method"
        raise KdlabError(
            f"{folder} is quantised ({clipped(shown(str(method)), 60)}): give full weights (load it with its own "
            "library, dequantize(), save_pretrained())."
        )
    positions = content.get("position_embedding_type")
    if positions not in (None, "absolute"):
        raise KdlabError(
            f"{path} says position_embedding_type={clipped(shown(str(positions)), 60)}, and this version of "
            "transformers computes absolute positions only: give a checkpoint with absolute positions."
        )
    with door(path, _ADVICE):
        _check_numbers(content, path, "")
    fields = {
        key: value for key, value in content.items() if key in _KNOWN and key not in ("model_type", "architectures")
    }
    _check_counts(fields, path)
    if fields.get("problem_type") not in _PROBLEMS:
        raise KdlabError(f"{path} says problem_type={clipped(shown(str(fields['problem_type'])), 60)}: {_ADVICE}.")
    fields |= _labels(fields, path)
    with door(path, _ADVICE):
        from transformers import CONFIG_MAPPING

        if kind == BILSTM:
            import kdlab.models.bilstm  # noqa: F401  (which registers it)

        config = CONFIG_MAPPING[kind].from_dict(fields)
        if not config.initializer_range >= 0:
            raise KdlabError(f"{path} says initializer_range={config.initializer_range}: it can't be negative.")
        if kind != BILSTM and not 1 <= config.num_hidden_layers <= _LAYERS:
            raise KdlabError(f"{path} says num_hidden_layers={config.num_hidden_layers}: it must be 1 to {_LAYERS}.")
        _check_embeddings(config, path)
    config._name_or_path = ""
    with door(path, "correct it, or save the checkpoint again", "describes no encoder that can be built"):
        count_parameters(config)
    return config


def contradictory_labels(config: Any) -> bool:
    """Whether ``id2label`` and ``label2id`` of a configuration say different things."""
    known = {str(name): int(i) for name, i in (config.label2id or {}).items()}
    default = known == {f"LABEL_{i}": i for i in range(len(known))}
    return not default and any(known.get(str(name), i) != i for i, name in config.id2label.items())


def _model_type(content: Mapping[str, Any], path: Path) -> str:
    kind = content.get("model_type")
    if kind is None:
        names = content.get("architectures")
        first = str(names[0]) if isinstance(names, list) and names else ""
        kind = next((kind for prefix, kind in _PREFIXES.items() if first.startswith(prefix)), None)
    if not isinstance(kind, str):
        raise KdlabError(f"{path} names no model_type, such as bert: {_ADVICE}.")
    return clipped(shown(kind), 60)


def _check_numbers(value: Any, path: Path, where: str) -> None:
    """No number beyond what libraries count with, so that none of them makes 10¹⁰ of anything."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            _check_numbers(inner, path, f"{where}.{key}" if where else str(key))
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            _check_numbers(inner, path, f"{where}[{i}]")
    elif isinstance(value, int | float) and not (math.isfinite(value) and abs(value) <= _LARGEST):
        raise KdlabError(
            f"{path}: field '{clipped(shown(where), 80)}' holds {clipped(str(value), 40)}, no number up to {_LARGEST}: "
            f"{_ADVICE}."
        )


def _check_counts(fields: Mapping[str, Any], path: Path) -> None:
    """What libraries would otherwise build, layer by layer or label by label."""
    most = dict.fromkeys(_LAYER_KEYS, _LAYERS) | {"num_labels": _LABELS}
    for key, limit in most.items():
        value = fields.get(key)
        if value is not None and not (type(value) is int and 1 <= value <= limit):
            raise KdlabError(f"{path} says {key}={clipped(shown(str(value)), 40)}: it must be 1 to {limit}.")


def _check_embeddings(config: Any, path: Path) -> None:
    """Indices into tables must lie in them."""
    for name in ("vocab_size", "max_position_embeddings", "type_vocab_size"):
        if getattr(config, name, 1) < 1:
            raise KdlabError(f"{path} says {name}={getattr(config, name)}: it must be 1 or more.")
    pad = config.pad_token_id
    if pad is not None and not 0 <= pad < config.vocab_size:
        raise KdlabError(f"{path} says pad_token_id={pad}, and its vocab_size is {config.vocab_size}: {_ADVICE}.")
    if pad is None and get_family(config.model_type, "").reads_padding:
        raise KdlabError(f"{path} names no pad_token_id, by which {config.model_type} knows padding: {_ADVICE}.")


def _labels(fields: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """``id2label`` with numbers from 0 as keys, and ``label2id``, where there are any."""
    made: dict[str, Any] = {}
    for key in ("id2label", "label2id"):
        value = fields.get(key)
        if value is None:
            continue
        if not isinstance(value, Mapping) or len(value) > _LABELS:
            raise KdlabError(f"{path}: {key} is no mapping of at most {_LABELS:,} labels: {_ADVICE}.")
        pairs = [(i, name) if key == "id2label" else (name, i) for i, name in value.items()]
        if not all(str(i).isascii() and str(i).isdigit() and isinstance(name, str) for i, name in pairs):
            raise KdlabError(f"{path}: {key} must map numbers and names, and holds {listed(value)}: {_ADVICE}.")
        made[key] = (
            {int(i): name for i, name in pairs} if key == "id2label" else {name: int(i) for name, i in value.items()}
        )
    names = made.get("id2label")
    if names is not None and sorted(names) != list(range(len(names))):
        raise KdlabError(f"{path}: id2label numbers its labels {listed(sorted(names))}, not from 0 on: {_ADVICE}.")
    if names is not None and fields.get("num_labels") not in (None, len(names)):
        raise KdlabError(f"{path} says num_labels={fields['num_labels']}, and id2label has {len(names)}: {_ADVICE}.")
    return made
