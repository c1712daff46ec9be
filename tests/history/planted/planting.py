"""A planted defect: what it makes wrong in a history, and which check must find it."""

from collections.abc import Callable
from dataclasses import dataclass

from tests.history.draft import Draft
from tests.history.recorder import Record
from tests.history.verdict import Check

Spoil = Callable[[Draft], None]


@dataclass(frozen=True, slots=True)
class Planted:
    """A defect to plant in a history.

    `check` must find it; the checks in `also` may, because the same defect breaks them too.
    """

    name: str
    check: Check
    also: frozenset[Check]
    spoil: Spoil

    def plant(self, records: list[Record]) -> list[Record]:
        """Return a copy of the history with the defect in it."""
        draft = Draft(records)
        self.spoil(draft)
        return draft.finish()


def caught_by(check: Check, *also: Check) -> Callable[[Spoil], Planted]:
    """Make a function that spoils a correct history a planted defect."""

    def declare(spoil: Spoil) -> Planted:
        return Planted(spoil.__name__, check, frozenset(also), spoil)

    return declare
