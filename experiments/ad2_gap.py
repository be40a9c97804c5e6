"""``python -m experiments.ad2_gap``, the former name of ``experiments.ad2.gap``, keeps working."""

import sys

from experiments.ad2.gap import main

if __name__ == "__main__":
    sys.exit(main())
