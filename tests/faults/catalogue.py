"""What a fault is, and the list of all of them."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

from tests.faults.stand import Stand
from tests.faults.workload import Workload


@dataclass(slots=True)
class Trial:
    """What a fault has at hand: the processes, the traffic, and a seeded choice."""

    stand: Stand
    workload: Workload
    random: Random

    def require(self, condition: bool, complaint: str) -> None:  # noqa: FBT001 - as in `assert`
        """Note a promise that was not kept, and go on."""
        if not condition:
            self.workload.complaints.append(complaint)


BringAbout = Callable[[Trial], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A kind of fault and the bounds it is held to; `guarantee` is what holds all the same."""

    name: str
    guarantee: str
    bring_about: BringAbout
    rest_within: float
    """Seconds from the fault's end until nothing is under way any more."""
    silence_within: float
    """Seconds for which no send at all may be acknowledged while it lasts."""
    settings: dict[str, str] = field(default_factory=dict)
    """PostgreSQL's."""
    environment: dict[str, str] = field(default_factory=dict)
    """The API's."""
    is_before_clients: bool = False
    """Whether it is about the link between clients and the API."""
    find_hindrance: Callable[[], str | None] = lambda: None
    """Says why this machine cannot bring it about."""
    is_realtimes: bool = False
    """Whether it is about the realtime server, so that each kind of server meets it."""
    is_quick: bool = True
    """Whether it takes less than half a minute and asks nothing special of the machine."""


CATALOGUE: list[Fault] = []


def fault(name: str, **options: Any) -> Callable[[BringAbout], BringAbout]:
    """Put a function into the catalogue; its docstring is the guarantee.

    Options: the fields of `Fault`, times in seconds.
    """

    def put(bring_about: BringAbout) -> BringAbout:
        guarantee = " ".join((bring_about.__doc__ or "").split())
        CATALOGUE.append(Fault(name=name, guarantee=guarantee, bring_about=bring_about, **options))
        return bring_about

    return put
