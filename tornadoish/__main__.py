"""``python -m tornadoish``: see ``cli``."""

import sys

from tornadoish.cli import main

if __name__ == "__main__":
    sys.exit(main())
