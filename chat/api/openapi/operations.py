"""What a handler says of itself for the OpenAPI description, where its signature does not.

    @post(PATH, guards=[authenticated], operation=Operation(body=SendMessageBody))

The rest `chat.api.openapi.document` reads from the handler: its name, docstring, guards, path and
answer.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec


@dataclass(frozen=True)
class Operation:
    """What an endpoint takes and answers."""

    query: type[msgspec.Struct] | None = None
    """What `chat.api.query.parse_query` reads."""
    body: type[Any] | None = None
    is_body_required: bool = True
    example: Mapping[str, Any] = field(default_factory=dict)
    """A body that a test sends."""
    answers: Mapping[int, str] = field(default_factory=dict)
    """Statuses with the endpoint's own answer, beside its usual one, and what each means."""
    problems: tuple[str, ...] = ()
    """Codes of its own, beside those that its guards, parameters and body bring."""
    links: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Operations that go on from the answer: for each its parameters, as fields of the answer."""
