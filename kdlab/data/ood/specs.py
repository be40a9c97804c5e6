"""Out-of-domain sets: columns, labels and files, and which sets a model's labels fit.

This module imports only the standard library, so that ``--list ood`` answers at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from kdlab.data.label_map import NO_ALIASES, LabelMap, merge_labels
from kdlab.data.tasks import DEV, TASKS, Metric, TaskSpec
from kdlab.errors import KdlabError, nearest
from kdlab.system.shown import listed

ALL = "all"


@dataclass(frozen=True)
class OODSpec:
    """One labelled set that kdlab trains no model on.

    Attributes:
        task: Columns, labels, metrics, files below ``--ood-dir`` and name on the hub, as a task whose only split is
            ``dev``.
        meaning: Names that a model may use for a label (lower case, ``_`` for blanks and hyphens), each to the set's
            label.
        trained_on: Tasks whose models it is meant for.
        group: Column by which examples are grouped; groups are also reported separately (HANS's heuristic).
        groups: The values of that column.
        literals: True where the file holds texts as Python bytes literals, ``b'…'`` (PAWS-QQP).
    """

    task: TaskSpec
    meaning: dict[str, str]
    trained_on: tuple[str, ...]
    group: str | None = None
    groups: tuple[str, ...] = ()
    literals: bool = False

    @property
    def name(self) -> str:
        """The name used on the command line."""
        return self.task.name

    @property
    def file_names(self) -> tuple[str, ...]:
        """Possible paths of its file below ``--ood-dir``; messages name the first."""
        return (self.task.files[DEV], *self.task.other_files.get(DEV, ()))


_NLI = ("mnli", "rte", "ax")
_PARAPHRASE = ("qqp", "mrpc")
_SAME = dict.fromkeys(("paraphrase", "duplicate", "equivalent"), "paraphrase")
_OTHER = dict.fromkeys(("not_paraphrase", "not_duplicate", "not_equivalent"), "not_paraphrase")


def _follows(other: str) -> dict[str, str]:
    """``meaning`` of an NLI set: entailment stays, any other label of the model becomes ``other``."""
    names = ("not_entailment", "non_entailment", "neutral", "contradiction")
    return {**dict.fromkeys(("entailment", "entails"), "entailment"), **dict.fromkeys(names, other)}


def _paws(name: str, description: str, files: tuple[str, ...], hub: tuple[str, str] | None) -> TaskSpec:
    return TaskSpec(
        name=name,
        text="sentence1",
        text_pair="sentence2",
        labels=("not_paraphrase", "paraphrase"),
        metrics=("accuracy", "f1"),
        aliases={"0": "not_paraphrase", "1": "paraphrase"},
        splits={DEV: "test"},
        files={DEV: files[0]},
        other_files={DEV: files[1:]},
        hub=hub,
        description=description,
    )


def _metrics(*names: Metric) -> tuple[Metric, ...]:
    return names


_SETS = (
    OODSpec(
        TaskSpec(
            name="hans",
            text="premise",
            text_pair="hypothesis",
            labels=("entailment", "non-entailment"),
            metrics=_metrics("accuracy"),
            splits={DEV: "validation"},
            files={DEV: "ood/hans/evaluation.tsv"},
            other_files={DEV: ("hans/evaluation.tsv", "hans/heuristics_evaluation_set.txt")},
            glue_columns=("sentence1", "sentence2", "gold_label"),
            hub=("jhu-cogsci/hans", "plain_text"),
            description="inference that word overlap gets wrong, by heuristic (McCoy et al. 2019); for MNLI and RTE",
        ),
        _follows("non-entailment"),
        _NLI,
        group="heuristic",
        groups=("lexical_overlap", "subsequence", "constituent"),
    ),
    OODSpec(
        replace(
            TASKS["scitail"],
            labels=("entailment", "not_entailment"),
            metrics=_metrics("accuracy"),
            splits={DEV: "test"},
            files={DEV: "domain/scitail/test.jsonl"},
            other_files={DEV: ("ood/scitail/test.jsonl", "scitail/test.jsonl")},
            labelled_test=False,
            description="inference on science questions (Khot et al. 2018); for MNLI and RTE",
        ),
        _follows("not_entailment"),
        _NLI,
    ),
    OODSpec(
        _paws(
            "paws_wiki",
            "paraphrases of high word overlap, Wikipedia (Zhang et al. 2019); for QQP and MRPC",
            ("ood/paws_wiki/test.csv", "paws_wiki/test.csv", "ood/paws_wiki/test.tsv", "paws_wiki/test.tsv"),
            ("google-research-datasets/paws", "labeled_final"),
        ),
        _SAME | _OTHER,
        _PARAPHRASE,
    ),
    OODSpec(
        _paws(
            "paws_qqp",
            "paraphrases of high word overlap, Quora questions (Zhang et al. 2019); for QQP and MRPC",
            ("ood/paws_qqp/dev_and_test.tsv", "paws_qqp/dev_and_test.tsv"),
            None,
        ),
        _SAME | _OTHER,
        _PARAPHRASE,
        literals=True,
    ),
    OODSpec(  # texts as they were published, with their <br />
        TaskSpec(
            name="imdb",
            text="text",
            labels=("negative", "positive"),
            metrics=_metrics("accuracy"),
            aliases={"0": "negative", "1": "positive", "neg": "negative", "pos": "positive"},
            splits={DEV: "test"},
            files={DEV: "ood/imdb/test_2000.jsonl"},
            other_files={DEV: ("imdb/test_2000.jsonl", "ood/imdb/test.jsonl", "imdb/test.jsonl")},
            hub=("stanfordnlp/imdb", "plain_text"),
            description="whole film reviews (Maas et al. 2011), cut to the model's length; for SST-2",
        ),
        {"negative": "negative", "neg": "negative", "positive": "positive", "pos": "positive"},
        ("sst2",),
    ),
)

OOD: dict[str, OODSpec] = {each.name: each for each in _SETS}
TOGETHER: dict[str, tuple[str, ...]] = {"paws": ("paws_wiki", "paws_qqp"), ALL: tuple(OOD)}
"""Names for several sets; ``all`` means those that fit the model."""


@dataclass(frozen=True)
class AnswerableSet:
    """A set, with the map from a model's labels to its own.

    Attributes:
        spec: The set.
        label_map: From the model's labels to the set's.
    """

    spec: OODSpec
    label_map: LabelMap


def match_set(
    spec: OODSpec, task: str, labels: Sequence[str], aliases: Mapping[str, str] = NO_ALIASES
) -> AnswerableSet:
    """Maps a model's labels to a set's, by name.

    Args:
        spec: The set.
        task: The task that the model was trained on, for messages.
        labels: The model's labels in the order of its outputs; empty for a model that scores.
        aliases: Other spellings of the model's labels, each to the label; one of them may be the set's.

    Raises:
        KdlabError: A label has no counterpart in the set, or no label maps to one of the set's.
    """
    label_map = merge_labels(spec.task.labels, spec.meaning, labels, aliases)
    if label_map is not None:
        return AnswerableSet(spec, label_map)
    has = f"has the labels {listed(labels)}" if labels else "gives a score"
    others = ""
    if labels and task not in TASKS:
        others = " Other names of the same labels can stand in its task file, as aliases."
    raise KdlabError(
        f"{spec.name} can't be answered by a model of {task}, which {has}, for its labels are "
        f"{', '.join(spec.task.labels)}: take "
        f"{' or '.join(fitting(labels, aliases)) or 'a model of ' + ' or '.join(spec.trained_on)}.{others}"
    )


def fitting(labels: Sequence[str], aliases: Mapping[str, str] = NO_ALIASES) -> list[str]:
    """Names of the sets that a model of these labels can answer."""
    return [spec.name for spec in OOD.values() if merge_labels(spec.task.labels, spec.meaning, labels, aliases)]


def choose_sets(
    names: Sequence[str], task: str, labels: Sequence[str], aliases: Mapping[str, str] = NO_ALIASES
) -> tuple[list[AnswerableSet], list[str]]:
    """The requested sets that fit, and sentences about the others.

    Args:
        names: Names of sets; ``paws`` stands for both of its sets and ``all`` for every set that fits.
        task: The task that the model was trained on.
        labels: Its labels in the order of its outputs.
        aliases: Other spellings of them.

    Returns:
        The sets with their label maps, each once, and a sentence for each named set that is left out because its labels
        don't fit, or that is meant for other tasks.

    Raises:
        KdlabError: An unknown name, or no set that fits.
    """
    requested: dict[str, bool] = {}  # name to whether it was named itself, and not only by `all`
    for name in names:
        if name not in OOD and name not in TOGETHER:
            raise nearest(name, [*OOD, *TOGETHER], "out-of-domain set")
        for member in TOGETHER.get(name, (name,)):
            requested[member] = requested.get(member, False) or name != ALL
    chosen, sentences, refused = [], [], []
    for name, named in requested.items():
        try:
            chosen.append(match_set(OOD[name], task, labels, aliases))
        except KdlabError as e:
            refused.append(e)
            sentences += [f"{e} It is left out."] if named else []
            continue
        if task in TASKS and task not in OOD[name].trained_on:
            sentences.append(
                f"{name} is meant for models of {' and '.join(OOD[name].trained_on)}; this one learned {task}."
            )
    if not chosen and refused:
        raise refused[0]
    return chosen, sentences
