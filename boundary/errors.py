"""Errors that a command tells in one line."""

__all__ = ["CommandError", "FileError", "install_command", "reason_of"]


class FileError(ValueError):
    """A file that cannot be read or written; the text names it, what is wrong, and what would be right."""


class CommandError(RuntimeError):
    """What a command cannot do although the request is a good one: a tool fails, a device is silent, a result is bad.

    The text may have further lines, indented, for what a tool said.

    Attributes:
        status (int): exit status of the command.
    """

    status = 2


def reason_of(error: OSError) -> str:
    """What the system says of an error, to be put behind a colon."""
    return (error.strerror or str(error) or type(error).__name__).lower()


def install_command(extra: str) -> str:
    """What to type for the packages of an extra, whether this was installed from a wheel or from a checkout.

    Args:
        extra (str): one of pyproject.toml, or several with commas; empty for what every command needs.
    """
    return f'pip install "taylorvit[{extra}]"' if extra else "pip install taylorvit"
