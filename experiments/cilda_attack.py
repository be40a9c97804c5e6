"""``python -m experiments.cilda_attack``, the former name of ``experiments.cilda.attack``, keeps working."""

import sys

from experiments.cilda.attack import main

if __name__ == "__main__":
    sys.exit(main())
