"""Lightning loggers of a run: CSV always, Weights & Biases and TensorBoard on request."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from lightning.pytorch.loggers import Logger, TensorBoardLogger, WandbLogger

from kdlab.errors import KdlabError
from kdlab.system.console import Reporter
from kdlab.system.distributed import rank
from kdlab.training.history import history_of


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
    import wandb

    os.environ.setdefault("WANDB_SILENT", "true")
    mode = os.environ.get("WANDB_MODE")
    if mode is None and not os.environ.get("WANDB_API_KEY") and not _logged_in():
        mode = "offline"
        reporter.warn("W&B has no login here, so the run is logged offline: `wandb login`, or `wandb sync` it later.")
    try:
        run = wandb.init(  # now, so that a refusal comes before any training
            name=folder.name,
            dir=folder,
            project=os.environ.get("WANDB_PROJECT", project),
            mode=mode,  # type: ignore[arg-type]
            config=config,
        )
    except (wandb.Error, ValueError) as e:  # the latter for a WANDB_… variable that it can't read
        raise KdlabError(
            f"W&B refuses the run ({str(e)[:300].rstrip('.')}): mend that, or set WANDB_MODE=offline."
        ) from e
    run.define_metric("trainer/global_step")
    run.define_metric("*", step_metric="trainer/global_step", step_sync=True)
    return WandbLogger(save_dir=folder, experiment=run)


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


def finish_loggers(loggers: Sequence[Logger], figures: dict[str, float], chosen: dict[str, float], step: int) -> None:
    """Writes the closing figures and closes every logger.

    Args:
        loggers: From ``make_loggers``.
        figures: ``dev/accuracy``, ``teacher/dev/accuracy`` and the like.
        chosen: Metric that chose the checkpoint and its value there: W&B's summary, by which sweeps are searched, holds
            this value and not the last epoch's.
        step: Optimiser steps made.
    """
    for logger in loggers:
        logger.log_metrics(figures, step=step)
        logger.save()
        logger.finalize("success")
        if isinstance(logger, WandbLogger):
            logger.experiment.summary.update(chosen)
            logger.experiment.finish()
