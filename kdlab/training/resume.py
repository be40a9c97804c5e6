"""Going on where an earlier process stopped: which phases it finished, and from which checkpoint the next goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kdlab.errors import KdlabError
from kdlab.methods.base import DistillModule
from kdlab.system.console import Reporter
from kdlab.system.distributed import rank
from kdlab.system.foreign import door, read_fields
from kdlab.training.checkpoints import Checkpoints, is_whole, load_checkpoint


def take_up(module: DistillModule, keep: Checkpoints, state: dict[str, Any]) -> None:
    """A phase is done that an earlier process trained: its end becomes the module's."""
    keep.restore(state)
    kept = load_checkpoint(keep.last)
    module.restore_method_state(kept["kdlab"].get("method", {}))
    module.load_weights(kept["state_dict"])


def forget_later(folder: Path, title: str, number: int) -> None:
    """Removes what an earlier process left of later phases: they begin anew behind one that is trained."""
    for old in folder.glob(f"{title}-*") if rank() == 0 else ():
        if int(old.name.removeprefix(f"{title}-").partition("-")[0]) > number:
            old.unlink(missing_ok=True)


def finished_phase(done: Path, keep: Checkpoints, choose: bool, reporter: Reporter) -> dict[str, Any] | None:
    """What an earlier process wrote at the end of a phase; None where it didn't get there, or its files are damaged."""
    if not done.exists():
        return None
    try:
        with door(done, "the phase is trained again"):
            state = read_fields(done, "the phase is trained again")
            keep.restore(state)
            _ = int(state["history_rows"])
        lost = next((f for f in ([keep.best] if choose else []) + [keep.last] if not is_whole(f)), None)
    except KdlabError:
        lost = done
    if lost is None:
        return state
    reporter.warn(f"{lost} is damaged or gone: this phase of the training starts again.")
    keep.forget()
    return None


def goes_on(keep: Checkpoints, reporter: Reporter, title: str) -> bool:
    """Whether the last state is there and whole, and so are the best weights that it knows."""
    if not keep.last.exists():
        return False
    if is_whole(keep.last):
        epoch = keep.best_known_to(load_checkpoint(keep.last))
        if epoch < 0 or is_whole(keep.best_of(epoch)):
            reporter.say(f"  {title}: goes on from {keep.last}")
            return True
        reporter.warn(f"The checkpoint {keep.best_of(epoch)} is damaged or gone: the training starts again.")
    else:
        reporter.warn(f"The checkpoint {keep.last} is damaged: the training starts again.")
    keep.forget()
    return False
