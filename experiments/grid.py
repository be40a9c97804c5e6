"""``python -m experiments.grid``, the former name of ``kdlab.studies.grid``, keeps working."""

import sys

from kdlab.studies.grid import main

if __name__ == "__main__":
    sys.exit(main())
