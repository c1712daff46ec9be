"""Planted defects: ways to make one thing wrong in a correct history, each for one check."""

from tests.history.planted import (
    thin_runs,
    wrong_changes,
    wrong_devices,
    wrong_messages,
    wrong_streams,
)
from tests.history.planted.planting import Planted

__all__ = ["PLANTED", "Planted"]

_MODULES = (wrong_changes, wrong_devices, wrong_messages, thin_runs, wrong_streams)

PLANTED: tuple[Planted, ...] = tuple(
    value for module in _MODULES for value in vars(module).values() if isinstance(value, Planted)
)
