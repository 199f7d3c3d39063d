"""`python -m chandlery`: the same as `chandlery`; whoever starts it for a person says what that person types."""

import os
import sys

from chandlery.config.cli import main

if __name__ == "__main__":
    sys.exit(main(program=os.environ.get("CHANDLERY_PROGRAM", "chandlery")))
