"""What an accelerator is, by its registers alone, without its configuration."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from taylorvit.rtl.control import registers as attention
from taylorvit.rtl.control.description import RegisterMap
from taylorvit.rtl.network.control import registers as network

from .errors import WrongBoard

__all__ = ["Hardware"]

# Value of register ID -> what answers.
_ACCELERATORS = {
    attention.IDENTIFICATION: "an attention accelerator, for `taylorvit run --input` or, in Python, TaylorVit",
    network.IDENTIFICATION: "a network accelerator, for `taylorvit run --model` or, in Python, TaylorVitNetwork",
}


@dataclass(frozen=True, kw_only=True)
class Hardware:
    """One kind of accelerator, as a driver recognizes it.

    Attributes:
        layout (RegisterMap): where registers and their fields are, which is the same in every configuration.
        view (Any): class of the record of what registers tell, `HostView` or `NetworkView`.
        view_registers (tuple[str, ...]): names of the registers that it is read from, after a reset.
        register_map (Callable): makes the registers of a view.
        beat_bytes (Callable): bytes of a beat of the input streams of a view.
    """

    layout: RegisterMap
    view: Any
    view_registers: tuple[str, ...]
    register_map: Callable[[Any], RegisterMap]
    beat_bytes: Callable[[Any], int]

    @cached_property
    def read_after_reset(self):
        """Registers that tell what an accelerator is, if they are read before any is written: name -> byte address."""
        return {name: self.layout[name].offset for name in ("ID", "VERSION", *self.view_registers)}

    def checked(self, words, where):
        """The registers that tell what an accelerator is, if it is one of this kind and version.

        In another minor version, registers may mean something else; in another patch level they mean the same.

        Args:
            words (Mapping[str, int | None]): name of each of `read_after_reset` -> value, None if it cannot be read.
            where (str): name of the port.

        Returns:
            Mapping[str, int]: the same.

        Raises:
            WrongBoard: what answers is no such accelerator, or one of another version.
        """
        expected = self.layout["ID"].reset
        if words["ID"] != expected and words["ID"] in _ACCELERATORS:
            raise WrongBoard(
                f"register ID on {where} must be {expected:#010x}, not {words['ID']:#010x}: this is "
                f"{_ACCELERATORS[words['ID']]}"
            )
        if missing := [name for name, word in words.items() if word is None]:
            raise WrongBoard(
                f"accelerator on {where} must have the registers of this program's version, "
                f"but has no {', '.join(missing)}"
            )
        if words["ID"] != expected:
            raise WrongBoard(
                f"register ID on {where} must be {expected:#010x}, not {words['ID']:#010x}: "
                "this is no TaylorViT accelerator"
            )
        ours, theirs = self._versions(words)
        if theirs[:2] != ours[:2]:
            raise WrongBoard(
                f"version of the accelerator on {where} must be {ours[0]}.{ours[1]}.x, that of this program, "
                f"not {'.'.join(map(str, theirs))}: build and load its bitstream anew"
            )
        return words

    def view_of(self, words, name, where):
        """The accelerator that registers describe.

        Args:
            words (Mapping[str, int]): register name -> value.
            name (str): what to call it.
            where (str): name of the port.

        Returns:
            HostView | NetworkView: the accelerator.

        Raises:
            WrongBoard: no such accelerator can be built.
        """
        try:
            return self.view.from_registers(words, name)
        except ValueError as error:
            raise WrongBoard(f"accelerator on {where} must be one that can be built: {error}") from None

    def differences(self, words, view, config):
        """How an accelerator differs from the one expected.

        Args:
            words (Mapping[str, int]): register name -> value.
            view (HostView | NetworkView): the accelerator that they describe.
            config (AcceleratorConfig | NetworkConfig): of the accelerator expected.

        Returns:
            list[str]: "PATCH is 1, not 0", "ROWS is 4, not 16", for example.
        """
        (*_ours, ours), (*_theirs, theirs) = self._versions(words)
        patch = [f"PATCH is {theirs}, not {ours}"] if theirs != ours else []
        return [*patch, *view.differences(self.view.of(config))]

    def _versions(self, words):
        """(major, minor, patch) of this program and of the accelerator."""
        version = self.layout["VERSION"]
        return [
            [version[name].of(word) for name in ("MAJOR", "MINOR", "PATCH")]
            for word in (version.reset, words["VERSION"])
        ]
