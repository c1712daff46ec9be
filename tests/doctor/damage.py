"""What a planted damage is."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Damage:
    """What is done to a database, and all that is found then, with the first example of one."""

    sql: str
    example: dict[str, Any]
    codes: tuple[str, ...]

    @property
    def code(self) -> str:
        """The code that the example is of."""
        return self.codes[0]
