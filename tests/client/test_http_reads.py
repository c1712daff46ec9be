"""The client's HTTP reads: what is repeated until there is an answer."""

import asyncio
from itertools import islice
from typing import Any

import pytest

from client.api import Api, Backoff, UnexpectedAnswerError

AT_ONCE = Backoff(first=0, most=0)


def answers(*given: int | OSError) -> tuple[Api, list[str]]:
    """Return an API that gives these answers in order, and the list of requested paths."""
    left, asked = list(given), []

    async def read(path: str) -> tuple[int, Any]:
        asked.append(path)
        answer = left.pop(0)
        if isinstance(answer, OSError):
            raise answer
        return answer, {"status": answer}

    return Api(read, AT_ONCE), asked


@pytest.mark.parametrize(
    "trouble", [500, 502, 503, 504, 408, 429, ConnectionRefusedError(), TimeoutError()]
)
def test_a_temporary_failure_is_repeated(trouble: int | OSError) -> None:
    """A service that is down, busy or slow is asked again until it answers."""
    api, asked = answers(trouble, trouble, 200)

    assert asyncio.run(api.get("/here")) == {"status": 200}
    assert asked == ["/here"] * 3


@pytest.mark.parametrize("status", [400, 401, 403, 422])
def test_a_refusal_is_not_repeated(status: int) -> None:
    """Another request would not help, and many would look like an attack."""
    api, asked = answers(status)

    with pytest.raises(UnexpectedAnswerError, match=f"{status} for /here"):
        asyncio.run(api.get("/here"))
    assert len(asked) == 1


def test_404_is_none() -> None:
    """404 is an answer: there is no such room, or it is not the user's."""
    assert asyncio.run(answers(404)[0].get("/here")) is None
    assert asyncio.run(answers(404)[0].list("/here/")) is None


def test_the_waits_grow_and_spread() -> None:
    """Clients that failed together do not return together, and none waits longer than `most`."""
    herd = [list(islice(Backoff(first=0.1, most=5).delays(), 9)) for _ in range(400)]
    limits = [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5, 5, 5]

    for waits, limit in zip(zip(*herd, strict=True), limits, strict=True):
        quarters = [sum(int(wait / limit * 4) == n for wait in waits) for n in range(4)]
        assert max(waits) <= limit
        assert min(quarters) > 50, "not spread over the whole time"
