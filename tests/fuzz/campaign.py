"""Sends random requests and compares each answer with the OpenAPI description.

The description allows half of the requests, and not the other half. They are sent as a member, the
host's service, a stranger or without a token, mostly to rooms that exist, with cursors and ids from
earlier answers: without that, nearly every answer would be a 404.
"""

import random
import re
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from openapi_schema_validator import OAS31Validator
from schemathesis.checks import not_a_server_error
from schemathesis.core import NotSet
from schemathesis.core.failures import FailureGroup
from schemathesis.core.result import Ok
from schemathesis.generation import GenerationMode
from schemathesis.generation.case import Case
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    positive_data_acceptance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.support.actors import make_token

CHECKS = [
    *(not_a_server_error, status_code_conformance, content_type_conformance),
    *(response_schema_conformance, response_headers_conformance),
]
# The others have rules that a schema cannot express: an anchor must be a message of the room, a
# cursor one of the list, a channel the caller's own, the channel of a user id at most 240 bytes.
EXACT = {"send_message", "read_room", "join_room", "leave_room"}
ACTORS = ("member", "member", "both", "both", "service", "stranger", "nobody")
MEMBER = "member"
# The cause is a token, a room, a media type or an earlier message, not the generated request.
ABOUT_ELSE = {401, 404, 409, 415}
AIMED = 0.8
MEDIA_TYPE_KEPT = 0.97
ROUND = 100
FAR = 2**40

Report = Callable[[int], None]
Operation = APIOperation[Any, Any, Any, Any]


class Campaign:
    """Requests to one server, up to a number of them or a time."""

    def __init__(self, url: str, *, start: int = 0) -> None:
        """Begin with the round `start`: the same start sends the same requests."""
        self.sent = 0
        self.statuses: Counter[int] = Counter()
        self.failures: dict[tuple[str, str], str] = {}
        """One text for each operation and kind of failure."""
        self._url, self._start = url, start
        self._random = random.Random(start)
        self._session = requests.Session()
        self._session.trust_env = False
        self._components: dict[str, Any] = {}
        self._rooms: list[int] = []
        self._seen = {"channel": [f"personal:{MEMBER}"]}
        self._tokens = {
            "member": make_token(MEMBER, exp=FAR),
            "service": make_token("host", role="service", exp=FAR),
            "both": make_token(MEMBER, role="service", exp=FAR),
            "stranger": make_token("stranger", exp=FAR),
        }

    def run(self, *, cases: int, seconds: float, report: Report = lambda _: None) -> None:
        """Send requests for each operation in turn, until there were enough or time is up."""
        deadline = time.monotonic() + seconds
        # So that a short run also reaches every operation.
        size = min(ROUND, cases // 100)
        schema = schemathesis.openapi.from_url(f"{self._url}/api/schema/")
        self._components = schema.raw_schema["components"]
        operations = [
            result.ok() for result in schema.get_all_operations() if isinstance(result, Ok)
        ]
        assert len(operations) > 15
        self._open_room()
        for number in count(self._start):
            for operation in operations:
                # Each time: other operations delete, archive and close rooms.
                self._open_room()
                for mode in GenerationMode:
                    if self.sent >= cases or time.monotonic() >= deadline:
                        return
                    self._run_round(operation, mode, number, min(size, cases - self.sent))
                    report(self.sent)

    def _open_room(self) -> None:
        """Create one more room of the member, with a few messages."""
        room: int = self._post("rooms/", {"name": "fuzz", "members": [MEMBER]})["id"]
        for content in ("one", "two", "three"):
            self._post(f"rooms/{room}/messages/", {"content": content})
        self._rooms = [*self._rooms[-9:], room]

    def _post(self, path: str, body: dict[str, Any]) -> Any:
        headers = {"Authorization": f"Bearer {self._tokens['both']}"}
        answer = self._session.post(
            f"{self._url}/api/{path}", json=body, headers=headers, timeout=15
        )
        answer.raise_for_status()
        return answer.json()

    def _run_round(
        self, operation: Operation, mode: GenerationMode, number: int, size: int
    ) -> None:
        """Send up to `size` different requests for one operation."""

        @seed(number)
        @settings(
            max_examples=size,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(operation.as_strategy(generation_mode=mode))
        def send(case: Case[Any]) -> None:
            self._send(case, is_valid=mode.is_positive)

        # An operation without parameters has no invalid request.
        with suppress(Unsatisfiable):
            send()

    def _send(self, case: Case[Any], *, is_valid: bool) -> None:
        self._aim(case)
        operation = str(case.operation.definition.raw["operationId"])
        actor = self._random.choice(ACTORS)
        headers = {"Authorization": f"Bearer {self._tokens[actor]}"} if actor != "nobody" else {}
        if not isinstance(case.body, NotSet) and self._random.random() > MEDIA_TYPE_KEPT:
            headers["Content-Type"] = "text/plain"
        answer = case.call(session=self._session, headers=headers, timeout=15)
        self.sent += 1
        self.statuses[answer.status_code] += 1
        self._remember(answer.text)
        is_exact = is_valid and operation in EXACT and answer.status_code not in ABOUT_ELSE
        try:
            case.validate_response(
                answer, checks=[*CHECKS, positive_data_acceptance] if is_exact else CHECKS
            )
        except FailureGroup as group:
            for failure in group.exceptions:
                self.failures.setdefault((operation, type(failure).__name__), f"{actor}: {group}")
        if answer.status_code < 300 and not self._is_described(case):
            self.failures.setdefault((operation, "accepted"), f"{actor}: {case.body!r}")

    def _is_described(self, case: Case[Any]) -> bool:
        """Whether the body is one that the description allows.

        schemathesis has a check of this kind, but takes the room and the token that were put in
        place of its own for violations, and for a parameter that is not read.
        """
        described = case.operation.definition.raw.get("requestBody")
        if described is None:
            return isinstance(case.body, NotSet)
        if isinstance(case.body, NotSet):
            return not described["required"]
        schema = described["content"]["application/json"]["schema"]
        validator = OAS31Validator(schema | {"components": self._components})
        return bool(validator.is_valid(case.body))

    def _aim(self, case: Case[Any]) -> None:
        """Direct most requests to existing rooms, and to cursors and ids from earlier answers."""
        if "room_id" in case.path_parameters and self._random.random() < AIMED:
            # A member who left every room would be a stranger for all later requests.
            is_leave = case.path.endswith("/leave/")
            case.path_parameters["room_id"] = self._random.choice(
                self._rooms[:1] if is_leave else self._rooms[1:]
            )
        for name in case.query:
            if name in self._seen and self._random.random() < AIMED:
                case.query[name] = self._random.choice(self._seen[name])

    def _remember(self, text: str) -> None:
        """Remember the cursors and ids of messages in an answer."""
        for link in re.findall(r'"(?:next|previous)":"([^"]+)"', text):
            for name, value in parse_qsl(urlsplit(link).query):
                if name in {"cursor", "before", "after"}:
                    self._seen[name] = [*self._seen.get(name, [])[-19:], value]
