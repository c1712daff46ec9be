"""GET /api/schema/ and GET /api/docs/"""

import base64
import hashlib
import re
import tomllib
from collections.abc import Callable, Iterator
from typing import Any, get_args
from urllib.parse import quote

import httpx
import pytest
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import validate

from chat.api.application import ROUTES
from chat.api.openapi.document import build_document
from chat.api.openapi.examples import EXAMPLES
from chat.api.openapi.page import render_page
from chat.api.problems import PROBLEMS
from chat.conf import BODY_MAX_BYTES, DESIRED_STATE_MAX_BYTES
from chat.events import Event
from tests.support.actors import Actor, make_token
from tests.support.processes import PROJECT, serve_api

Schema = dict[str, Any]
Operation = tuple[str, str, Schema]

DOCUMENT = build_document(ROUTES)
SEED = (
    *("GET /api/rooms/", "GET /api/rooms/{room_id}/", "GET /api/search/", "POST /api/rooms/"),
    *("GET /api/rooms/{room_id}/messages/", "POST /api/rooms/{room_id}/messages/"),
    *("POST /api/rooms/{room_id}/join/", "POST /api/rooms/{room_id}/leave/"),
    *("GET /api/rooms/{room_id}/members/", "POST /api/rooms/{room_id}/members/"),
    "DELETE /api/rooms/{room_id}/members/{user_id}/",
    *("GET /api/token/connection/", "GET /api/token/subscription/"),
)
BODIES_MAX = {"put_room_by_external_id": DESIRED_STATE_MAX_BYTES}
# The examples, one after the other in an empty database: the first room and message have id 1.
STORY = (
    *("create_room", "list_rooms", "read_room", "change_room", "search_rooms", "send_message"),
    "list_messages",
    *("put_room_by_external_id", "read_room_by_external_id"),
    "open_direct_room",
    *("add_members", "list_members", "change_member", "read_member", "list_events"),
    *("join_room", "read_connection_token"),
    *("create_invite", "list_invites", "read_invite", "accept_invite", "revoke_invite"),
    *("ban_from_room", "list_bans", "lift_ban_from_room"),
    *("ban_from_all_rooms", "read_ban", "lift_ban_from_all_rooms"),
    *("block_user", "list_blocks", "unblock_user"),
    "list_audit",
    *("put_word", "read_word", "delete_word"),
    *("report_message", "report_user", "list_reports", "read_report", "decide_report"),
    *("read_subscription_token", "leave_room", "remove_member", "revoke_tokens"),
    *("delete_room", "read_room_deletion"),
    *("check_live", "check_ready", "read_schema", "read_docs"),
)
# The service may call them, and is a member of nothing.
OF_MEMBERS = {"send_message", "join_room", "leave_room"}


OF_USERS = {"send_message", "join_room", "leave_room", "accept_invite"}
"""A ban, or a mute, can refuse them; the service is a member of nothing."""


OF_USERS = {"send_message", "join_room", "leave_room", "accept_invite"}
"""A ban, or a mute, can refuse them; the service is a member of nothing."""

# Their 403 is for members who are muted, banned or blocked.
BY_MEMBERS = {"send_message", "join_room"}


def find_operations() -> dict[str, Operation]:
    """Return address, method and description of every operation, by its id."""
    return {
        operation["operationId"]: (address, method.upper(), operation)
        for address, item in DOCUMENT["paths"].items()
        for method, operation in item.items()
    }


OPERATIONS = find_operations()


def assert_valid(value: object, schema: Schema) -> None:
    """Hold a value against a schema that may refer to the document's components."""
    OAS31Validator(schema | {"components": DOCUMENT["components"]}).validate(value)


def assert_described(answer: httpx.Response, operation: Schema) -> None:
    """Hold an answer against its description: status, media type and body."""
    described = operation["responses"][str(answer.status_code)]
    if "content" not in described:
        assert answer.content == b""
        return
    media_type = answer.headers["content-type"].partition(";")[0]
    schema = described["content"][media_type]["schema"]
    assert_valid(answer.text if media_type == "text/html" else answer.json(), schema)


def send_example(api: httpx.Client, name: str, **made: str) -> httpx.Response:
    """Send the example of an operation, with the token that it is for.

    `made`: parts of the path that cannot be known beforehand, by name.
    """
    address, method, operation = OPERATIONS[name]
    query = {}
    for parameter in operation["parameters"]:
        example = made.get(parameter["name"], parameter.get("example"))
        if parameter["in"] == "path":
            address = address.replace("{" + parameter["name"] + "}", quote(str(example), safe=""))
        elif example is not None:
            query[parameter["name"]] = example
    is_service = is_for_service(operation) and name not in OF_MEMBERS
    token = make_token("host", role="service") if is_service else make_token("u123")
    headers = {"Authorization": f"Bearer {token}"} if operation["security"] else {}
    content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    return api.request(method, address, params=query, json=content.get("example"), headers=headers)


