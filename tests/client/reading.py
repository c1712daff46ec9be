"""The API as a device reads it, and as a client sees it that reads everything again."""

from typing import Any

import httpx

from client.api import PAGE, Read
from client.reducer import KEEP, Json


def make_read(http: httpx.AsyncClient) -> Read:
    """Return the function with which a device reads; `http` is the user's client."""

    async def read(path: str) -> tuple[int, Any]:
        try:
            answer = await http.get(path)
        except httpx.TransportError as error:
            raise ConnectionError(str(error)) from error
        # A proxy in front may answer 503 with an HTML page.
        is_json = "json" in answer.headers.get("content-type", "")
        return answer.status_code, answer.json() if is_json else None

    return read


async def read_all(http: httpx.AsyncClient, path: str) -> list[Json]:
    """Read all pages of a list."""
    found: list[Json] = []
    url: str | None = f"{path}?limit={PAGE}"
    while url is not None:
        answer = await http.get(url)
        answer.raise_for_status()
        found += answer.json()["results"]
        url = answer.json()["next"]
    return found


async def fetch_state(http: httpx.AsyncClient, *, keep: int = KEEP) -> Json:
    """Return everything that a user sees, as `Reducer.state` should have it; nothing may change."""
    rooms = await read_all(http, "/api/rooms/")
    paths = {room["id"]: f"/api/rooms/{room['id']}" for room in rooms}
    return {
        "rooms": rooms,
        "members": {id_: await read_all(http, f"{path}/members/") for id_, path in paths.items()},
        "messages": {
            id_: (await read_all(http, f"{path}/messages/"))[:keep] for id_, path in paths.items()
        },
    }
