"""Lightning loggers of a run: CSV always, Weights & Biases and TensorBoard on request."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger, TensorBoardLogger, WandbLogger

from kdlab.console import Reporter
from kdlab.distributed import rank


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
    loggers: list[Logger] = []
    if rank() != 0:
        return loggers
    if "tensorboard" in names:
        loggers.append(TensorBoardLogger(folder, name=None, version="tensorboard"))
    if "wandb" in names:
        loggers.append(_wandb(folder, config, reporter, project))
    return loggers


def _wandb(folder: Path, config: dict[str, Any], reporter: Reporter, project: str) -> WandbLogger:
    os.environ.setdefault("WANDB_SILENT", "true")
    mode = os.environ.get("WANDB_MODE")
    if mode is None and not os.environ.get("WANDB_API_KEY") and not _logged_in():
        mode = "offline"
        reporter.warn("W&B has no login here, so the run is logged offline: `wandb login`, or `wandb sync` it later.")
    logger = WandbLogger(
        name=folder.name,
        save_dir=folder,
        project=os.environ.get("WANDB_PROJECT", project),
        offline=mode in ("offline", "dryrun"),
        config=config,
    )
    _ = logger.experiment  # starts the run now, so that a refusal comes before any training
    return logger


def _logged_in() -> bool:
    """Whether the user's netrc holds a W&B key."""
    import netrc

    host = os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai").split("//")[-1].split("/")[0]
    try:
        return netrc.netrc().authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False


def finish_loggers(loggers: Sequence[Logger], figures: dict[str, float], step: int) -> None:
    """Writes the closing figures (``dev/accuracy``, ``teacher/dev/accuracy``) and closes every logger."""
    for logger in loggers:
        logger.log_metrics(figures, step=step)
        logger.save()
        logger.finalize("success")
        if isinstance(logger, WandbLogger):
            logger.experiment.finish()