def send_body(
    actor: Actor, method: str, address: str, content: bytes, media_type: str = "application/json"
) -> httpx.Response:
    """Send a body as it is."""
    return actor.http.request(
        method, address, content=content, headers={"Content-Type": media_type}
    )


def is_for_service(operation: Schema) -> bool:
    """Whether the example is the host's service's, and not a member's."""
    return "403" in operation["responses"] and operation["operationId"] not in BY_MEMBERS


@pytest.fixture(scope="module")
def story(clone_database: Callable[[], str]) -> Iterator[dict[str, httpx.Response]]:
    """Return the answer to each operation's example, sent one after the other."""
    with (
        serve_api(clone_database(), SERVE="api") as url,
        httpx.Client(base_url=url, trust_env=False, timeout=15) as api,
    ):
        answers: dict[str, httpx.Response] = {}
        for name in STORY:
            invite = answers["create_invite"].json() if "create_invite" in answers else {}
            answers[name] = send_example(api, name, token=invite.get("token", ""))
        yield answers


def test_the_document_is_openapi() -> None:
    """The description is valid OpenAPI 3.1, by a validator that others use too."""
    validate(DOCUMENT)


def test_the_document_needs_no_token(anonymous: Actor) -> None:
    """Whoever integrates can read the description that this very process was made with."""
    answer = anonymous.get("/api/schema/")

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == DOCUMENT


def test_every_address_of_the_contract_is_described() -> None:
    """The endpoints that this service is chosen for are there to the letter, slash included."""
    described = {f"{method} {address}" for address, method, _ in OPERATIONS.values()}

    assert set(SEED) - described == set()


def test_every_route_is_described_once() -> None:
    """No handler is missing, and no two share an id."""
    methods = sum(len(route.http_methods) for route in ROUTES)

    assert len(OPERATIONS) == methods
    assert set(OPERATIONS) == {route.fn.__name__ for route in ROUTES}


def test_the_version_is_the_projects() -> None:
    """The document names the version of the code it describes."""
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))

    assert DOCUMENT["info"]["version"] == project["project"]["version"]


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_explains_itself(name: str) -> None:
    """Each has a summary, a known tag, a security rule, and an example wherever one is needed."""
    address, _, operation = OPERATIONS[name]

    assert operation["summary"]
    assert operation["tags"][0] in {tag["name"] for tag in DOCUMENT["tags"]}
    assert operation["security"] == ([{"bearer": []}] if "401" in operation["responses"] else [])
    assert ("401" in operation["responses"]) == (
        not re.match("/health/|/api/(schema|docs)/", address)
    )
    assert [p["name"] for p in operation["parameters"] if p["in"] == "path"] == re.findall(
        r"\{(\w+)\}", address
    )
    for parameter in operation["parameters"]:
        assert "example" in parameter or not parameter["required"]
        if "example" in parameter:
            assert_valid(parameter["example"], parameter["schema"])


@pytest.mark.parametrize("name", STORY)
def test_every_example_works(story: dict[str, httpx.Response], name: str) -> None:
    """The example of each operation, sent as it stands, is answered as the description says."""
    assert story[name].status_code < 300, story[name].text

    assert_described(story[name], OPERATIONS[name][2])


@pytest.mark.parametrize("name", STORY)
def test_an_example_answer_looks_like_the_real_one(
    story: dict[str, httpx.Response], name: str
) -> None:
    """What the description shows as an answer has the fields that the answer has."""
    answer, operation = story[name], OPERATIONS[name][2]
    for content in operation["responses"][str(answer.status_code)].get("content", {}).values():
        shown = content["schema"].get("$ref", "").rpartition("/")[2]
        if shown:
            assert set(EXAMPLES[shown]) == set(answer.json())


def test_every_operation_has_its_part_in_the_story() -> None:
    """A new operation without an example that is run is noticed."""
    assert sorted(STORY) == sorted(OPERATIONS)


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_shown_answer_is_valid(name: str) -> None:
    """What the description shows is what it demands."""
    assert_valid(EXAMPLES[name], {"$ref": f"#/components/schemas/{name}"})


def test_an_event_is_told_by_its_type() -> None:
    """Each event is one schema and no other, found by `type`."""
    event = DOCUMENT["components"]["schemas"]["Event"]
    names = [kind.__name__ for kind in get_args(Event)]

    assert event["discriminator"]["mapping"] == {
        EXAMPLES[name]["type"]: f"#/components/schemas/{name}" for name in names
    }
    for name in names:
        assert_valid(EXAMPLES[name], {"$ref": "#/components/schemas/Event"})


