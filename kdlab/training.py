"""Training: the only file that builds a Lightning Trainer. Teachers and students of every method go through ``fit``."""

from __future__ import annotations

import json
import logging
import math
import os
import random
import warnings
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from lightning import Trainer
from lightning.pytorch.loggers import Logger
from lightning.pytorch.strategies import DDPStrategy

from kdlab.cache import write_atomic
from kdlab.checkpointing import Checkpoints, load_checkpoint
from kdlab.console import Reporter
from kdlab.data.glue import GLUEDataModule
from kdlab.data.tasks import TRAIN
from kdlab.distributed import launched, local_world_size, processes, rank, wait, world_size
from kdlab.errors import KdlabError, nearest
from kdlab.history import CSVHistory
from kdlab.methods.base import DistillModule, TrainingConfig
from kdlab.progress import TrainingProgress

PRECISIONS = {
    "auto": "auto",
    "32": "32-true",
    "32-true": "32-true",
    "bf16": "bf16-mixed",
    "bf16-mixed": "bf16-mixed",
    "16": "16-mixed",
    "16-mixed": "16-mixed",
}


@dataclass(frozen=True)
class Hardware:
    """Where training runs, resolved.

    Attributes:
        accelerator: ``cpu`` or ``gpu``.
        devices: How many.
        precision: Lightning's name of it.
    """

    accelerator: str
    devices: int
    precision: str

    @property
    def device(self) -> torch.device:
        """The device of plain forward passes."""
        return torch.device("cuda", torch.cuda.current_device()) if self.accelerator == "gpu" else torch.device("cpu")

    def describe(self) -> str:
        """As the plan says it."""
        name = torch.cuda.get_device_name() if self.accelerator == "gpu" else f"CPU, {torch.get_num_threads()} threads"
        return f"{self.devices} × {name}, precision {self.precision}"


def resolve_hardware(accelerator: str, devices: int, precision: str) -> Hardware:
    """Checks what was asked for against what is there.

    Args:
        accelerator: ``auto``, ``cpu`` or ``gpu`` (``cuda``).
        devices: Number of devices.
        precision: ``auto``, ``32``, ``bf16`` or ``16``; auto is bf16 on GPUs that have it and 32 elsewhere.

    Raises:
        KdlabError: Unknown words, or a GPU asked for and absent.
    """
    known = {"auto": "auto", "cpu": "cpu", "gpu": "gpu", "cuda": "gpu"}
    if accelerator not in known:
        raise nearest(accelerator, known, "accelerator")
    if precision not in PRECISIONS:
        raise nearest(precision, PRECISIONS, "precision")
    chosen = known[accelerator]
    if chosen == "gpu" and not torch.cuda.is_available():
        raise KdlabError(
            f"--accelerator {accelerator} asks for CUDA, but torch {torch.__version__} finds no CUDA device here: "
            "use --accelerator cpu or auto, or install a CUDA build of torch."
        )
    if chosen == "auto":
        chosen = "gpu" if torch.cuda.is_available() else "cpu"
    there = torch.cuda.device_count() if chosen == "gpu" else os.cpu_count() or 1
    if launched():
        devices = processes()
    elif not 1 <= devices <= there:
        raise KdlabError(f"--devices {devices}: there {'is' if there == 1 else 'are'} {there} of kind '{chosen}' here.")
    exact = PRECISIONS[precision]
    if exact == "auto":
        native = chosen == "gpu" and torch.cuda.is_bf16_supported(including_emulation=False)
        exact = "bf16-mixed" if native else "32-true"
    if exact == "16-mixed" and chosen == "cpu":
        raise KdlabError("--precision 16 needs a GPU: use --precision bf16 or 32 on the CPU.")
    return Hardware(chosen, devices, exact)


@dataclass(frozen=True)
class Fitted:
    """How a training ended.

    Attributes:
        metric: Name of the metric that chose the checkpoint (``val/accuracy``).
        value: Its value.
        epoch: Epoch of the chosen checkpoint, from 1.
        steps: Optimiser steps of all phases.
        seconds: Wall time of all phases.
    """

    metric: str
    value: float
    epoch: int
    steps: int
    seconds: float


def quiet_libraries() -> None:
    """Keeps the libraries' own chatter off the terminal; their errors still come through."""
    for name in ("lightning", "lightning.pytorch", "lightning.fabric", "torch.utils.flop_counter"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"lightning\..*")
    warnings.filterwarnings("ignore", module=r"torch\.optim\.lr_scheduler")
    from transformers.utils import logging as transformers_logging

    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()


