"""``python kill_driver.py POINT COUNT kdlab-words…``: runs kdlab and kills it at a point of its work.

With SIGKILL, or with the signal that ``KILL_WITH`` names.
"""

import os
import signal
import sys

import torch

from kdlab import cache, checkpointing, history, inference
from kdlab.methods import base
from kdlab.results import record

SIGNAL = signal.Signals[os.environ.get("KILL_WITH", "SIGKILL")]


def _die_at(owner, name, count, after=False):
    """Replaces a function by one whose count-th call ends the process before, or after, its work."""
    whole, calls = getattr(owner, name), [0]

    def wrapped(*args, **kwargs):
        calls[0] += 1
        if calls[0] == count and not after:
            os.kill(os.getpid(), SIGNAL)
        result = whole(*args, **kwargs)
        if calls[0] == count:
            os.kill(os.getpid(), SIGNAL)
        return result

    setattr(owner, name, wrapped)


def _half_written(count):
    """A checkpoint of which half is on the disk when the process dies."""
    whole, calls = checkpointing.Checkpoints._save, [0]

    def wrapped(self, trainer, file, weights_only):
        calls[0] += 1
        if calls[0] == count:
            part = file.with_name(f".{file.name}.part")
            trainer.save_checkpoint(part, weights_only=weights_only)
            part.write_bytes(part.read_bytes()[: part.stat().st_size // 2])
            os.kill(os.getpid(), SIGNAL)
        whole(self, trainer, file, weights_only)

    checkpointing.Checkpoints._save = wrapped


POINTS = {
    "step": lambda n: _die_at(base.DistillModule, "on_train_batch_start", n),
    "batch-end": lambda n: _die_at(base.DistillModule, "on_train_batch_end", n, after=True),
    "validation": lambda n: _die_at(base.DistillModule, "validation_step", n),
    "validated": lambda n: _die_at(base.DistillModule, "on_validation_epoch_end", n, after=True),
    "half": _half_written,
    "saved": lambda n: _die_at(checkpointing.Checkpoints, "_save", n, after=True),
    "epoch-end": lambda n: _die_at(checkpointing.Checkpoints, "on_train_epoch_end", n, after=True),
    "history": lambda n: _die_at(history.CSVHistory, "log_metrics", n, after=True),
    "entry": lambda n: _die_at(cache, "_to_disk", n),
    "predict": lambda n: _die_at(inference, "eval_loader", n),
    "predictions": lambda n: _die_at(record.RunFolder, "write_predictions", n, after=True),
    "record": lambda n: _die_at(record.RunFolder, "write", n),
    "never": lambda n: None,
}


if __name__ == "__main__":
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job's parent has it ignored
    from kdlab.cli import main

    POINTS[sys.argv[1]](int(sys.argv[2]))
    sys.exit(main(sys.argv[3:]))
