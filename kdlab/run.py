"""``python -m kdlab.run``: parse, plan, run, record, print.

Importing this module imports neither torch nor lightning, so that ``--help`` answers at once.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    pass


def main(argv: Sequence[str] | None = None) -> int:
    """``python -m kdlab.run …``, the same as ``kdlab run …``."""
    from kdlab.cli import main as cli

    return cli(["run", *(sys.argv[1:] if argv is None else argv)])


if __name__ == "__main__":
    sys.exit(main())
