"""Reading the API until it answers."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from client.reducer import Json

Read = Callable[[str], Awaitable[tuple[int, Any]]]
"""GETs a path (with its query) as the user and returns the status and the JSON.

It raises an `OSError` (`TimeoutError` is one) if there is no answer, and has its own time limit;
10 s is enough.
"""
PAGE = 200
"""The largest page of the API."""
_REPEATED = {408, 425, 429}


class DeviceEndedError(Exception):
    """The device was refused, or failed with an error, and does nothing more."""


class UnexpectedAnswerError(DeviceEndedError):
    """The API answered with a status that a repetition does not change, such as 401."""

    def __init__(self, path: str, status: int) -> None:
        super().__init__(f"{status} for {path}")
        self.status = status


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long to wait before a read is repeated; the waits are random, so that clients spread.

    The nth wait is between 0 and `first` × 2ⁿ seconds, and at most `most` ("full jitter").
    """

    first: float = 0.1
    most: float = 5.0

    def delays(self) -> Iterator[float]:
        """Return the waits, in seconds, without end."""
        limit = self.first
        while True:
            yield random.uniform(0, limit)  # noqa: S311 - it only spreads clients
            limit = min(self.most, limit * 2)


class Api:
    """Repeats each read until there is an answer. 404 is an answer, and is returned as None."""

    def __init__(self, read: Read, backoff: Backoff) -> None:
        self._read = read
        self._backoff = backoff

    async def answer(self, path: str) -> tuple[int, Any]:
        """Return the first answer that a repetition would not change."""
        for delay in self._backoff.delays():
            try:
                status, body = await self._read(path)
            except OSError:
                pass
            else:
                if not _is_worth_repeating(status):
                    return status, body
            await asyncio.sleep(delay)
        raise AssertionError("the waits have no end")

    async def get(self, path: str) -> Json | None:
        """Return the object at this path, or None for 404.

        Errors: `UnexpectedAnswerError`.
        """
        status, body = await self.answer(path)
        if status == 404:
            return None
        if status != 200:
            raise UnexpectedAnswerError(path, status)
        return dict(body)

    async def list(self, path: str, *, most: int | None = None) -> list[Json] | None:
        """Read a list page by page and return its entries, or None for 404.

        With `most`, it stops after the page that has the last of that many entries.

        Errors: `UnexpectedAnswerError`.
        """
        found: list[Json] = []
        address: str | None = f"{path}?limit={min(PAGE, most or PAGE)}"
        while address is not None:
            page = await self.get(address)
            if page is None:
                return None
            found += page["results"]
            is_enough = most is not None and len(found) >= most
            address = None if is_enough or page["next"] is None else _path_of(page["next"])
        return found

    async def get_once(self, path: str) -> Json:
        """Return the object at this path with one request, for callers that repeat it themselves.

        Errors: `ConnectionError` if a repetition may help, else `UnexpectedAnswerError`.
        """
        status, body = await self._read(path)
        if _is_worth_repeating(status):
            raise ConnectionError(f"{status} for {path}")
        if status != 200:
            raise UnexpectedAnswerError(path, status)
        return dict(body)


def _is_worth_repeating(status: int) -> bool:
    return status >= 500 or status in _REPEATED


def _path_of(address: str) -> str:
    """Return an address of the API without its host, which can differ from the caller's."""
    parts = urlsplit(address)
    return f"{parts.path}?{parts.query}"
