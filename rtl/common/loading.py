"""Hardware that is looked up by its name, and imported when it is built.

A registry holds texts, so that nothing is imported for an entry that is not used.
"""

from importlib import import_module

__all__ = ["load"]


def load(where):
    """The class that a text of the form "package.module:Class" names."""
    module, _colon, name = where.partition(":")
    return getattr(import_module(module), name)
