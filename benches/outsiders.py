"""What a private room costs somebody who is no member, beside a room that does not exist.

    python -m benches.outsiders http://localhost:9000 TOKEN PRIVATE_ROOM_ID

Each request is sent to both in turn, in either order, over one connection, so that what else the
machine does falls on both alike. For each it prints the median for the unknown one, in ms, and the
median of the differences in the pairs. TOKEN is one of a user who is no member of the room.
"""

import random
import statistics
import sys
import time

import httpx

UNKNOWN = 2**62
PAIRS = 1000
REQUESTS = {
    "room": ("GET", "", None),
    "list": ("GET", "messages/", None),
    "members": ("GET", "members/", None),
    "events": ("GET", "events/", None),
    "send": ("POST", "messages/", {"content": "hello"}),
    "join": ("POST", "join/", None),
    "leave": ("POST", "leave/", None),
}


def measure(client: httpx.Client, room_id: int, request: tuple[str, str, object]) -> list[float]:
    """Return the median of the unknown room, and of what the private one takes more, in ms."""
    method, path, body = request
    taken: dict[int, list[float]] = {room_id: [], UNKNOWN: []}
    for n in range(PAIRS + 50):
        pair = list(taken)
        random.shuffle(pair)
        for room in pair:
            began = time.perf_counter()
            answer = client.request(method, f"/api/rooms/{room}/{path}", json=body)
            if n >= 50:
                taken[room].append((time.perf_counter() - began) * 1000)
            if answer.status_code != 404:
                raise SystemExit(f"{method} {path} of {room} is {answer.status_code}, not 404.")
    more = [one - other for one, other in zip(*taken.values(), strict=True)]
    return [statistics.median(taken[UNKNOWN]), statistics.median(more)]


def main(address: str, token: str, room_id: int) -> None:
    """Print a line for each request."""
    headers = {"Authorization": f"Bearer {token}"}
    with httpx.Client(base_url=address, headers=headers) as client:
        for name, request in REQUESTS.items():
            unknown, more = measure(client, room_id, request)
            print(f"{name:8} {unknown:8.3f} {more:+8.4f} {more / unknown * 100:+6.1f} %")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
