"""What a host knows of an accelerator: what its registers tell, and nothing else.

A driver that finds an accelerator has no configuration of it and needs none: sizes and limits of a job are constants in
registers, and TIMEOUT tells its limit by its value after a reset. A view is a record of them, whose fields have the
names and meanings of those of the configuration. So a function that needs only some of them takes either.
"""

from dataclasses import fields
from typing import NamedTuple

__all__ = ["Place", "RegisterView", "in_range"]


class Place(NamedTuple):
    """Where a number of a view stands, and what it can be.

    Attributes:
        register (str): the register.
        field (str): the field there.
        least (int): smallest value that can be.
        most (int | None): largest one; None if the field's width is the limit.
    """

    register: str
    field: str
    least: int = 1
    most: int | None = None

    def read(self, words, layout):
        """The value that registers give.

        Args:
            words (dict[str, int]): values of registers by name.
            layout (RegisterMap): where their fields are.

        Raises:
            ValueError: it cannot be.
        """
        value = layout[self.register][self.field].of(words[self.register])
        return in_range(value, self.field, self.register, self.least, self.most)


class RegisterView:
    """Base of the views, which are frozen data classes.

    Attributes:
        layout (RegisterMap): where registers and their fields are, which is the same in every configuration.
        places (dict[str, Place]): by field of the view; fields that are not in it a view reads in its own way.
        labels (dict[str, str]): what `differences` calls those other fields.
    """

    layout = None
    places = {}
    labels = {}

    @classmethod
    def of(cls, config):
        """What a host would see of an accelerator built from `config`."""
        return cls(**{field.name: getattr(config, field.name) for field in fields(cls)})

    @classmethod
    def from_registers(cls, words, name):
        """The view that registers give.

        Args:
            words (dict[str, int]): values of the registers of the view by name, read after a reset.
            name (str): label of the view.

        Raises:
            ValueError: no accelerator can be like that.
        """
        values = {attribute: place.read(words, cls.layout) for attribute, place in cls.places.items()}
        return cls(name=name, **values, **cls.decoded(words, values))

    @classmethod
    def decoded(cls, words, values):
        """The fields that are no numbers of `places`; by default there are none.

        Args:
            words (dict[str, int]): values of registers by name.
            values (dict[str, int]): the fields of `places`.

        Raises:
            ValueError: no accelerator can be like that.
        """
        return {}

    def to_mapping(self):
        """The fields as a plain dictionary."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def differences(self, other):
        """How it differs from another view, by the names of the registers' fields: "ROWS is 4, not 16", ..."""
        names = {attribute: place.field for attribute, place in self.places.items()}
        names |= self.labels | other.labels
        mine, theirs = self.to_mapping(), other.to_mapping()
        return [
            f"{field} is {mine.get(attribute, 'none')}, not {theirs.get(attribute, 'none')}"
            for attribute, field in names.items()
            if mine.get(attribute) != theirs.get(attribute)
        ]


def in_range(value, field, register, least, most):
    """The value of a field, if it is in its range."""
    if value < least or most is not None and value > most:
        rule = f"at least {least}" if most is None else f"in {least}..{most}"
        raise ValueError(f"{field} in register {register} must be {rule}, not {value!r}")
    return value
