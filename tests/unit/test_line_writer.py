"""Lines are written in order, in the background, and nobody waits for their reader."""

import fcntl
import os
from collections.abc import Iterator

import pytest

from app import line_writer
from app.line_writer import LineWriter
from app.request_log import read_request_id

PIPE_BYTES = 4096


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """Return both ends of a pipe that holds few bytes: read, write."""
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    yield reading, writing
    os.close(reading)
    os.close(writing)


def read(descriptor: int, size: int) -> bytes:
    """Return so many bytes, or fail by the test's timeout."""
    found = b""
    while len(found) < size:
        found += os.read(descriptor, size - len(found))
    return found


@pytest.mark.parametrize("blocking", [True, False])
def test_lines_arrive_whole_and_in_order(pipe: tuple[int, int], *, blocking: bool) -> None:
    """More lines than the pipe holds arrive as they were given, whatever the descriptor is."""
    reading, writing = pipe
    os.set_blocking(writing, blocking)
    writer = LineWriter(writing, lambda _: None)
    lines = [b"%d\n" % number for number in range(5000)]

    for line in lines:
        writer.write(line)

    assert read(reading, sum(map(len, lines))) == b"".join(lines)


def test_what_nobody_reads_is_dropped_and_counted(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Writing never waits; the number of lines written and dropped is the number given."""
    monkeypatch.setattr(line_writer, "LINES_MAX", 100)
    reading, writing = pipe
    reported: list[int] = []
    writer = LineWriter(writing, reported.append)
    line = b"x" * 255 + b"\n"
    given = 1000

    for _ in range(given):
        writer.write(line)
    assert not writer.flush(0.2)  # the thread is stuck: the pipe is full

    found = read(reading, 100 * len(line))
    while not reported:
        os.set_blocking(reading, False)
        try:
            found += os.read(reading, 65536)
        except BlockingIOError:
            writer.flush(0.01)
    assert found.count(b"\n") + sum(reported) == given


def test_flushed_lines_are_written(pipe: tuple[int, int]) -> None:
    """After `flush` they are with the reader, without the wait for more of them."""
    reading, writing = pipe
    writer = LineWriter(writing, lambda _: None)
    writer.write(b"last\n")

    assert writer.flush(5)

    os.set_blocking(reading, False)
    assert os.read(reading, 100) == b"last\n"


def test_a_reader_that_has_gone_stops_nothing() -> None:
    """A closed pipe loses the lines, and the process goes on."""
    reading, writing = os.pipe()
    os.close(reading)
    writer = LineWriter(writing, lambda _: None)
    writer.write(b"lost\n")

    assert writer.flush(5)
    os.close(writing)


def test_new_request_ids_are_distinct() -> None:
    """Each request without an id of its own gets another one, of 32 hexadecimal digits."""
    ids = [read_request_id([]) for _ in range(1000)]

    assert len(set(ids)) == len(ids)
    assert all(len(request_id) == 32 and int(request_id, 16) for request_id in ids)
