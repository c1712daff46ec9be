"""All faults, in the order in which `make faults` runs them, and those that the tests run."""

from tests.faults import (
    link_faults,
    load_faults,
    lock_faults,
    machine_faults,
    process_faults,
    realtime_faults,
    release_faults,
)
from tests.rig.fault import Fault

_MODULES = (
    process_faults,
    link_faults,
    realtime_faults,
    lock_faults,
    load_faults,
    machine_faults,
    release_faults,
)

ALL: tuple[Fault, ...] = tuple(
    value for module in _MODULES for value in vars(module).values() if isinstance(value, Fault)
)

IN_TEST = {
    "answer of the commit swallowed": (
        "the hardest case of 'nothing lost, nothing doubled': the commit happened, and its answer"
        " did not arrive"
    ),
}
"""The faults that `make test` runs, with the reason: one trial shows that the rig still works."""

IN_TEST_LONG = {
    "API worker killed": "a process dies in the middle of requests, the most common fault",
    "API worker frozen": "a process that neither answers nor dies is found by timeouts alone",
    "PostgreSQL frozen": "the longest outage: no request may wait for longer than five seconds",
    "realtime killed": "the realtime server loses its history: every device must fetch",
    "realtime killed after publishing": "events are published twice, and devices apply them once",
    "rolling restart": "a release must not fail a single request",
    "release before under load": "this code must work beside the code that it replaces",
}
"""The faults that `make test-long` runs besides, with the reason.

`make faults` runs all of them. These take about half a minute each and need no root.
"""


def get_fault(name: str) -> Fault:
    """Return the fault of this name.

    Errors: LookupError.
    """
    for fault in ALL:
        if fault.name == name:
            return fault
    raise LookupError(f"No fault is called {name!r}.")
