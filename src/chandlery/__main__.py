"""`python -m chandlery`: the same as `chandlery`."""

import sys

from chandlery.config.cli import main

if __name__ == "__main__":
    sys.exit(main())
