"""The gateway's connections to PostgreSQL."""

import asyncio
import os
import signal

import psycopg
import pytest
import uvloop

from embedded.gateway.link import Link


def test_a_session_that_ends_without_reading_a_statement_is_an_error(database_url: str) -> None:
    """Its socket is then reset, which uvloop does not always report: each statement fails soon."""

    async def lose_session() -> None:
        async with Link.open(database_url) as link:
            ((pid,),) = await link.execute(b"SELECT pg_backend_pid()")
            # A frozen session does not read; when it goes on, it ends first.
            os.kill(int(pid), signal.SIGSTOP)
            executing = asyncio.create_task(link.execute(b"SELECT 1"))
            await asyncio.sleep(0)
            os.kill(int(pid), signal.SIGTERM)
            os.kill(int(pid), signal.SIGCONT)
            async with asyncio.timeout(5):
                with pytest.raises(psycopg.OperationalError):
                    await executing

    async def lose_sessions() -> None:
        for _ in range(20):
            await lose_session()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(lose_sessions())
