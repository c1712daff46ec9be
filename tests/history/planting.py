"""How a fault is planted in a history, and which check must name it.

Each function that is declared makes one thing wrong in a draft of a correct history. The check
named first must fail; those in `also` may, as they see the same from their side.
"""

from collections.abc import Callable
from dataclasses import dataclass

from tests.history.draft import Draft
from tests.history.recorder import Record

Spoil = Callable[[Draft], None]


@dataclass(frozen=True, slots=True)
class Planted:
    """A fault to plant in a history."""

    name: str
    check: str
    also: frozenset[str]
    spoil: Spoil

    def plant(self, records: list[Record]) -> list[Record]:
        """Return the history with the fault in it; the records given stay as they are."""
        draft = Draft(records)
        self.spoil(draft)
        return draft.finish()


PLANTED: list[Planted] = []


def caught_by(check: str, *also: str) -> Callable[[Spoil], Spoil]:
    """Declare the check that catches what a function makes wrong."""

    def declare(spoil: Spoil) -> Spoil:
        PLANTED.append(Planted(spoil.__name__, check, frozenset(also), spoil))
        return spoil

    return declare
