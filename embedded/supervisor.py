"""Runs PostgreSQL and the other parts together: all of them, or none.

One thread waits for all that can happen (a line of output, the end of a process, a signal), so
there are no races in this module.
"""

import errno
import http.client
import selectors
import signal
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import psycopg

from embedded.children import Child, Command, Part
from embedded.folder import RunError, RunFolder
from embedded.postgres import PostgresError, PostgresServer
from embedded.terminal import DIM, Terminal

READY_WITHIN = 60.0
PARTS_STOP_WITHIN = 3.0  # PostgreSQL's stop takes at most 6.5 more: ten seconds in all
STOP_SIGNALS = {
    signal.SIGINT: "Ctrl-C",
    signal.SIGTERM: "SIGTERM",
    signal.SIGHUP: "The terminal was closed",
}


@dataclass(frozen=True)
class Plan:
    """What to run, as data.

    `commands` prepare the database; parts that do not need it prepared start at the same time.
    `welcome` gets the output of the commands. `published` names the variables in the run folder.
    """

    root: Path
    environment: Mapping[str, str]
    database_url: str | None
    commands: Sequence[Command]
    parts: Sequence[Part]
    published: Sequence[str]
    welcome: Callable[[Mapping[str, str]], str]


class _StopRequested(Exception):  # noqa: N818 - not an error
    """A signal or a closed output requests the stop; the message says which."""


