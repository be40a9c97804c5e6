"""The source of a task's examples, and their split into train, hold-out, dev and test."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from kdlab.data import embedded
from kdlab.data.augmented import AugmentedFile, joined, read_augmented
from kdlab.data.examples import Examples, Loaded
from kdlab.data.label_map import merge_labels
from kdlab.data.readers.glue_folder import load_glue
from kdlab.data.readers.hub import go_offline, hub_cached, hub_reachable, load_hub
from kdlab.data.readers.hub_task import PREFIX, load_rows
from kdlab.data.readers.hub_task import load_task as load_hub_task
from kdlab.data.readers.task_file import load_custom, load_task
from kdlab.data.subset import carve, limit_and_rest
from kdlab.data.tasks import DEV, TASKS, TEST, TRAIN, TaskSpec, get_task
from kdlab.errors import KdlabError
from kdlab.system.files import fingerprint
from kdlab.system.shown import listed
from kdlab.system.spelling import plain
from kdlab.types import CarvedRows, LeftoverRows, OtherTaskRows, SplitWish

HOLDOUT = "holdout"
_HOLDOUT_AT_MOST = 2000
SAMPLE = 1000
NO_WISHES: Mapping[str, SplitWish] = {}


class Hub:
    """Whether the hub answers; checked once, for at most 2 s, when it is first needed."""

    @cached_property
    def online(self) -> bool:
        """True where the hub answered; otherwise all clients are switched to offline mode."""
        answered = hub_reachable(timeout=2.0)
        if not answered:
            go_offline()
        return answered


@dataclass(frozen=True)
class Source:
    """Where examples come from.

    Attributes:
        kind: ``files`` (the user's own task), ``local`` (GLUE folder), ``hub`` or ``embedded``.
        where: The folder, the name on the hub, or the corpus's version.
        reason: Why it was chosen, where that is not obvious.
    """

    kind: str
    where: str
    reason: str = ""

    @property
    def embedded(self) -> bool:
        """Whether figures come from the embedded corpus and not from a benchmark."""
        return self.kind == "embedded"


@dataclass(frozen=True)
class TaskData:
    """A task's examples, split and fingerprinted.

    Attributes:
        spec: The task.
        source: Where they came from.
        splits: ``train``, ``holdout`` if one is carved out, dev and test splits.
        select_on: The split that chooses checkpoints.
        notes: What was skipped, limited or carved, a line each.
        augmented: The file whose examples stand in ``train`` behind its own.
        before: The same data without them.
    """

    spec: TaskSpec
    source: Source
    splits: dict[str, Examples]
    select_on: str
    notes: tuple[str, ...]
    augmented: AugmentedFile | None = None
    before: TaskData | None = None

    @property
    def unaugmented(self) -> TaskData:
        """The data with its own rows alone, of which the teacher is made."""
        return self.before or self

    @property
    def sizes(self) -> dict[str, int]:
        """Rows of each split."""
        return {name: len(examples) for name, examples in self.splits.items()}

    @cached_property
    def fingerprints(self) -> dict[str, str]:
        """SHA-256 of each split."""
        return {name: examples.fingerprint() for name, examples in self.splits.items()}

    @property
    def fingerprint(self) -> str:
        """SHA-256 of all splits and of the choice of ``select_on``."""
        return fingerprint("data", self.fingerprints, self.select_on, self.spec.labels, self.spec.metrics)

    @property
    def training_fingerprint(self) -> str:
        """SHA-256 of what determines a trained model: train and the split that chooses checkpoints."""
        digests = [self.fingerprints[TRAIN], self.fingerprints[self.select_on]]
        return fingerprint("training data", digests, self.spec.labels, self.spec.monitor)

    @cached_property
    def sample(self) -> tuple[str, ...]:
        """Texts of every split, its first ``SAMPLE`` of each, second sentences too."""
        columns = [column for e in self.splits.values() for column in (e.text, e.text_pair) if column is not None]
        return tuple(dict.fromkeys(text for column in columns for text in column[:SAMPLE]))

    @property
    def dev_splits(self) -> list[str]:
        """The labelled splits that are reported."""
        return [s for s in self.splits if s.startswith("dev")]

    @property
    def test_splits(self) -> list[str]:
        """The unlabelled splits that are predicted."""
        return [s for s in self.splits if s.startswith("test")]


def find_task(name: str, hub: Hub | None = None) -> tuple[TaskSpec, Path | None]:
    """A GLUE task by name, any set of the hub, or a user's own task by its YAML file, with the folder of that file.

    Args:
        name: ``rte``, ``hub:imdb`` or ``path/to/task.yaml``.
        hub: Asked whether it answers where the task is on it.

    Raises:
        KdlabError: There is no such task.
    """
    if name.startswith(PREFIX):
        return load_hub_task(name, offline=not (hub or Hub()).online), None
    if name.lower().endswith((".yaml", ".yml")):
        path = Path(name).expanduser()
        return load_task(path), path.parent
    return get_task(name), None


def choose_source(spec: TaskSpec, base: Path | None, profile: str, data_dir: str | None, hub: Hub) -> Source:
    """Chooses the source of the data under a profile.

    Args:
        spec: The task.
        base: Folder of a user's own task file; None for a GLUE task.
        profile: ``auto`` tries ``--data-dir``, the hub's cache, the hub, and then the embedded corpus; ``paper`` never
            takes the embedded corpus; ``embedded`` takes nothing else.
        data_dir: ``--data-dir``.
        hub: Contacted only where the choice depends on it.

    Raises:
        KdlabError: The profile allows none of the available sources.
    """
    if base is not None:
        return Source("files", str(data_dir or base))
    if spec.hub is not None and not spec.folder and spec.name not in TASKS:
        if data_dir is not None:
            raise KdlabError(f"--data-dir {data_dir}: {spec.name} comes from the hub, so leave it out.")
        return Source("hub", "/".join(filter(None, spec.hub)))
    if profile == "embedded":
        if data_dir is not None:
            raise KdlabError(
                f"--profile embedded uses the embedded corpus, and --data-dir {data_dir} names another: leave one out "
                "(the embedded encoder on your own data is --teacher embedded)."
            )
        return Source("embedded", f"grammar {embedded.VERSION}")
    if data_dir is not None:
        if not Path(data_dir).expanduser().is_dir():
            raise KdlabError(f"There is no folder {data_dir}: --data-dir is a folder with GLUE's RTE/, SST-2/, ….")
        return Source("local", data_dir)
    name = "/".join(spec.hub or ())
    if hub_cached(spec):
        return Source("hub", f"{name} (cached)")
    if hub.online:
        return Source("hub", name)
    if profile == "paper":
        raise KdlabError(
            f"--profile paper needs {name} from the hub, which is not in its cache and can't be reached: "
            "connect once, or give --data-dir FOLDER in GLUE's layout."
        )
    return Source("embedded", f"grammar {embedded.VERSION}", "no --data-dir was given and the hub can't be reached")


def load_data(
    spec: TaskSpec,
    source: Source,
    hub: Hub,
    limit_train: str | None,
    selection: str,
    holdout: float,
    seed: int,
    wishes: Mapping[str, SplitWish] = NO_WISHES,
) -> TaskData:
    """Reads, limits and splits a task's examples; one seed gives teacher and student the same splits.

    Args:
        spec: The task.
        source: From ``choose_source``.
        hub: Whether it answers.
        limit_train: ``10%``, ``1%`` or ``500``; None takes all.
        selection: ``holdout`` carves the split that chooses checkpoints out of train; ``dev`` selects on dev.
        holdout: Fraction that is carved out; 0 carves nothing out, and dev is only watched.
        seed: The split seed.
        wishes: Further splits that a method asks for, by name.

    Raises:
        KdlabError: A file, row, amount or wish is invalid.
    """
    loaded = _load(spec, source, hub, seed)
    splits, notes = dict(loaded.splits), list(loaded.notes)
    leftover = splits[TRAIN].take([])
    if limit_train is not None:
        total = len(splits[TRAIN])
        splits[TRAIN], leftover = limit_and_rest(splits[TRAIN], limit_train, seed)
        notes.append(f"train limited to {len(splits[TRAIN])} of {total} examples (seed {seed})")
    select_on = next(s for s in splits if s.startswith("dev"))
    if selection == HOLDOUT and holdout:
        remedy = "set data.selection=dev, which holds nothing out, or add an example of it to the training data"
        with naming(_file_of(spec, source)):
            train, held_out = carve(splits[TRAIN], holdout, seed, _HOLDOUT_AT_MOST, spec.labels, remedy)
        splits = {TRAIN: train, HOLDOUT: held_out, **{k: v for k, v in splits.items() if k != TRAIN}}
        select_on = HOLDOUT
    for name, wish in wishes.items():
        splits[name], origin = _granted(name, wish, splits, leftover, spec, source, hub, seed)
        notes.append(f"{name}: {len(splits[name]):,} rows for the method, {origin}")
    return TaskData(spec, source, splits, select_on, tuple(notes))


def with_augmented(task: TaskData, file: str) -> TaskData:
    """The data with the examples of a file of ``kdlab augment`` behind its own training rows.

    Raises:
        KdlabError: The file can't be read, or was made of other rows.
    """
    more = read_augmented(Path(file).expanduser(), task.spec, task.fingerprints[TRAIN])
    train = joined(task.splits[TRAIN], more.examples)
    makers = ", ".join(more.manifest.get("augmenters", ()))
    note = f"train with {len(more.examples):,} examples of {file} besides (made by {makers}); the teacher's has none"
    return replace(task, splits={**task.splits, TRAIN: train}, notes=(*task.notes, note), augmented=more, before=task)


def _file_of(spec: TaskSpec, source: Source) -> str:
    """What the training examples are read from, for messages."""
    return str(Path(source.where) / spec.files[TRAIN]) if source.kind == "files" else f"{spec.name}, {source.where}"


@contextmanager
def naming(where: str) -> Iterator[None]:
    """Puts a place in front of what is raised inside."""
    try:
        yield
    except KdlabError as error:
        raise KdlabError(f"{where}: {error}") from error


def _granted(
    name: str,
    wish: SplitWish,
    splits: dict[str, Examples],
    leftover: Examples,
    spec: TaskSpec,
    source: Source,
    hub: Hub,
    seed: int,
) -> tuple[Examples, str]:
    """A split that a method wants, and where it comes from; a carved one is taken out of train where it stands."""
    if name in splits or name.startswith((DEV, TEST)):
        raise ValueError(f"a method's split can't be called {name}: there is one already, or it would be reported")
    if isinstance(wish, LeftoverRows):
        if not len(leftover):
            raise KdlabError(
                f"The method wants unlabelled rows, and --limit-train leaves none over of {spec.name}: give a part of "
                "the training data, such as --limit-train 10%."
            )
        return replace(leftover, labels=None), "left over by --limit-train, without their labels"
    if isinstance(wish, CarvedRows):
        with naming(_file_of(spec, source)):
            splits[TRAIN], carved = carve(splits[TRAIN], wish.fraction, seed, labels=spec.labels)
        return carved, "carved out of train"
    if isinstance(wish, OtherTaskRows):
        return _other_rows(wish, spec, source, hub)
    raise ValueError(f"kdlab knows no rows of kind {type(wish).__name__}")


def _other_rows(wish: OtherTaskRows, spec: TaskSpec, source: Source, hub: Hub) -> tuple[Examples, str]:
    """The training rows of another task, with the indices of this task's labels, and where they come from."""
    other, base = find_task(wish.task, hub)
    folder = wish.data_dir or (source.where if source.kind == "local" else None)
    own = choose_source(other, base, "embedded" if source.embedded else "auto", folder, hub)
    if own.embedded and not source.embedded:
        raise KdlabError(
            f"{wish.setting}={wish.task}: its data is not on this machine and the hub can't be reached, and rows of "
            "the embedded corpus don't go into a run on real data: give its folder, or a task file."
        )
    rows = _load(other, own, hub, 0).splits[TRAIN]
    origin = f"of {other.name} ({own.kind}: {own.where})"
    if (other.text_pair is None) != (spec.text_pair is None):
        raise KdlabError(
            f"{wish.setting}={wish.task}: one of {other.name} and {spec.name} has pairs and the other single texts: "
            "name another task."
        )
    if spec.regression and other.regression:
        return rows, origin
    meaning = {plain(a): name for a, name in _worded(spec).items()} | {plain(name): name for name in spec.labels}
    label_map = merge_labels(spec.labels, meaning, other.labels, _worded(other))
    if label_map is None or rows.labels is None:
        raise KdlabError(
            f"{wish.setting}={wish.task}: its labels ({_names(other)}) are not those of "
            f"{spec.name} ({_names(spec)}); other spellings can stand in a task file, as aliases."
        )
    return replace(rows, labels=tuple(label_map.to[int(label)] for label in rows.labels)), origin


def _names(spec: TaskSpec) -> str:
    return listed(spec.labels) if spec.labels else "scores"


def _worded(spec: TaskSpec) -> dict[str, str]:
    """A task's other spellings of labels without numbers, which mean something else in another task."""
    return {alias: name for alias, name in spec.aliases.items() if not alias.strip().lstrip("+-").isdigit()}


def _load(spec: TaskSpec, source: Source, hub: Hub, seed: int) -> Loaded:
    if source.kind == "files":
        return load_custom(spec, Path(source.where).expanduser(), seed)
    if source.kind == "local":
        return load_glue(spec, Path(source.where).expanduser())
    if source.kind == "hub":
        if spec.name not in TASKS:
            return load_rows(spec, not hub.online, seed)
        return load_hub(spec, offline=not hub.online)
    return Loaded(embedded.generate(spec.name), ())
