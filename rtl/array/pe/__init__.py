"""Processing elements: what the systolic array is made of.

`PES` says which there are; a configuration chooses one by its field `pe`. `rtl.array.pe.base.ProcessingElement` is the
contract that each of them keeps. The hardware of an element is loaded when it is built.
"""

from taylorvit.rtl.common.loading import load

__all__ = ["PES", "processing_element"]

PES = {
    "mac": "taylorvit.rtl.array.pe.mac:MultiplyAccumulate",
}
"""Processing elements by name: as "module:Class"."""


def processing_element(pe, **parameters):
    """Builds a processing element.

    Args:
        pe (str): a key of `PES`.
        **parameters: those of `rtl.array.pe.base.ProcessingElement`.
    """
    return load(PES[pe])(**parameters)