class Supervisor:
    """One run of a plan, from the lock to the last process."""

    def __init__(self, plan: Plan, terminal: Terminal) -> None:
        self.plan = plan
        self.terminal = terminal
        self.folder = RunFolder(plan.root / ".data")
        self._environment = dict(plan.environment)
        self._postgres: PostgresServer | None = None
        self._children: list[Child] = []
        self._signal: signal.Signals | None = None
        self._selector = selectors.DefaultSelector()

    def run(self) -> int:
        """Run until a signal (returns 0) or a failure (returns 1); no process is left."""
        code = 1
        with self._signals_waking():
            try:
                with self.folder.locked():
                    try:
                        self._start()
                        self._watch()
                    except _StopRequested as request:
                        code = 0
                        self.terminal.say(f"\n{request}: stopping.")
                    finally:
                        self._stop()
            except (RunError, PostgresError) as error:
                self.terminal.complain(error)
        return code

    def _start(self) -> None:
        self.folder.end_leftovers()
        for part in self.plan.parts:
            check_port(part)
        self._environment["DATABASE_URL"] = self._start_database()
        commands = [self._spawn(command) for command in self.plan.commands]
        parts = [self._spawn(part) for part in self.plan.parts if not part.starts_prepared]
        outputs = self._finish(commands)
        parts += [self._spawn(part) for part in self.plan.parts if part.starts_prepared]
        self._await_ready(parts)
        published = {name: self._environment.get(name) for name in self.plan.published}
        self.folder.publish({name: value for name, value in published.items() if value})
        self.terminal.say(self.plan.welcome(outputs))

    def _start_database(self) -> str:
        """Start the embedded PostgreSQL, unless the plan has the address of another one."""
        given = self.plan.database_url
        if given:
            try:
                psycopg.connect(given, connect_timeout=5).close()
            except psycopg.Error as error:
                why = str(error).strip().splitlines()[-1]
                raise RunError(f"The PostgreSQL of DATABASE_URL cannot be used: {why}") from error
            return given
        if not (self.folder.path / "postgres").exists():
            self.terminal.say("Making a new database in .data/ …")
        self._postgres = PostgresServer.start(self.folder.path, while_waiting=self._check)
        return self._postgres.url()

    def _spawn(self, described: Command | Part) -> Child:
        self._check()
        shared = self._environment
        own = described.environment(shared) if isinstance(described, Part) else {}
        try:
            child = Child(described, {**shared, **own}, self.plan.root)
        except OSError as error:
            raise RunError(f"{described.name} does not start: {error}.") from error
        self._children.append(child)
        self._selector.register(child, selectors.EVENT_READ, child)
        self.folder.record({child.name: child.process.pid for child in self._children})
        return child

    def _finish(self, commands: list[Child]) -> dict[str, str]:
        """Wait until the commands have succeeded; return the output of each."""
        while any(command.is_alive() for command in commands):
            self._wait(0.5)
            self._check()
        for command in commands:
            self._read(command)
            if command.process.returncode != 0:
                raise RunError(f"{command.ending()}.", details=command.lines)
            self._children.remove(command)
        return {command.name: "\n".join(command.lines) for command in commands}

    def _await_ready(self, parts: list[Child]) -> None:
        deadline = time.monotonic() + READY_WITHIN
        waiting = list(parts)
        while waiting:
            self._wait(0.05)
            self._check()
            waiting = [part for part in waiting if not is_ready(part.described)]
            if waiting and time.monotonic() > deadline:
                raise RunError(f"{waiting[0].name} is not ready after {READY_WITHIN:.0f} seconds.")

    def _watch(self) -> None:
        while True:
            self._wait(None)
            self._check()

    def _check(self) -> None:
        """Raise if the run must end: a signal, a part that ended, or a closed output."""
        if self._signal is not None:
            raise _StopRequested(STOP_SIGNALS[self._signal])
        if self.terminal.closed:
            raise _StopRequested("The output was closed")
        server = self._postgres
        if server is not None and (code := server.process.poll()) is not None:
            log = server.log.read_text(encoding="utf-8", errors="replace").splitlines()
            raise RunError(f"PostgreSQL ended by itself (exit code {code}).", details=log[-5:])
        for child in self._children:
            if isinstance(child.described, Part) and not child.is_alive():
                self._read(child)
                raise RunError(f"{child.ending()}: stopping the rest.", details=child.lines)

    def _wait(self, seconds: float | None) -> None:
        """Wait until something happens, and print the output of the parts."""
        for key, _ in self._selector.select(seconds):
            if isinstance(key.data, Child):
                self._read(key.data)
            elif isinstance(key.fileobj, socket.socket):
                key.fileobj.recv(4096)

    def _read(self, child: Child) -> None:
        lines, more = child.read_lines()
        if isinstance(child.described, Part):
            for line in lines:
                self.terminal.pass_on(child.name, child.described.style, line)
        if not more and child.fileno() in self._selector.get_map():
            self._selector.unregister(child)

    def _stop(self) -> None:
        """End the parts, then PostgreSQL, so that the parts can write until their end."""
        running = [child for child in self._children if child.is_alive()]
        for signum, seconds in (signal.SIGTERM, PARTS_STOP_WITHIN), (signal.SIGKILL, 0.5):
            deadline = time.monotonic() + seconds
            for child in running:
                child.send(signum)
            while any(child.is_alive() for child in running) and time.monotonic() < deadline:
                self._wait(0.05)
        if self._postgres is not None:
            self._postgres.stop()
        self.folder.forget()
        if running or self._postgres:
            kept = " The data is kept in .data/." if self._postgres else ""
            self.terminal.say(self.terminal.paint(f"Everything is stopped.{kept}", DIM))

    @contextmanager
    def _signals_waking(self) -> Iterator[None]:
        """Make `select` return at a signal, and at the end of a child process."""
        receiver, sender = socket.socketpair()
        receiver.setblocking(False)
        sender.setblocking(False)
        self._selector.register(receiver, selectors.EVENT_READ)
        previous = {signum: signal.signal(signum, self._note) for signum in STOP_SIGNALS}
        previous[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda *_: None)
        before = signal.set_wakeup_fd(sender.fileno(), warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(before)
            for signum, handler in previous.items():
                signal.signal(signum, handler)
            self._selector.close()
            receiver.close()
            sender.close()

    def _note(self, signum: int, _frame: FrameType | None) -> None:
        self._signal = signal.Signals(signum)


def check_port(part: Part) -> None:
    """Raise RunError if the part cannot listen on its port."""
    try:
        address = socket.getaddrinfo(part.host, part.port, type=socket.SOCK_STREAM)[0]
        with socket.socket(address[0], socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address[4])
            probe.listen(1)
    except socket.gaierror as error:
        raise RunError(f"HOST={part.host} is no address of this machine.") from error
    except OSError as error:
        why = "is in use" if error.errno == errno.EADDRINUSE else f"is refused ({error.strerror})"
        raise RunError(
            f"Port {part.port} on {part.host} {why}, and {part.name} needs one: "
            f"free it, or choose another with {part.port_variable}=<number>."
        ) from error


def is_ready(described: Command | Part) -> bool:
    """Request the health of a part; return True for a 200."""
    if isinstance(described, Command):
        return True
    connection = http.client.HTTPConnection(dial(described.host), described.port, timeout=2)
    try:
        connection.request("GET", described.health)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def dial(host: str) -> str:
    """Return the address to connect to for a part that listens on `host`."""
    return {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
