"""Silences the libraries' own output."""

from __future__ import annotations

import logging
import warnings


def quiet_libraries() -> None:
    """Keeps the libraries' own chatter off the terminal; their errors still come through."""
    for name in ("lightning", "lightning.pytorch", "lightning.fabric", "torch.utils.flop_counter"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"lightning\..*")
    warnings.filterwarnings("ignore", module=r"torch\.optim\.lr_scheduler")
    from transformers.utils import logging as transformers_logging

    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
