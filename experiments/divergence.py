"""``python -m experiments.divergence …``, the former name of ``kdlab divergence …``, keeps working."""

import sys

from kdlab.cli import main

if __name__ == "__main__":
    sys.exit(main(["divergence", *sys.argv[1:]]))
