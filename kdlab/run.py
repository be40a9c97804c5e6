"""``python -m kdlab.run``: the same as ``kdlab run``.

Importing this module imports neither torch nor lightning, so that ``--help`` answers at once.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """``python -m kdlab.run …``, the same as ``kdlab run …``."""
    from kdlab.cli import main as cli

    return cli(["run", *(sys.argv[1:] if argv is None else argv)])


if __name__ == "__main__":
    sys.exit(main())
