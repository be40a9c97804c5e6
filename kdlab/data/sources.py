"""Where a task's examples come from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from kdlab.data import embedded
from kdlab.data.examples import Loaded
from kdlab.data.readers.domain_folder import load_domain, needed_files
from kdlab.data.readers.glue_folder import load_glue
from kdlab.data.readers.hub import go_offline, hub_cached, hub_reachable, load_hub
from kdlab.data.readers.hub_task import PREFIX, load_rows
from kdlab.data.readers.hub_task import load_task as load_hub_task
from kdlab.data.readers.task_file import load_custom, load_task
from kdlab.data.tasks import DOMAIN, TASKS, TRAIN, TaskSpec, get_task
from kdlab.errors import KdlabError


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
        kind: ``files`` (the user's own task), ``local`` (a folder of published files), ``hub`` or ``embedded``.
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


def find_task(name: str, hub: Hub | None = None) -> tuple[TaskSpec, Path | None]:
    """A task by name, any set of the hub, or a user's own task by its YAML file, with the folder of that file.

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


def choose_source(
    spec: TaskSpec, base: Path | None, profile: str, data_dir: str | None, hub: Hub, setting: str = "--data-dir"
) -> Source:
    """Chooses the source of the data under a profile.

    Args:
        spec: The task.
        base: Folder of a user's own task file; None for a GLUE task.
        profile: ``auto`` tries ``--data-dir``, the hub's cache, the hub, and then the embedded corpus; ``paper`` never
            takes the embedded corpus; ``embedded`` takes nothing else.
        data_dir: ``--data-dir``.
        hub: Contacted only where the choice depends on it.
        setting: What names the folder, for messages.

    Raises:
        KdlabError: The profile allows none of the available sources.
    """
    if base is not None:
        return Source("files", str(data_dir or base))
    if spec.hub is not None and not spec.folder and spec.name not in TASKS:
        if data_dir is not None:
            raise KdlabError(f"{setting} {data_dir}: {spec.name} comes from the hub, so leave it out.")
        return Source("hub", "/".join(filter(None, spec.hub)))
    if profile == "embedded":
        if data_dir is not None:
            raise KdlabError(
                f"--profile embedded uses the embedded corpus, and {setting} {data_dir} names another: leave one out "
                "(the embedded encoder on your own data is --teacher embedded)."
            )
        return Source("embedded", f"grammar {embedded.VERSION}")
    if data_dir is not None:
        if not Path(data_dir).expanduser().is_dir():
            what = needed_files(spec) if spec.name in DOMAIN else "GLUE's RTE/, SST-2/, …"
            raise KdlabError(f"There is no folder {data_dir}: {setting} is a folder with {what}.")
        return Source("local", data_dir)
    if spec.hub is None:
        if profile == "paper":
            raise KdlabError(
                f"--profile paper needs {needed_files(spec)}, and {spec.name} is not on the hub: give --data-dir "
                "FOLDER, the folder that holds it."
            )
        reason = f"no --data-dir was given, and {spec.name} is not on the hub"
        return Source("embedded", f"grammar {embedded.VERSION}", reason)
    name = "/".join(spec.hub)
    if hub_cached(spec):
        return Source("hub", f"{name} (cached)")
    if hub.online:
        return Source("hub", name)
    if profile == "paper":
        layout = f"with {needed_files(spec)}" if spec.name in DOMAIN else "in GLUE's layout"
        raise KdlabError(
            f"--profile paper needs {name} from the hub, which is not in its cache and can't be reached: "
            f"connect once, or give --data-dir FOLDER {layout}."
        )
    return Source("embedded", f"grammar {embedded.VERSION}", "no --data-dir was given and the hub can't be reached")


def read_source(spec: TaskSpec, source: Source, hub: Hub, seed: int) -> Loaded:
    """Every example of a task.

    Args:
        spec: The task.
        source: From ``choose_source``.
        hub: Whether it answers.
        seed: Carves parts out of what comes without them.

    Raises:
        KdlabError: A file or a row is invalid.
    """
    if source.kind == "files":
        return load_custom(spec, Path(source.where).expanduser(), seed)
    if source.kind == "local":
        folder = Path(source.where).expanduser()
        return load_domain(spec, folder, seed) if spec.name in DOMAIN else load_glue(spec, folder)
    if source.kind == "hub":
        if spec.name not in TASKS:
            return load_rows(spec, not hub.online, seed)
        return load_hub(spec, offline=not hub.online)
    return Loaded(embedded.generate(spec.name), ())


def file_of(spec: TaskSpec, source: Source) -> str:
    """What the training examples are read from, for messages."""
    return str(Path(source.where) / spec.files[TRAIN]) if source.kind == "files" else f"{spec.name}, {source.where}"


@contextmanager
def naming(where: str) -> Iterator[None]:
    """Puts a place in front of what is raised inside."""
    try:
        yield
    except KdlabError as error:
        raise KdlabError(f"{where}: {error}") from error
