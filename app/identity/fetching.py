"""Asks another service over HTTP: within a deadline, up to a size, without following a redirect."""

import asyncio
from collections.abc import Mapping
from typing import NamedTuple

import httpx


class FetchError(Exception):
    """There is no usable answer; the message says why, for the log."""


class Answer(NamedTuple):
    """What the other service answered."""

    status: int
    body: bytes


async def open_client() -> httpx.AsyncClient:
    """Return a client that trusts the usual authorities, or those of `SSL_CERT_FILE`.

    `HTTPS_PROXY` and `NO_PROXY` of the environment apply. The certificates are read in a thread:
    it takes 50 ms. Raises `FetchError` where one of these variables cannot be used.
    """
    try:
        context = await asyncio.to_thread(httpx.create_ssl_context)
        return httpx.AsyncClient(
            verify=context,
            # The deadline of the whole exchange is in `fetch`; this is a bound for each step.
            timeout=60,
            # Many servers close a connection that was idle for five seconds, just as it is used.
            limits=httpx.Limits(keepalive_expiry=2),
            follow_redirects=False,
        )
    except (OSError, ValueError, ImportError, httpx.InvalidURL) as error:
        # Certificates that cannot be read; a proxy of another kind, which may need a package.
        raise FetchError(f"no client can be made: {type(error).__name__}") from error


async def fetch(
    client: httpx.AsyncClient,
    address: str,
    *,
    seconds: float,
    bytes_most: int,
    question: Mapping[str, str] | None = None,
) -> Answer:
    """Return the answer to a GET, or to a POST of the question as JSON.

    seconds: from now to the last byte of the answer. Raises `FetchError` where the service does not
    answer in time, or with more than `bytes_most` bytes.
    """
    method = "GET" if question is None else "POST"
    # A compressed answer could be larger than it seems.
    headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
    try:
        async with (
            asyncio.timeout(seconds),
            client.stream(method, address, json=question, headers=headers) as answer,
        ):
            body = bytearray()
            async for part in answer.aiter_raw():
                body += part
                if len(body) > bytes_most:
                    raise FetchError(f"the answer has more than {bytes_most} bytes")
            return Answer(answer.status_code, bytes(body))
    except TimeoutError:
        raise FetchError(f"no answer within {seconds:g} s") from None
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        raise FetchError(f"{type(error).__name__}: {error}") from error
