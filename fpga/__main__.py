"""`python -m fpga`."""

import signal
import sys

from .cli import main

__all__ = ["main"]

if __name__ == "__main__":
    # Terminated is interrupted: a place and route that nobody waits for any more would go on for its ten minutes.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main())
