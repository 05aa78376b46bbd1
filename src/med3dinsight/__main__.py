"""``python -m med3dinsight`` is the ``med3dinsight`` command."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
