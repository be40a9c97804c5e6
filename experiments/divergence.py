"""``python -m experiments.divergence``, the former name of ``kdlab.reports.divergence``, keeps working."""

import sys

from kdlab.reports.divergence import main

if __name__ == "__main__":
    sys.exit(main())
