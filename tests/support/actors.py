"""The cast of the tests: the users and the service that call the API."""

import secrets
import time
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import httpx
import jwt
from django.conf import settings


def make_token(subject: str, *, secret: str | None = None, **claims: object) -> str:
    """Return a token, signed as the host signs it."""
    payload = {"sub": subject, "exp": int(time.time()) + 3600} | claims
    return jwt.encode(payload, secret or settings.JWT_SECRET, algorithm="HS256")


class Actor:
    """A caller of the API, with short methods for tests."""

    def __init__(self, user_id: str, http: httpx.Client) -> None:
        self.user_id = user_id
        self.http = http

    def listen(self) -> Self:
        """Ask for a token, as a client does first: events are published to the users who did."""
        answer = self.get("/api/token/connection/")
        assert answer.status_code == 200, answer.text
        return self

    def get(self, path: str, **parameters: Any) -> httpx.Response:
        """GET a path."""
        return self.http.get(path, params=parameters or None)

    def post(self, path: str, body: object = None, **options: Any) -> httpx.Response:
        """POST a JSON body."""
        return self.http.post(path, json=body, **options)

    def put(self, path: str, body: object = None) -> httpx.Response:
        """PUT a JSON body, or none."""
        return self.http.put(path, json=body) if body is not None else self.http.put(path)

    def patch(self, path: str, body: object) -> httpx.Response:
        """PATCH with a JSON body."""
        return self.http.patch(path, json=body)

    def delete(self, path: str) -> httpx.Response:
        """DELETE a path."""
        return self.http.delete(path)

    def send(self, room_id: int, content: str, client_id: str | None = None) -> httpx.Response:
        """Send a message."""
        body = {"content": content} | ({"client_id": client_id} if client_id else {})
        return self.post(f"/api/rooms/{room_id}/messages/", body)

    def create_room(self, *members: "Actor | str", name: str = "general") -> int:
        """Create a room with these members and return its id; for the host's service."""
        ids = [member if isinstance(member, str) else member.user_id for member in members]
        answer = self.post("/api/rooms/", {"name": name, "members": ids})
        assert answer.status_code == 201, answer.text
        room_id: int = answer.json()["id"]
        return room_id

    def put_room(self, external_id: str, *members: "Actor | str", **state: Any) -> int:
        """Bring a room to this state and return its id; for the host's service."""
        ids = [member if isinstance(member, str) else member.user_id for member in members]
        body = {"name": "general", "members": [{"user": user} for user in ids]} | state
        # The client of the tests takes `..` for a step up, but not `%2E%2E`.
        key = quote(external_id, safe="").replace(".", "%2E")
        answer = self.put(f"/api/rooms/by-external-id/{key}/", body)
        assert answer.is_success, answer.text
        room_id: int = answer.json()["room"]["id"]
        return room_id


def describe_my(role: str = "member", **more: Any) -> dict[str, Any]:
    """Return what a room shows to a member of this role who has set nothing."""
    settings = {"muted": False, "hidden": False, "pinned": False}
    return {"role": role, "muted_until": None, "settings": settings} | more


PLAIN: dict[str, Any] = {
    "kind": "public",
    "external_id": None,
    "data": {},
    "archived_at": None,
    "history": "all",
    "slow_mode_seconds": 0,
}
"""What a room has of which nothing was said when it was created."""


class Cast:
    """The actors of one test; no other test has their ids."""

    def __init__(
        self, url: str, *, secret: str | None = None, headers: dict[str, str] | None = None
    ) -> None:
        self.url = url
        self._headers = headers or {}
        self._secret = secret
        self._suffix = secrets.token_hex(4)
        self._clients: list[httpx.Client] = []

    def user(self, name: str) -> Actor:
        """Return a user; the same name gives the same user."""
        user_id = f"{name}-{self._suffix}"
        return self.with_token(make_token(user_id, secret=self._secret), user_id)

    def service(self) -> Actor:
        """Return the host's service."""
        token = make_token("host", secret=self._secret, role="service")
        return self.with_token(token, "host")

    def anonymous(self) -> Actor:
        """Return someone without a token."""
        return self._actor("", {})

    def with_token(self, token: str, user_id: str = "") -> Actor:
        """Return someone with this token."""
        return self._actor(user_id, {"Authorization": f"Bearer {token}"})

    def _actor(self, user_id: str, headers: dict[str, str]) -> Actor:
        # With `verify` on, certificates are loaded even for http://, which takes 47 ms.
        http = httpx.Client(
            base_url=self.url,
            headers=self._headers | headers,
            trust_env=False,
            verify=False,
            timeout=15,
        )
        self._clients.append(http)
        return Actor(user_id, http)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for client in self._clients:
            client.close()
