"""Histories with one thing wrong: all that was declared, in the order of the modules."""

from tests.history import planted_devices, planted_messages  # noqa: F401 - to be declared
from tests.history.planting import PLANTED, Planted

__all__ = ["PLANTED", "Planted"]
