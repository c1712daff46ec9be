"""HTTP as a product's client does it: two API workers behind one name, tried in turn."""

import time
from collections import Counter
from typing import Any
from zlib import crc32

import httpx

Json = dict[str, Any]
LONGEST_ANSWER = 5.5
"""Seconds: the service promises an answer within five, and the machine may be busy."""


class NoAnswerError(OSError):
    """Nobody answered; `is_unsent` where the request surely never left."""

    def __init__(self, why: str, *, is_unsent: bool) -> None:
        super().__init__(why)
        self.is_unsent = is_unsent


class Api:
    """Requests of one user; whatever is dishonest or late goes to `complaints`.

    A refused connection is tried on the next worker at once, as a balancer does. `patience` is
    how long a client waits for an answer, in seconds.
    """

    def __init__(self, urls: list[str], token: str, complaints: list[str]) -> None:
        self.patience = 8.0
        self.times: list[float] = []
        """Seconds that each request took that was answered."""
        self.may_wait = False
        """Whether a late answer is the link's fault and no complaint."""
        self.failed = 0
        """Requests that were answered 503, not at all, or taken by no worker."""
        self.codes: Counter[str] = Counter()
        """What the 503s said."""
        self._urls = urls
        self._next = crc32(token.encode()) % len(urls)
        self._complaints = complaints
        self._http = httpx.AsyncClient(
            headers={"Authorization": f"Bearer {token}"},
            trust_env=False,
            verify=False,
            limits=httpx.Limits(max_keepalive_connections=4),
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def read(self, path: str) -> tuple[int, Any]:
        """GET a path, or what a list's `next` names; what `client.Device` asks with."""
        if path.startswith("http"):
            path = "/" + path.split("/", 3)[3]
        answer = await self.request("GET", path)
        return answer.status_code, answer.json()

    async def read_all(self, path: str | None) -> list[Json]:
        """GET a list to its end, while nothing is broken."""
        found: list[Json] = []
        while path is not None:
            status, page = await self.read(path)
            assert status == 200, f"GET {path}: {status} {page}"
            found += page["results"]
            path = page["next"]
        return found

    async def request(self, method: str, path: str, body: object = None) -> httpx.Response:
        """Send a request until a worker takes it, and return the answer.

        Errors: `NoAnswerError`.
        """
        for _ in self._urls:
            try:
                return await self._try(method, path, body)
            except NoAnswerError as error:
                self._next += 1
                if not error.is_unsent:
                    raise
        self.failed += 1
        raise NoAnswerError("no worker takes connections", is_unsent=True)

    async def _try(self, method: str, path: str, body: object) -> httpx.Response:
        url = self._urls[self._next % len(self._urls)] + path
        began = time.monotonic()
        try:
            answer = await self._http.request(method, url, json=body, timeout=self.patience)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise NoAnswerError(repr(error), is_unsent=True) from error
        except httpx.TransportError as error:
            self.failed += 1
            self._note_lateness(began, f"{method} {path}: {error!r}")
            raise NoAnswerError(repr(error), is_unsent=False) from error
        self.times.append(time.monotonic() - began)
        self._note_lateness(began, f"{method} {path}: {answer.status_code}")
        self._judge(answer)
        return answer

    def _note_lateness(self, began: float, what: str) -> None:
        took = time.monotonic() - began
        if took > LONGEST_ANSWER and not self.may_wait:
            self._complaints.append(f"{what} after {took:.1f} s")

    def _judge(self, answer: httpx.Response) -> None:
        """A failure is a 503 that says when to come back, and nothing else."""
        if answer.status_code < 500:
            return
        self.failed += 1
        self._next += 1
        is_honest = (
            answer.status_code == 503
            and "Retry-After" in answer.headers
            and answer.headers["Content-Type"] == "application/problem+json"
        )
        if is_honest:
            self.codes[answer.json()["code"]] += 1
        else:
            self._complaints.append(
                f"{answer.request.method} {answer.request.url.path}: {answer.status_code} "
                f"{answer.text[:200]}"
            )
