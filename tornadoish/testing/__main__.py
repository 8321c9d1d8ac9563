"""``python -m tornadoish.testing``: see ``runner``."""

import sys

from tornadoish.testing.runner import main

if len(sys.argv) == 1:
    sys.exit("No tests specified")
main()
