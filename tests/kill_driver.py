"""``python kill_driver.py POINT COUNT kdlab-words…``: runs kdlab and kills it at a point of its work.

With SIGKILL, or with the signal that ``KILL_WITH`` names; ``KILL_WITH=ENOSPC`` leaves it alive on a disk that is full
from that point on, where a file is being written.
"""

import errno
import os
import signal
import sys
import threading
import types
from pathlib import Path

import torch
from safetensors import SafetensorError
from transformers import PreTrainedModel

from kdlab.data import encoding
from kdlab.evaluation import predict as inference
from kdlab.methods import base
from kdlab.pipeline import attack_progress, teacher
from kdlab.results import record
from kdlab.system import cache, files
from kdlab.training import checkpoints as checkpointing
from kdlab.training import history, writer


def _end(error=None):
    """What happens at the point."""
    how = os.environ.get("KILL_WITH", "SIGKILL")
    if how == "ENOSPC":
        raise error or OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    os.kill(os.getpid(), signal.Signals[how])


def _die_at(owner, name, count, after=False):
    """Replaces a function by one whose count-th call ends the process before, or after, its work."""
    whole, calls = getattr(owner, name), [0]

    def wrapped(*args, **kwargs):
        calls[0] += 1
        if calls[0] == count and not after:
            _end()
        result = whole(*args, **kwargs)
        if calls[0] == count:
            _end()
        return result

    setattr(owner, name, wrapped)


def _half_written(count):
    """A checkpoint of which half is on the disk when the process dies or the disk is full."""

    def half_way():
        _end(RuntimeError("PytorchStreamWriter failed writing file data/0: file write failed"))

    _at_half_of_checkpoint(count, half_way)


def _while_writing(count):
    """The process dies two steps behind one before which a checkpoint was handed over, of which half is written."""
    begun, stepped, steps = threading.Event(), threading.Event(), [0]
    whole = base.DistillModule.on_train_batch_end

    def half_way():
        begun.set()
        stepped.wait(20)
        _end()

    def after_batch(self, *args):
        whole(self, *args)
        if begun.is_set():
            steps[0] += 1
            if steps[0] == 2:
                stepped.set()
                threading.Event().wait()  # the writer's thread ends the process

    def do_not_wait(self):
        if not begun.is_set():
            wait(self)

    wait = writer.CheckpointWriter.wait
    writer.CheckpointWriter.wait = do_not_wait  # for it, as the next checkpoint that is due would
    base.DistillModule.on_train_batch_end = after_batch
    _at_half_of_checkpoint(count, half_way)


def _settled_step(count):
    """The count-th step is begun, and what was handed over before it is written."""
    writer.CheckpointWriter.write = lambda self, content, file: writer._write(content, file)
    _die_at(base.DistillModule, "on_train_batch_start", count)


def _at_half_of_checkpoint(count, half_way):
    """Calls a function when half of the count-th checkpoint is written."""
    whole, calls = torch.save, [0]

    def wrapped(content, file):
        calls[0] += 1
        whole(content, file)
        if calls[0] == count:
            file.flush()
            file.truncate(file.tell() // 2)
            half_way()

    writer.torch = types.SimpleNamespace(save=wrapped)


def _half_weights(count):
    """A model's folder whose weights are written by half."""
    whole, calls = PreTrainedModel.save_pretrained, [0]

    def wrapped(self, folder, *args, **kwargs):
        calls[0] += 1
        whole(self, folder, *args, **kwargs)
        if calls[0] == count:
            file = Path(folder) / "model.safetensors"
            file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
            _end(SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)"))

    PreTrainedModel.save_pretrained = wrapped


def _half_array(count):
    """An array of which half is written."""
    whole, calls = files.write_array, [0]

    def wrapped(file, array):
        calls[0] += 1
        whole(file, array)
        if calls[0] == count:
            file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
            with files.writing(file):
                _end(OSError(f"{array.size} requested and {array.size // 2} written"))

    encoding.write_array = teacher.write_array = wrapped


WORK = {  # what a process does, by the functions that it is in; the innermost counts
    "os.replace": "rename",
    "replace": "rename",
    "rename": "rename",
    "fsync": "write",
    "write_atomic": "write",
    "write_array": "write",
    "settle": "write",
    "save_checkpoint": "write",
    "save_pretrained": "write",
    "_build": "write",
    "validation_step": "validation",
    "on_validation_epoch_end": "validation",
    "training_step": "step",
    "optimizer_step": "step",
    "backward": "step",
    "predict": "prediction",
    "make_plan": "plan",
}


def _at_moment(seconds):
    """Dies so many seconds from now, wherever that is; says on standard error in what kind of work."""
    main = threading.get_ident()

    def die():
        frame, names = sys._current_frames()[main], []
        while frame is not None:
            names.append(frame.f_code.co_name)
            frame = frame.f_back
        what = next((WORK[name] for name in names if name in WORK), "other work")
        os.write(2, f"killed amid: {what}\n".encode())
        os.kill(os.getpid(), signal.SIGKILL)

    timer = threading.Timer(seconds, die)
    timer.daemon = True
    timer.start()


def _close():
    """One of the standard streams is not there, as with ``>&-``."""
    closed = int(os.environ["CLOSED"])
    os.close(closed)
    setattr(sys, {1: "stdout", 2: "stderr"}[closed], None)


def _umask():
    """The user's umask; kdlab reads it when it is imported, which has been done here."""
    os.umask(int(os.environ["UMASK"], 8))
    files._PERMISSIONS = files._permissions()


POINTS = {
    "step": lambda n: _die_at(base.DistillModule, "on_train_batch_start", n),
    "settled-step": _settled_step,
    "batch-end": lambda n: _die_at(base.DistillModule, "on_train_batch_end", n, after=True),
    "validation": lambda n: _die_at(base.DistillModule, "validation_step", n),
    "validated": lambda n: _die_at(base.DistillModule, "on_validation_epoch_end", n, after=True),
    "half": _half_written,
    "thread": _while_writing,
    "weights": _half_weights,
    "array": _half_array,
    "fsync": lambda n: _die_at(os, "fsync", n),
    "saved": lambda n: _die_at(checkpointing.Checkpoints, "_save", n, after=True),
    "epoch-end": lambda n: _die_at(checkpointing.Checkpoints, "on_train_epoch_end", n, after=True),
    "history": lambda n: _die_at(history.CSVHistory, "log_metrics", n, after=True),
    "entry": lambda n: _die_at(cache, "settle", n, after=n % 2 == 0),
    "predict": lambda n: _die_at(inference, "eval_loader", n),
    "predictions": lambda n: _die_at(record.RunFolder, "write_predictions", n, after=True),
    "record": lambda n: _die_at(record.RunFolder, "write", n),
    "moment": lambda n: None,
    "encode": lambda n: _die_at(encoding, "write_array", n),
    "attacked": lambda n: _die_at(attack_progress.AttackProgress, "add", n, after=True),
    "closed": lambda n: _close(),
    "umask": lambda n: _umask(),
    "never": lambda n: None,
}


def run(words):
    """Runs kdlab, to be ended at a point.

    Args:
        words: Name of the point, which of its calls, and the words of kdlab.
    """
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job's parent has it ignored
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # and nohup this one
    from kdlab.cli import main

    if words[0] == "moment":
        _at_moment(float(words[1]))
    else:
        POINTS[words[0]](int(words[1]))
    return main(words[2:])


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
