"""Lightning loggers of a run: CSV always, Weights & Biases and TensorBoard on request."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from lightning.pytorch.loggers import Logger, TensorBoardLogger, WandbLogger

from kdlab.errors import KdlabError
from kdlab.system.console import Reporter
from kdlab.system.distributed import rank
from kdlab.system.foreign import door
from kdlab.system.shown import shown
from kdlab.training.history import CSVHistory, history_of


def make_loggers(
    names: Sequence[str], folder: Path, config: dict[str, Any], reporter: Reporter, project: str = "kdlab"
) -> list[Logger]:
    """The loggers of one run.

    Args:
        names: Among ``csv``, ``wandb``, ``tensorboard``; CSV is there in any case.
        folder: The run's folder; everything is written below it.
        config: The whole configuration as a plain dictionary; W&B gets it once, at the start.
        reporter: Told where W&B works offline.
        project: W&B's project, unless ``WANDB_PROJECT`` names one.
    """
    loggers: list[Logger] = [history_of(folder)]
    if rank() != 0:
        return loggers
    if "tensorboard" in names:
        loggers.append(TensorBoardLogger(folder, name=None, version="tensorboard"))
    if "wandb" in names:
        loggers.append(_wandb(folder, config, reporter, project))
    return loggers


def _wandb(folder: Path, config: dict[str, Any], reporter: Reporter, project: str) -> WandbLogger:
    mode = os.environ.get("WANDB_MODE")
    with _asking_wandb():
        import wandb

        if mode is None and not os.environ.get("WANDB_API_KEY") and not _logged_in():
            mode = "offline"
            reporter.warn(
                "W&B has no login here, so the run is logged offline: `wandb login`, or `wandb sync` it later."
            )
        run = wandb.init(
            name=shown(folder.name),
            dir=folder,
            project=os.environ.get("WANDB_PROJECT", project),
            mode=mode,  # type: ignore[arg-type]
            config=_visible(config),
        )
        run.define_metric("trainer/global_step")
        run.define_metric("*", step_metric="trainer/global_step", step_sync=True)
        return WandbLogger(save_dir=folder, experiment=run)


@contextmanager
def _asking_wandb() -> Iterator[None]:
    """For code that asks W&B for something: what it refuses, in whatever form, becomes one sentence."""
    os.environ.setdefault("WANDB_SILENT", "true")
    online = os.environ.get("WANDB_MODE") not in ("offline", "disabled", "dryrun")
    advice = "mend that, often a WANDB_… variable" + (", or set WANDB_MODE=offline" * online)
    with door("W&B", advice, "refuses the run"):
        yield


def check_loggers(names: Sequence[str]) -> None:
    """Has W&B read its settings, so that what it refuses of them is said before the teacher is trained.

    Args:
        names: Among ``csv``, ``wandb``, ``tensorboard``.

    Raises:
        KdlabError: It refuses a ``WANDB_…`` variable.
    """
    if "wandb" not in names or rank() != 0:
        return
    with _asking_wandb():
        import wandb

        wandb.Settings().update_from_env_vars(dict(os.environ))


def _visible(value: Any) -> Any:
    """Settings whose texts can be sent: a path may hold bytes that are no UTF-8."""
    if isinstance(value, dict):
        return {key: _visible(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_visible(inner) for inner in value]
    return shown(value) if isinstance(value, str) else value


def _logged_in() -> bool:
    """Whether W&B finds a key for its server: in its settings, or in the user's netrc."""
    import netrc

    import wandb

    settings = wandb.setup().settings
    try:
        held = netrc.netrc(os.environ.get("NETRC")).authenticators(urlsplit(settings.base_url).hostname or "")
    except (OSError, netrc.NetrcParseError):
        held = None
    return bool(settings.api_key) or held is not None


def finish_loggers(
    loggers: Sequence[Logger], figures: dict[str, float], chosen: dict[str, float], step: int, reporter: Reporter
) -> None:
    """Writes the closing figures and closes every logger.

    Args:
        loggers: From ``make_loggers``.
        figures: ``dev/accuracy``, ``teacher/dev/accuracy`` and the like.
        chosen: Metric that chose the checkpoint and its value there: W&B's summary, by which sweeps are searched, holds
            this value and not the last epoch's.
        step: Optimiser steps made.
        reporter: Hears of one that could not be closed; the run's record does not depend on it.
    """
    for logger in loggers:
        try:
            with door(type(logger).__name__, "the run's record is whole", "could not be closed"):
                logger.log_metrics(figures, step=step)
                logger.save()
                logger.finalize("success")
                if isinstance(logger, WandbLogger):
                    logger.experiment.summary.update(chosen)
                    logger.experiment.finish()
        except KdlabError as e:
            if isinstance(logger, CSVHistory):
                raise
            reporter.warn(str(e))