def seed_all(seed: int) -> None:
    """Seeds Python, NumPy and torch."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def count_steps(examples: int, training: TrainingConfig, epochs: int) -> int:
    """Optimiser steps of a phase."""
    batches = math.ceil(examples / max(training.batch_size // training.accumulate, 1))
    steps = math.ceil(batches / training.accumulate) * epochs
    return min(steps, training.max_steps) if training.max_steps >= 0 else steps


def fit(
    module: DistillModule,
    data: GLUEDataModule,
    training: TrainingConfig,
    hardware: Hardware,
    folder: Path,
    seed: int,
    loggers: Sequence[Logger],
    reporter: Reporter,
    title: str,
) -> Fitted:
    """Trains a module through all its phases and leaves it with the weights that did best on the selection split.

    Where an earlier process left checkpoints of the same training in the folder, it goes on from the last of them and
    ends as if it had never stopped.

    Args:
        module: A method.
        data: Its data.
        training: Epochs, learning rate and the like; a phase may change some.
        hardware: Where.
        folder: Checkpoints go below it.
        seed: Draws everything random in it.
        loggers: Lightning loggers; a ``CSVHistory`` among them is cut back when training goes on.
        reporter: Shows progress.
        title: Whose training it is.
    """
    if training.accumulate > 1 and len(module.players()) > 1:
        raise KdlabError(f"{module.name} steps several players by hand and can't add up gradients: set accumulate=1.")
    seed_all(seed)
    seconds, steps = 0.0, 0
    history = next((logger for logger in loggers if isinstance(logger, CSVHistory)), None)
    fitted: Fitted | None = None
    for number, phase in enumerate(module.phases()):
        epochs = phase.epochs or training.epochs
        total = count_steps(len(data.split(TRAIN)), training, epochs)
        steps += total
        name = f"{title}-{number}-{phase.name}"
        done = folder / "checkpoints" / f"{name}-done.json"
        keep = Checkpoints(
            folder=folder / "checkpoints",
            name=name,
            monitor=f"val/{module.task.monitor}",
            history=history,
            every=training.checkpoint_every,
            check=module.check_finite,
        )
        module.begin_phase(phase, training, total, seed)
        if done.is_file():
            keep.load_state_dict(json.loads(done.read_text(encoding="utf-8")))
        else:
            _fit_phase(module, data, training, epochs, total, hardware, keep, list(loggers), reporter, title)
            if rank() == 0:
                write_atomic(done, json.dumps(keep.state_dict()))
            wait()
        seconds += keep.seconds()
        module.load_weights(load_checkpoint(keep.best if phase.choose else keep.last)["state_dict"])
        fitted = Fitted(keep.monitor, keep.best_value, keep.best_epoch + 1, steps, seconds)
    if fitted is None:
        raise ValueError(f"{module.name} has no phases")
    return fitted


def _fit_phase(
    module: DistillModule,
    data: GLUEDataModule,
    training: TrainingConfig,
    epochs: int,
    total: int,
    hardware: Hardware,
    keep: Checkpoints,
    loggers: list[Logger],
    reporter: Reporter,
    title: str,
) -> None:
    """Trains one phase, from its last checkpoint where there is one."""
    manual = not module.automatic_optimization
    module.after_step = keep.after_step
    trainer = Trainer(
        accelerator=hardware.accelerator,
        devices=local_world_size(),
        num_nodes=world_size() // local_world_size(),
        strategy=_strategy(manual or len(module.phases()) > 1),
        precision=hardware.precision,  # type: ignore[arg-type]
        max_epochs=epochs,
        max_steps=-1 if manual else training.max_steps,
        accumulate_grad_batches=1 if manual else training.accumulate,
        callbacks=[keep, TrainingProgress(reporter, module, title, total, epochs)],
        logger=loggers or False,
        log_every_n_steps=1,  # the module itself writes only every `training.log_every` steps
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=keep.folder,
    )
    going_on = zipfile.is_zipfile(keep.last)
    if going_on:
        reporter.say(f"  {title}: goes on from {keep.last}")
    elif keep.last.exists():
        reporter.warn(f"The checkpoint {keep.last} is damaged: the training starts again.")
    try:
        trainer.fit(module, datamodule=data, ckpt_path=keep.last if going_on else None, weights_only=True)
    except SystemExit as e:  # Lightning's answer to Ctrl-C
        raise KeyboardInterrupt from e


def _strategy(unused: bool) -> str | DDPStrategy:
    """One process, or data parallelism over the processes that are there."""
    if world_size() == 1:
        return "auto"
    # a step of one of several players leaves the others' weights unused, and a phase what another one trains
    return DDPStrategy(find_unused_parameters=unused, gradient_as_bucket_view=True)
