"""What is there: an accelerator found by its registers, without a configuration of it."""

from taylorvit.rtl.control.host_view import LAYOUT, VIEW_REGISTERS, HostView

from .errors import WrongBoard

__all__ = ["READ_AFTER_RESET", "check_identification", "differences", "view_of"]

READ_AFTER_RESET = {name: LAYOUT[name].offset for name in ("ID", "VERSION", *VIEW_REGISTERS)}
"""Registers by which an accelerator is known, if they are read before any is written: name -> byte address."""

_VERSION = LAYOUT["VERSION"]


def check_identification(words, where):
    """Checks ID and VERSION among `words` (register name -> value); raises `WrongBoard`.

    Registers of another minor version may mean something else; those of another patch level do not.
    """
    identification = LAYOUT["ID"].reset
    if words["ID"] != identification:
        raise WrongBoard(f"register ID on {where} must be {identification:#010x}, not {words['ID']:#010x}: "
                         "what answers is no TaylorViT accelerator")  # fmt: skip
    ours, theirs = ([_VERSION[name].of(word) for name in ("MAJOR", "MINOR", "PATCH")]
                    for word in (_VERSION.reset, words["VERSION"]))  # fmt: skip
    if theirs[:2] != ours[:2]:
        raise WrongBoard(f"version of the accelerator on {where} must be {ours[0]}.{ours[1]}.x, as this program's, not "
                         f"{'.'.join(map(str, theirs))}: build and load its bitstream anew")  # fmt: skip


def view_of(words, name, where):
    """The `HostView` that `words` (register name -> value) describe, labelled `name`.

    Raises `WrongBoard` if no accelerator can be like that.
    """
    try:
        return HostView.from_registers(words, name)
    except ValueError as error:
        raise WrongBoard(f"accelerator on {where} must be one that can be built: {error}") from None


def differences(words, view, expected):
    """How what is there differs from the `HostView` `expected`: "PATCH is 1, not 0", "ROWS is 4, not 16", ..."""
    ours, theirs = (_VERSION["PATCH"].of(word) for word in (_VERSION.reset, words["VERSION"]))
    return [*([f"PATCH is {theirs}, not {ours}"] if theirs != ours else []), *view.differences(expected)]
