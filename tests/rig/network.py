"""A network of its own for a process, with a link to it that can be cut.

    with NetworkNamespace() as network:
        with FaultProxy.in_thread(target, host=network.host_address) as relay:
            process = network.start([...])  # reaches the host by that address, and nothing else
        network.cut()

A process within gets no sign of either fault: no reset, no refusal, no "host unreachable". (The
host itself is refused when it connects to the namespace.) A stream that survives a fault goes on
with its next retransmission, which may come after as much time again as the fault has lasted. A
socket that was opened outside and is inherited stays outside: an API that is given its listener can
still be reached, and only the connections that it opens itself are cut.

Needs root and the programs of iproute2 and util-linux.
"""

import contextlib
import fcntl
import functools
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

from embedded.processes import die_with_parent, find_identity

NAMES = Path("/run/netns")
LOCK = Path("/run/besedka-networks.lock")
NAME = re.compile(r"besedka-(?P<pid>\d+)-(?P<index>\d+)")
MOST = 1 << 14  # networks of four addresses in 10.203.0.0/16


class NetworkUnavailableError(Exception):
    """This machine does not allow making a network; the message says why."""


class NetworkNamespace:
    """A network with two addresses, the host's end and the namespace's; `with` removes it."""

    def __init__(self) -> None:
        self._index = -1
        self._is_cut = self._is_black_hole = False

    @property
    def host_address(self) -> str:
        """The address on which the host is reached from within."""
        return _address(self._index, 1)

    @property
    def address(self) -> str:
        """The address of the namespace."""
        return _address(self._index, 2)

    @property
    def name(self) -> str:
        """The name; it contains the process id, so that the leftovers of killed runs are found."""
        return f"besedka-{os.getpid()}-{self._index}"

    @property
    def prefix(self) -> list[str]:
        """The command that runs another command within; pid and `preexec_fn` keep their effect."""
        return ["nsenter", f"--net={NAMES / self.name}", "--"]

    def start(self, command: list[str], **options: Any) -> subprocess.Popen[bytes]:
        """Start a command within; it is killed when the calling thread ends.

        `options` are Popen's.
        """
        return subprocess.Popen(
            [*self.prefix, *command],
            preexec_fn=die_with_parent(signal.SIGKILL),  # noqa: PLW1509 - it takes no lock
            **options,
        )

    def cut(self) -> None:
        """Take the link down: both ends lose their carrier, and what is sent is lost."""
        if not self._is_cut:
            _ip(f"link set {_link(self._index)} down")
            self._is_cut = True

    def black_hole(self) -> None:
        """Lose what is sent, either way, while the link stays up.

        The host gets a blackhole route to the namespace, and so accepts nothing from there.
        """
        if not self._is_black_hole:
            _ip(f"route add blackhole {self.address}/32")
            self._is_black_hole = True

    def heal(self) -> None:
        """Repair the link."""
        if self._is_black_hole:
            _ip(f"route del blackhole {self.address}/32")
        if self._is_cut:
            _ip(f"link set {_link(self._index)} up", _neighbour(self._index, 2))
        self._is_cut = self._is_black_hole = False

    def __enter__(self) -> Self:
        """Make the network, after removing those of killed runs.

        Raises NetworkUnavailableError when the system refuses.
        """
        with _alone():
            taken = _remove_stale()
            self._index = next(n for n in range(MOST) if n not in taken)
            try:
                self._make()
            except BaseException:
                _remove(self.name, self._index)
                raise
        return self

    def __exit__(self, *_: object) -> None:
        """Kill what still runs within, and remove the network."""
        _remove(self.name, self._index)

    def _make(self) -> None:
        index, link = self._index, _link(self._index)
        _ip(
            f"netns add {self.name}",
            f"link add name {link} address {_hardware(index, 1)}"
            f" type veth peer name {link} address {_hardware(index, 2)} netns {self.name}",
            f"addr add {_address(index, 1)}/30 dev {link}",
            f"link set {link} up",
            _neighbour(index, 2),
            # Without this, traffic would take the default route when the link is down.
            f"route add blackhole {_address(index, 0)}/30 metric 4096",
        )
        _ip(
            "link set lo up",
            f"addr add {_address(index, 2)}/30 dev {link}",
            f"link set {link} up",
            _neighbour(index, 1),
            within=self.name,
        )


@functools.cache
def find_reason_unavailable() -> str | None:
    """Say why this machine has no such networks; None when it has: one is made and removed."""
    if missing := [name for name in ("ip", "nsenter") if shutil.which(name) is None]:
        return f"no {' and no '.join(missing)} on PATH"
    if os.geteuid() != 0:
        return "only root links a namespace to the host"
    try:
        with NetworkNamespace():
            return None
    except (NetworkUnavailableError, OSError) as error:
        return str(error)


def _ip(*commands: str, within: str | None = None) -> None:
    """Run commands of `ip`, up to the first that fails."""
    done = subprocess.run(
        ["ip", *(["-n", within] if within else []), "-batch", "-"],
        input="\n".join(commands),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise NetworkUnavailableError(f"ip: {done.stderr.strip()}")


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """Let one process at a time choose a network; the lock ends with its process."""
    with LOCK.open("w") as file:  # `ip` locks the folder of the names itself
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _remove_stale() -> set[int]:
    """Remove the networks of ended processes; return the indices of the others."""
    taken = set()
    for path in NAMES.iterdir() if NAMES.is_dir() else ():
        if found := NAME.fullmatch(path.name):
            if find_identity(int(found["pid"])):
                taken.add(int(found["index"]))
            else:
                _remove(path.name, int(found["index"]))
    return taken


def _remove(name: str, index: int) -> None:
    """Remove a network, even if incomplete; the name last, because it reserves the index."""
    listed = subprocess.run(
        ["ip", "netns", "pids", name], capture_output=True, text=True, check=False
    )
    for pid in listed.stdout.split():
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGKILL)
    for command in (
        f"route del blackhole {_address(index, 2)}/32",
        f"route del blackhole {_address(index, 0)}/30 metric 4096",
        f"link del {_link(index)}",
        f"netns del {name}",
    ):
        with contextlib.suppress(NetworkUnavailableError):  # it was never made
            _ip(command)


def _link(index: int) -> str:
    return f"besedka{index}"


def _address(index: int, host: int) -> str:
    return f"10.203.{index >> 6}.{(index & 63) * 4 + host}"


def _hardware(index: int, host: int) -> str:
    return f"02:be:5e:{index >> 8:02x}:{index & 255:02x}:{host:02x}"


def _neighbour(index: int, host: int) -> str:
    """Give the other end's hardware address: over a dead link it could not be looked up."""
    return (
        f"neigh replace {_address(index, host)} lladdr {_hardware(index, host)}"
        f" dev {_link(index)} nud permanent"
    )
