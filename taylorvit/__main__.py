"""The command line `taylorvit`, also `python -m taylorvit`."""

import sys

__all__ = ["main"]


def main(argv=None):
    """Runs the command line `argv` (`sys.argv` if left out); returns the exit status."""
    from taylorvit.commands import fpga, gen, golden

    words = sys.argv[1:] if argv is None else argv
    name = words[0] if words else ""
    for floor in (fpga, golden):
        if name in floor.NAMES:
            return floor.main(words)
    return gen.main(words)


if __name__ == "__main__":
    sys.exit(main())
