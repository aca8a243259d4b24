"""pytest: the small trained model of the golden tests, and their settings."""

from verif.golden.conftest import trained_on_digits

__all__ = ["trained_on_digits"]
