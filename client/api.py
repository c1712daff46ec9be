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

It raises an `OSError` (`TimeoutError` is one) where no answer came, and has a time limit of its
own: 10 s is plenty.
"""
PAGE = 200
"""The largest page of the API."""
_REPEATED = {408, 425, 429}


class DeviceEndedError(Exception):
    """The device is refused, or has met an error of its own, and does nothing more."""


class UnexpectedAnswerError(DeviceEndedError):
    """The API answered with a status that no repeating mends, such as 401."""

    def __init__(self, path: str, status: int) -> None:
        super().__init__(f"{status} for {path}")
        self.status = status


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long to wait before a read is repeated: full jitter, so that a herd spreads.

    The nth wait is anything up to `first` × 2ⁿ seconds, and at most `most`.
    """

    first: float = 0.1
    most: float = 5.0

    def delays(self) -> Iterator[float]:
        """Return the waits, in seconds, without end."""
        limit = self.first
        while True:
            yield random.uniform(0, limit)  # noqa: S311 - it spreads clients, it guards nothing
            limit = min(self.most, limit * 2)


class Api:
    """Repeats each read until there is an answer; 404 is one, and is told as None."""

    def __init__(self, read: Read, backoff: Backoff) -> None:
        self._read = read
        self._backoff = backoff

    async def answer(self, path: str) -> tuple[int, Any]:
        """Return the first answer that repeating would not mend."""
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
        """Return what is there, or None for 404.

        Errors: `UnexpectedAnswerError`.
        """
        status, body = await self.answer(path)
        if status == 404:
            return None
        if status != 200:
            raise UnexpectedAnswerError(path, status)
        return dict(body)

    async def list(self, path: str, *, most: int | None = None) -> list[Json] | None:
        """Return a list's entries, page by page, or None for 404; `most` are enough.

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
        """Return what is there, asked for once: for callers who repeat by themselves.

        Errors: `ConnectionError` where repeating may help, else `UnexpectedAnswerError`.
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
    """Return an address of the API without its host, which may be another than the caller's."""
    parts = urlsplit(address)
    return f"{parts.path}?{parts.query}"
