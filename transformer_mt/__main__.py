"""`python -m transformer_mt` is the command `transformer-mt`."""

import sys

from transformer_mt.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
