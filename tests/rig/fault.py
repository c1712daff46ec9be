"""What a fault is, and how one is declared."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.rig.trial import Trial

Cause = Callable[[Trial], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A kind of fault, what holds while it lasts and after it, and the bounds of both."""

    name: str
    guarantee: str
    """What holds although the fault happens."""
    cause: Cause
    """Causes the fault, and repairs it before it returns."""
    rest_within: float
    """Seconds from the fault's end until no work is left."""
    silence_within: float
    """Longest time without an acknowledged send while it lasts, in seconds."""
    settings: dict[str, str] = field(default_factory=dict)
    """Settings of PostgreSQL."""
    environment: dict[str, str] = field(default_factory=dict)
    """Environment of the API's workers."""
    write_code: Callable[[Path], None] | None = None
    """Writes, into a folder, other code that migrates the database and that the workers run."""
    is_between_clients_and_api: bool = False
    """Whether clients reach the API through proxies."""
    find_reason_unavailable: Callable[[], str | None] = lambda: None
    """Says why this machine cannot cause it; None when it can."""
    is_about_realtime: bool = False
    """Whether it is about the realtime server: then it runs once with each kind of server."""
    is_continuous: bool = True
    """Whether each device still receives every event while it is subscribed."""


def fault(name: str, **options: Any) -> Callable[[Cause], Fault]:
    """Make a function a fault; its docstring is the guarantee.

    Options: the fields of `Fault`, times in seconds.
    """

    def declare(cause: Cause) -> Fault:
        guarantee = " ".join((cause.__doc__ or "").split())
        return Fault(name=name, guarantee=guarantee, cause=cause, **options)

    return declare
