"""`python -m senet_landmark COMMAND`: the command line without its installed script."""

import sys

from senet_landmark.cli.app import main

if __name__ == "__main__":
    sys.exit(main())