def test_every_code_is_described() -> None:
    """The table in docs/api.md is the registry: each code with its status and its meaning."""
    page = (PROJECT / "docs/api.md").read_text(encoding="utf-8")

    rows = re.findall(r"^\| (\d{3}) \| `(\w+)` \| (.*) \|$", page, re.MULTILINE)

    assert rows == [
        (str(kind.status.value), code, ("nginx: " if kind.is_from_proxy else "") + kind.meaning)
        for code, kind in PROBLEMS.items()
    ]


@pytest.mark.parametrize(
    "name",
    [name for name in OPERATIONS if OPERATIONS[name][2].get("requestBody", {}).get("required")],
)
def test_a_body_that_has_to_be_there_has_its_fields(host: Actor, alice: Actor, name: str) -> None:
    """Where the description demands a body, one without any field is refused."""
    address, method, operation = OPERATIONS[name]
    address = address.replace("{room_id}", str(host.create_room(alice)))

    answer = send_body(host if is_for_service(operation) else alice, method, address, b"{}")

    assert answer.status_code == 422


@pytest.mark.parametrize(
    "name", [name for name in OPERATIONS if "requestBody" in OPERATIONS[name][2]]
)
def test_what_a_body_can_provoke_is_described(host: Actor, alice: Actor, name: str) -> None:
    """A body that is broken in any way is refused in a way that the operation describes."""
    address, method, operation = OPERATIONS[name]
    address = address.replace("{room_id}", str(host.create_room(alice)))
    address = address.replace("{user_id}", alice.user_id)
    actor = host if is_for_service(operation) else alice

    answers = [
        send_body(actor, method, address, b"{"),
        send_body(actor, method, address, b"[]"),
        send_body(actor, method, address, b"{}", "text/plain"),
        send_body(actor, method, address, b" " * (BODIES_MAX.get(name, BODY_MAX_BYTES) + 1)),
    ]

    assert [answer.status_code for answer in answers] == [400, 422, 415, 413]
    for answer in answers:
        assert_described(answer, operation)


def find_bounds() -> list[tuple[str, str, int, str]]:
    """Return operation, parameter and a value at or beyond each bound of the query."""
    return [
        (name, parameter["name"], parameter["schema"][bound] + beyond, where)
        for name, (_, _, operation) in OPERATIONS.items()
        for parameter in operation["parameters"]
        if parameter["in"] == "query"
        for bound, step in (("minimum", -1), ("maximum", 1))
        if bound in parameter["schema"]
        for beyond, where in ((0, "at"), (step, "beyond"))
    ]


@pytest.mark.parametrize("name, parameter, value, where", find_bounds())
def test_the_bounds_are_the_real_ones(
    host: Actor, alice: Actor, name: str, parameter: str, value: int, where: str
) -> None:
    """A number at a bound of the description is read; one beyond it is refused, and named."""
    address, _, operation = OPERATIONS[name]
    address = address.replace("{room_id}", str(host.create_room(alice)))

    actor = host if is_for_service(operation) else alice
    answer = actor.get(address, **{parameter: value})

    refused = answer.status_code == 422 and "must be one whole number" in answer.json()["detail"]
    assert refused == (where == "beyond")
    assert_described(answer, operation)


def test_the_page_shows_every_operation_and_schema(anonymous: Actor) -> None:
    """The page has every operation and every schema of the document, and its links lead to them."""
    answer = anonymous.get("/api/docs/")

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    ids = set(re.findall(r'id="([^"]+)"', answer.text))
    assert set(OPERATIONS) - ids == set()
    assert {f"schema-{name}" for name in DOCUMENT["components"]["schemas"]} - ids == set()
    assert {link[1:] for link in re.findall(r'href="(#[^"]+)"', answer.text)} - ids == set()


def test_the_page_loads_nothing(anonymous: Actor) -> None:
    """The page has no script and loads nothing from any address, and its policy forbids both."""
    answer = anonymous.get("/api/docs/")

    (style,) = re.findall(r"<style>(.*?)</style>", answer.text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = answer.headers["content-security-policy"]
    assert policy.startswith(f"default-src 'none'; style-src 'sha256-{digest}';")
    assert "unsafe" not in policy
    assert not re.search(r"<script|\bsrc=|\bstyle=|\bon\w+=|@import|url\(", answer.text)
    assert set(re.findall(r'href="([^#"][^"]*)"', answer.text)) == {"../schema/"}


def test_the_page_escapes_what_it_shows() -> None:
    """HTML in the texts of the document is shown as text on the page."""
    hostile = "<script>alert(1)</script>\"'&"
    page = render_page(
        DOCUMENT
        | {"info": {"title": hostile, "version": hostile, "description": hostile}}
        | {"tags": [{"name": "rooms", "description": hostile}]}
    )

    assert "<script" not in page
