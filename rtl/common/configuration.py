"""What every configuration is: fields that are checked when it is made, from and to a plain mapping."""

from dataclasses import MISSING, asdict, fields

__all__ = ["ConfigError", "Configuration"]


class ConfigError(ValueError):
    """A configuration that cannot be built; the text names the field, its value and the rule."""


class Configuration:
    """Base of the configurations, which are frozen data classes."""

    @classmethod
    def from_mapping(cls, mapping):
        """Builds a configuration from a plain mapping (a parsed TOML file); unknown and missing keys are errors."""
        known = {field.name: field for field in fields(cls)}
        for key in mapping:
            if key not in known:
                raise ConfigError(f"configuration key must be one of {', '.join(known)}, not {key!r}")
        for key, field in known.items():
            if field.default is MISSING and key not in mapping:
                raise ConfigError(f"configuration must have the key {key!r}")
        return cls(**mapping)

    def to_mapping(self):
        """The fields as a plain dictionary, the inverse of `from_mapping`."""
        return asdict(self)

    def _require_range(self, field, low, high):
        value = getattr(self, field)
        if not isinstance(value, int) or isinstance(value, bool):
            raise ConfigError(f"{field} must be an integer, not {value!r}")
        if not low <= value <= high:
            raise ConfigError(f"{field} must be in {low}..{high}, not {value!r}")

    def _require_one_of(self, field, names):
        value = getattr(self, field)
        if not isinstance(value, str) or value not in names:
            raise ConfigError(f"{field} must be one of {', '.join(names)}, not {value!r}")
