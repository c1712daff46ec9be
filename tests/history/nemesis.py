"""Brackets a fault with its records."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.history.recorder import Recorder


class Nemesis:
    """Each fault that starts in a history also stops in it."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    @asynccontextmanager
    async def fault(self, name: str) -> AsyncIterator[None]:
        """Record when a fault starts, and when it stops, however its body ends.

        The body brings the fault about and heals it: what is not healed when it ends would count
        against the time in which everything must work.
        """
        self._recorder.write("fault", name=name, phase="start")
        try:
            yield
        finally:
            self._recorder.write("fault", name=name, phase="stop")
