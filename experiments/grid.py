"""``python -m experiments.grid …``, the former name of ``kdlab experiment …``, keeps working."""

import sys

from kdlab.cli import main

if __name__ == "__main__":
    sys.exit(main(["experiment", *sys.argv[1:]]))
