"""A part of a test's run: answers the health check, or fails as its arguments say."""

import asyncio
import os
import signal
import sys

import psycopg

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer every request with 200."""
    await reader.readuntil(b"\r\n\r\n")
    writer.write(OK)
    await writer.drain()
    writer.close()


async def serve(port: int, *, stubborn: bool) -> None:
    """Serve until SIGTERM; if `stubborn`, ignore it."""
    end = asyncio.Event()
    noted = (lambda: None) if stubborn else end.set
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, noted)
    async with await asyncio.start_server(answer, "127.0.0.1", port):
        await end.wait()


def main(port: int, habit: str) -> int:
    """Serve until SIGTERM; "stubborn" ignores it, "fatal" ends at once."""
    if habit == "fatal":
        sys.stdout.write("the reason of the death\n")
        return 3
    asyncio.run(serve(port, stubborn=habit == "stubborn"))
    psycopg.connect(os.environ["DATABASE_URL"]).close()  # a part may write until its end
    sys.stdout.write("ended in order\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2]))
