"""Histories with one thing wrong: all that was declared, in the order of the modules."""

from tests.history import (  # noqa: F401 - to be declared
    planted_changes,
    planted_devices,
    planted_messages,
    planted_power,
    planted_streams,
)
from tests.history.planting import PLANTED, Planted

__all__ = ["PLANTED", "Planted"]
