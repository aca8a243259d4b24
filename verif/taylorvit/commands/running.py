"""Runs commands in this process."""

from taylorvit.__main__ import main

__all__ = ["fails", "run"]


def run(capsys, *arguments):
    """(exit status, standard output, standard error) of a command line."""
    status = main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def fails(capsys, *arguments):
    """What a command that cannot be carried out says."""
    status, out, err = run(capsys, *arguments)
    if (status, out, "Traceback" in err) != (2, "", False):
        raise AssertionError(f"command must be refused in one line, not: {status}, {out!r}, {err!r}")
    return err
