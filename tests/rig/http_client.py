"""An HTTP client as a product has it: it knows two API workers and tries them in turn."""

import time
from collections import Counter
from typing import Any
from zlib import crc32

import httpx

from app.draining import LAST_CALL_SECONDS

Json = dict[str, Any]
LONGEST_ANSWER = 5.5
"""Seconds: the service promises an answer within five; the rest is for a busy machine."""

CLOCK_SLACK = 0.05
"""Seconds by which the client may see an answer later than the worker has sent it."""


class NoAnswerError(OSError):
    """There was no answer; `is_unsent` says that the request was certainly not sent."""

    def __init__(self, why: str, *, is_unsent: bool) -> None:
        super().__init__(why)
        self.is_unsent = is_unsent


class Api:
    """Requests of one user; answers that break a promise are noted in `complaints`.

    When a connection is refused, the next worker is tried at once, as a load balancer does.
    `patience` is how long the client waits for an answer, in seconds.
    """

    def __init__(self, urls: list[str], token: str, complaints: list[str]) -> None:
        self.patience = 8.0
        self.times: list[float] = []
        """How many seconds each answered request took."""
        self.may_wait = False
        """Whether a late answer is the fault of the link, and so no complaint."""
        self.failures: list[str] = []
        """Requests that were answered 503 or not at all, or that no worker accepted, and why."""
        self.closed_idle = 0
        """Requests on a connection that its worker closed after it had been idle, see `_try`."""
        self.codes: Counter[str] = Counter()
        """The codes of the 503s."""
        self._urls = urls
        self._next = crc32(token.encode()) % len(urls)
        self._complaints = complaints
        self._answered_at: dict[int, float] = {}
        """When each worker last answered."""
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
        """GET a path, or the URL in a list's `next`; `client.Device` reads with this."""
        if path.startswith("http"):
            path = "/" + path.split("/", 3)[3]
        answer = await self.request("GET", path)
        return answer.status_code, answer.json()

    async def read_all(self, path: str | None) -> list[Json]:
        """GET all pages of a list; each must be answered."""
        found: list[Json] = []
        while path is not None:
            status, page = await self.read(path)
            assert status == 200, f"GET {path}: {status} {page}"
            found += page["results"]
            path = page["next"]
        return found

    async def request(self, method: str, path: str, body: object = None) -> httpx.Response:
        """Send a request to the first worker that accepts it, and return the answer.

        Errors: `NoAnswerError`.
        """
        # The first worker is tried again at the end: during a rolling restart it may have been down
        # at first, and the other one stopped as soon as it was up.
        for _ in [*self._urls, "again"]:
            try:
                return await self._try(method, path, body)
            except NoAnswerError as error:
                self._next += 1
                if not error.is_unsent:
                    raise
        self.failures.append(f"{method} {path}: no worker accepts connections")
        raise NoAnswerError("no worker accepts connections", is_unsent=True)

    async def _try(self, method: str, path: str, body: object) -> httpx.Response:
        """Send a request to the next worker.

        HTTP/1.1 lets a server close an idle connection at any time. A worker that stops does so
        after a second, so a request after a longer pause may meet the end of its connection. That
        is no failure of the service: no answer was begun, and the client sends the request again.
        """
        worker = self._next % len(self._urls)
        url = self._urls[worker] + path
        began = time.monotonic()
        idle = began - self._answered_at.get(worker, began)
        try:
            answer = await self._http.request(method, url, json=body, timeout=self.patience)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise NoAnswerError(repr(error), is_unsent=True) from error
        except httpx.TransportError as error:
            is_closed = isinstance(error, httpx.RemoteProtocolError | httpx.ReadError)
            if is_closed and idle > LAST_CALL_SECONDS - CLOCK_SLACK:
                self.closed_idle += 1
                raise NoAnswerError(repr(error), is_unsent=False) from error
            self.failures.append(f"{method} {path} after {idle:.2f} s idle: {error!r}")
            self._note_late_answer(began, self.failures[-1])
            raise NoAnswerError(repr(error), is_unsent=False) from error
        self._answered_at[worker] = time.monotonic()
        self.times.append(self._answered_at[worker] - began)
        self._note_late_answer(began, f"{method} {path}: {answer.status_code}")
        self._check_failure(answer)
        return answer

    def _note_late_answer(self, began: float, what: str) -> None:
        took = time.monotonic() - began
        if took > LONGEST_ANSWER and not self.may_wait:
            self._complaints.append(f"{what} after {took:.1f} s")

    def _check_failure(self, answer: httpx.Response) -> None:
        """Note a failure that is not a 503 with `Retry-After` and a problem body."""
        if answer.status_code < 500:
            return
        self._next += 1
        self.failures.append(
            f"{answer.request.method} {answer.request.url.path}: {answer.status_code}"
            f" {answer.text[:200]}"
        )
        is_as_promised = (
            answer.status_code == 503
            and "Retry-After" in answer.headers
            and answer.headers["Content-Type"] == "application/problem+json"
        )
        if is_as_promised:
            self.codes[answer.json()["code"]] += 1
        else:
            self._complaints.append(self.failures[-1])
