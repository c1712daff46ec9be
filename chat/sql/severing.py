"""Ending the wait on a connection whose server may be silent."""

import asyncio
import contextlib
import os
import socket
from collections.abc import Iterator
from typing import Any

import psycopg


def sever(connection: psycopg.AsyncConnection[Any]) -> None:
    """Break the connection's socket, so that the task that waits on it gets an error.

    Cancelling the task would not do: psycopg then asks the server to stop and waits for the answer,
    two times five seconds where the server is silent.
    """
    with (
        contextlib.suppress(OSError, psycopg.OperationalError),  # it was closed before
        socket.socket(fileno=os.dup(connection.fileno())) as twin,
    ):
        twin.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def severed_at(deadline: float, connection: psycopg.AsyncConnection[Any]) -> Iterator[None]:
    """Break the connection's socket if the block is not left by then.

    deadline: on the clock of the event loop, in seconds.
    """
    timer = asyncio.get_running_loop().call_at(deadline, sever, connection)
    try:
        yield
    finally:
        timer.cancel()
