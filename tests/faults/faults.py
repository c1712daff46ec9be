"""All faults, in the order in which they are brought about."""

# Each puts its own into the catalogue; the order here is theirs.
from tests.faults import process_faults  # isort: skip
from tests.faults import link_faults  # isort: skip
from tests.faults import realtime_faults  # isort: skip
from tests.faults import lock_faults  # isort: skip
from tests.faults import load_faults  # isort: skip
from tests.faults import machine_faults  # isort: skip
from tests.faults import release_faults  # isort: skip
from tests.faults.catalogue import CATALOGUE, Fault  # isort: skip

__all__ = [
    "ALL",
    "link_faults",
    "load_faults",
    "lock_faults",
    "machine_faults",
    "process_faults",
    "realtime_faults",
    "release_faults",
]

ALL: tuple[Fault, ...] = tuple(CATALOGUE)
