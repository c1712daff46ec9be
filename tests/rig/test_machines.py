"""A cut network, a full disk and a wrong clock: each is real, and each can be repaired."""

import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from embedded.postgres import PostgresServer
from tests.rig import clock, disk, network
from tests.rig.clock import FakeClock
from tests.rig.disk import SmallDisk
from tests.rig.network import NetworkNamespace
from tests.rig.proxy import FaultProxy, find_postgres_socket, through

MOMENT = 0.5
"""Seconds in which an answer would have come."""
LONG = 4
"""Seconds: the kernel reports a neighbour as unreachable after asking for it for three."""

needs_network = pytest.mark.skipif(
    bool(network.find_reason_unavailable()), reason=f"network: {network.find_reason_unavailable()}"
)
needs_disk = pytest.mark.skipif(
    bool(disk.find_reason_unavailable()), reason=f"disk: {disk.find_reason_unavailable()}"
)
needs_clock = pytest.mark.skipif(
    bool(clock.find_reason_unavailable()), reason=f"clock: {clock.find_reason_unavailable()}"
)

DATABASE_USER = """
import sys, psycopg
with psycopg.connect(sys.argv[1], autocommit=True) as connection:
    print(connection.info.backend_pid, flush=True)
    for line in sys.stdin:
        print(*connection.execute("SELECT pg_backend_pid()").fetchone(), flush=True)
"""
CLOCK_READER = """
import sys, time
for line in sys.stdin:
    print(time.time(), time.monotonic(), flush=True)
"""
PARENT = """
import sys, time
from tests.rig.network import NetworkNamespace
with NetworkNamespace() as network:
    network.black_hole()
    print(network.name, network.start(["sleep", "600"]).pid, flush=True)
    time.sleep(600)
"""


class Child:
    """A process that answers each line with a line."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process

    def ask(self) -> None:
        """Send it a line."""
        assert self.process.stdin
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()

    def answers_within(self, seconds: float) -> bool:
        """Wait up to this many seconds for a line, or for the end of the process."""
        assert self.process.stdout
        return bool(select.select([self.process.stdout], [], [], seconds)[0])

    def read(self) -> str:
        """Return the next line that it prints."""
        assert self.process.stdout
        return self.process.stdout.readline().decode().strip()


@contextmanager
def child_of(process: subprocess.Popen[bytes]) -> Iterator[Child]:
    """Use a process until the block ends, and kill it then."""
    with process:
        try:
            yield Child(process)
        finally:
            process.kill()


@needs_network
@pytest.mark.parametrize("fault", ["cut", "black_hole"])
def test_a_partition_stops_a_stream_without_a_sign_and_can_be_repaired(
    database_url: str, fault: str
) -> None:
    """A query has no answer and no error during the partition; afterwards it is answered."""
    with (
        NetworkNamespace() as net,
        FaultProxy.in_thread(find_postgres_socket(database_url), host=net.host_address) as relay,
        child_of(
            net.start(
                [sys.executable, "-c", DATABASE_USER, through(database_url, relay)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
        ) as child,
    ):
        session = child.read()
        child.ask()
        assert child.read() == session != ""

        getattr(net, fault)()
        child.ask()
        assert not child.answers_within(MOMENT)
        net.heal()

        assert child.read() == session
        assert relay.counts.connections == 1


@pytest.mark.slow
@needs_network
@pytest.mark.parametrize("fault", ["cut", "black_hole"])
def test_within_a_partition_connecting_takes_until_the_deadline(fault: str) -> None:
    """A new connection is not refused but lost, and ends only by its own timeout."""
    with NetworkNamespace() as net, socket.create_server((net.host_address, 0)) as listener:
        script = (
            "import socket; socket.create_connection"
            f"({listener.getsockname()}, timeout={LONG}).close()"
        )

        def connect() -> str:
            process = net.start([sys.executable, "-c", script], stderr=subprocess.PIPE)
            return process.communicate(timeout=10)[1].decode()

        assert connect() == ""
        getattr(net, fault)()
        assert connect().strip().endswith("TimeoutError: timed out")
        net.heal()
        assert connect() == ""


@needs_network
def test_the_network_of_a_killed_run_is_removed() -> None:
    """Its processes ended with their parent; the next network removes its name, link and routes."""
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE)
    with child_of(parent) as left:
        name, pid = left.read().split()
        index = int(name.rpartition("-")[2])
        link = socket.if_nametoindex(f"besedka{index}"), f"besedka{index}"
        address = network._address(index, 2)
        assert f"blackhole {address} " in show_routes()
        descriptor = os.pidfd_open(int(pid))
        try:
            parent.kill()
            assert select.select([descriptor], [], [], 10)[0]
        finally:
            os.close(descriptor)

    with NetworkNamespace() as net:
        assert not (network.NAMES / name).exists()
        assert link not in socket.if_nameindex()
        # Another run may have taken the address meanwhile; then the routes are of that run.
        assert net.address != address or f"blackhole {address} " not in show_routes()
        link = socket.if_nametoindex(f"besedka{net._index}"), f"besedka{net._index}"
    assert not (network.NAMES / net.name).exists()
    assert link not in socket.if_nameindex()


def show_routes() -> str:
    """Return the host's routes."""
    return subprocess.run(["ip", "route"], capture_output=True, text=True, check=True).stdout


@needs_disk
def test_a_full_disk_is_an_error_until_space_is_freed(tmp_path: Path) -> None:
    """Only statements that need space fail; once there is space, the same session goes on."""
    grow = "INSERT INTO grown SELECT repeat('x', 1000) FROM generate_series(1, 2000)"
    count = "SELECT count(*) FROM grown"
    with (
        SmallDisk(tmp_path / "disk", 128 << 20) as small,
        PostgresServer.start(small.folder, durable=False) as server,
        psycopg.connect(server.url(), autocommit=True) as connection,
    ):
        connection.execute("CREATE TABLE grown (text text)")
        connection.execute(grow)
        small.fill()
        assert os.statvfs(small.folder).f_bavail == 0
        with pytest.raises(psycopg.errors.DiskFull):
            connection.execute(grow)
        assert connection.execute(count).fetchone() == (2000,)
        small.free()
        connection.execute(grow)
        assert connection.execute(count).fetchone() == (4000,)
    assert list(small.folder.iterdir()) == []


@needs_disk
def test_the_disk_of_a_killed_run_is_unmounted(tmp_path: Path) -> None:
    """The next disk unmounts those of killed runs, in any folder."""
    left = tmp_path / "left behind"
    script = (
        "import os, sys, pathlib; from tests.rig.disk import SmallDisk;"
        "SmallDisk(pathlib.Path(sys.argv[1]), 1 << 20).__enter__(); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", script, str(left)], check=False)
    assert left.is_mount()

    with SmallDisk(tmp_path / "new", 1 << 20) as small:
        assert small.folder.is_mount()
        assert not left.is_mount()
    assert not small.folder.is_mount()


@needs_clock
def test_only_the_time_of_day_jumps(tmp_path: Path) -> None:
    """A running process sees each jump at once in the time of day, and none when it measures."""
    fake = FakeClock(tmp_path)
    process = subprocess.Popen(
        [sys.executable, "-c", CLOCK_READER],
        env=os.environ | fake.environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with child_of(process) as child:
        for seconds, ahead in ((0, 0), (3600, 3600), (-7200, -3600), (3720, 120)):
            fake.jump(seconds)
            child.ask()
            wall, monotonic = map(float, child.read().split())
            assert wall - time.time() == pytest.approx(ahead, abs=5)
            assert monotonic == pytest.approx(time.monotonic(), abs=5)
