"""Hardware that is looked up by its name, and imported when it is built.

A registry is plain data: a configuration can be read and checked without any hardware, and without Amaranth.
"""

from importlib import import_module

__all__ = ["load"]


def load(where):
    """The class that a text of the form "package.module:Class" names."""
    module, _colon, name = where.partition(":")
    return getattr(import_module(module), name)
