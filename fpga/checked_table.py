"""`CheckedTable`: a table of a TOML file. Each key is taken once, by its rule; a key that is left is an error."""

from types import MappingProxyType

__all__ = ["CheckedTable", "TableError"]


class TableError(ValueError):
    """A key that is missing, unknown or wrong; the text names key and rule."""


class CheckedTable:
    """A table of a TOML file.

    Args:
        content (dict): the table.
        what (str): what it describes, for errors: "board".
        path (str): keys of the tables that it is in, each followed by a dot; "" for the whole file.
    """

    def __init__(self, content, what, path=""):
        self._content = dict(content)
        self._what = what
        self._path = path

    def __contains__(self, key):
        return key in self._content

    def keys(self):
        """The keys that are left.

        Returns:
            tuple[str, ...]: the keys, in the order of the file.
        """
        return tuple(self._content)

    def rest(self):
        """Takes everything that is left, unchecked.

        Returns:
            dict: key -> value.
        """
        content, self._content = self._content, {}
        return content

    def refuse_the_rest(self):
        """Refuses keys that nobody has taken.

        Raises:
            TableError: there is one.
        """
        for key in self._content:
            raise TableError(f"key must be one that a {self._what} has, not {self._path + key!r}")

    def table(self, key):
        """Takes a table.

        Args:
            key (str): its key.

        Returns:
            CheckedTable: the table.

        Raises:
            TableError: it is missing or no table.
        """
        value = self._take(key)
        self._require(isinstance(value, dict), key, "a table", value)
        return CheckedTable(value, self._what, f"{self._path}{key}.")

    def text(self, key, choices=None):
        """Takes a text that is not empty.

        Args:
            key (str): its key.
            choices (Collection[str] | None): the texts allowed; None for any.

        Returns:
            str: the text.

        Raises:
            TableError: it is missing or not such a text.
        """
        value = self._take(key)
        self._require(isinstance(value, str) and value, key, "text", value)
        if choices:
            self._require(value in choices, key, f"one of {', '.join(choices)}", value)
        return value

    def texts(self, key, optional=False):
        """Takes a list of texts, none of them empty.

        Args:
            key (str): its key.
            optional (bool): whether it may be missing.

        Returns:
            tuple[str, ...]: the texts, at least one; () if the key is missing.

        Raises:
            TableError: it is missing or not such a list.
        """
        if optional and key not in self:
            return ()
        value = self._take(key)
        good = isinstance(value, list) and value and all(isinstance(each, str) and each for each in value)
        self._require(good, key, "a list of texts", value)
        return tuple(value)

    def number(self, key, low, high, default=None):
        """Takes an integer.

        Args:
            key (str): its key.
            low (int): the least that is allowed.
            high (int): the largest that is allowed.
            default (int | None): its value if the key is missing; None if it must not be.

        Returns:
            int: the integer.

        Raises:
            TableError: it is missing or not such an integer.
        """
        value = self._take(key, default)
        good = isinstance(value, int) and not isinstance(value, bool) and low <= value <= high
        self._require(good, key, f"an integer in {low}..{high}", value)
        return value

    def power_of_two(self, key, low, high, default):
        """Takes a power of two.

        Args:
            key (str): its key.
            low (int): the least that is allowed.
            high (int): the largest that is allowed.
            default (int): its value if the key is missing.

        Returns:
            int: the power of two.

        Raises:
            TableError: it is no such number.
        """
        value = self.number(key, low, high, default)
        self._require(value & (value - 1) == 0, key, "a power of two", value)
        return value

    def flag(self, key):
        """Takes a flag, which is false if it is missing.

        Args:
            key (str): its key.

        Returns:
            bool: the flag.

        Raises:
            TableError: it is neither true nor false.
        """
        value = self._take(key, False)
        self._require(isinstance(value, bool), key, "true or false", value)
        return value

    def attributes(self, key):
        """Takes a table of texts and integers, which is empty if it is missing.

        Args:
            key (str): its key.

        Returns:
            Mapping[str, str | int]: attribute -> value.

        Raises:
            TableError: it is no such table.
        """
        value = self._take(key, {})
        good = isinstance(value, dict) and all(isinstance(each, str | int) for each in value.values())
        self._require(good, key, "a table of texts and integers", value)
        return MappingProxyType(value)

    def _take(self, key, default=None):
        if key not in self._content and default is None:
            raise TableError(f"{self._what} must have the key {self._path + key!r}")
        return self._content.pop(key, default)

    def _require(self, good, key, rule, value):
        if not good:
            raise TableError(f"{self._path}{key} must be {rule}, not {value!r}")
