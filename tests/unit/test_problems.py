"""Every error of the domain has a status and a code of its own."""

import re
from typing import Any

import msgspec
import pytest

import chat.errors
from chat.api.problems import PROBLEMS, answer_chat_error, encode_problem
from chat.errors import (
    ChatError,
    EventsGoneError,
    InvalidInputError,
    NotAMemberError,
    NotFoundError,
)
from tests.support.processes import PROJECT

ERRORS = [
    kind
    for kind in vars(chat.errors).values()
    if isinstance(kind, type) and issubclass(kind, ChatError) and kind is not ChatError
]
# Told exactly like its ancestor, so that a stranger learns nothing.
INHERITING: dict[type[ChatError], type[ChatError]] = {NotAMemberError: NotFoundError}
OWN = [kind for kind in ERRORS if kind not in INHERITING]
# The request is not looked at.
NO_REQUEST: Any = None


def make(kind: type[ChatError]) -> ChatError:
    """Return an error of this class."""
    if kind is EventsGoneError:
        return EventsGoneError(floor=3, head=7)
    return kind("It is so.")


@pytest.mark.parametrize("kind", OWN)
def test_an_error_has_a_status_a_code_and_a_message(kind: type[ChatError]) -> None:
    """A new class of errors is not left to chance: it has a row, a code and words of its own."""
    assert kind.code in PROBLEMS
    assert "code" in vars(kind)
    assert "default_message" in vars(kind)


@pytest.mark.parametrize("kind", INHERITING)
def test_an_inheriting_error_is_told_like_its_ancestor(kind: type[ChatError]) -> None:
    """Two errors that must look the same have exactly the same answer."""
    ancestor = INHERITING[kind]

    answers = [answer_chat_error(NO_REQUEST, error) for error in (kind(), ancestor())]

    assert answers[0].status_code == answers[1].status_code
    assert answers[0].content == answers[1].content


def test_codes_are_distinct() -> None:
    """A client that goes by the code never mistakes one error for another."""
    codes = [kind.code for kind in OWN]

    assert sorted(codes) == sorted(set(codes))


@pytest.mark.parametrize("kind", OWN)
def test_the_body_repeats_the_status_and_the_code(kind: type[ChatError]) -> None:
    """The answer is a whole problem on its own."""
    answer = answer_chat_error(NO_REQUEST, make(kind))

    problem = msgspec.json.decode(answer.content)
    assert problem["status"] == answer.status_code == PROBLEMS[kind.code].status
    assert problem["code"] == kind.code
    assert answer.media_type == "application/problem+json"


@pytest.mark.parametrize("kind", OWN)
def test_exactly_what_passes_is_to_be_retried(kind: type[ChatError]) -> None:
    """503 says when to come back, and nothing else does."""
    answer = answer_chat_error(NO_REQUEST, make(kind))

    assert ("Retry-After" in answer.headers) == (answer.status_code in {429, 503})


def test_facts_are_members_of_the_body() -> None:
    """What a client computes with is not only in the prose."""
    invalid = answer_chat_error(NO_REQUEST, InvalidInputError("Bad.", pointer="/name"))
    gone = answer_chat_error(NO_REQUEST, EventsGoneError(floor=3, head=7))

    assert msgspec.json.decode(invalid.content)["pointer"] == "/name"
    assert msgspec.json.decode(gone.content)["floor"] == 3
    assert msgspec.json.decode(gone.content)["head"] == 7


# Each block of nginx.conf that answers by itself: its headers, its status and its body.
OF_NGINX = re.findall(
    r"location = /problems/\d+ \{\s*((?:(?:#.*|add_header [^;]+;)\s*)*)return (\d+) '(.*)';",
    (PROJECT / "nginx/nginx.conf").read_text(encoding="utf-8"),
)
# A block with headers of its own inherits none.
COMMON = {"Cache-Control": "no-store", "Access-Control-Allow-Origin": "*"}


@pytest.mark.parametrize("headers, status, body", OF_NGINX)
def test_an_answer_of_nginx_is_the_registrys(headers: str, status: str, body: str) -> None:
    """What nginx answers by itself has the status, the words and the headers of its code."""
    code = msgspec.json.decode(body)["code"]
    kind = PROBLEMS[code]

    assert msgspec.json.decode(body) == msgspec.json.decode(encode_problem(code))
    assert int(status) == kind.status
    added = dict(re.findall(r"add_header (\S+) (\S+) always;", headers))
    exposed = {"Access-Control-Expose-Headers": ", ".join(kind.headers)}
    assert added == ({**COMMON, **kind.headers, **exposed} if kind.headers else {})


def test_nginx_answers_every_code_of_its_own() -> None:
    """A code that only nginx answers is in its configuration."""
    answered = {msgspec.json.decode(body)["code"] for _, _, body in OF_NGINX}

    assert {code for code, kind in PROBLEMS.items() if kind.is_from_proxy} <= answered
