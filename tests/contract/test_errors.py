"""What every endpoint answers when a request is wrong: RFC 9457 problems, never a 500"""

import re
from collections.abc import Iterator

import httpx
import pytest

from chat.api.application import ROUTES
from chat.api.openapi.document import build_document
from tests.contract.wire import send_bytes
from tests.support.actors import Actor, Cast, make_token

JSON = {"Content-Type": "application/json"}
LIMIT = 65_536
# The methods that the description has for each address.
METHODS = {
    address: {method.upper() for method in item} | ({"HEAD"} if "get" in item else set())
    for address, item in build_document(ROUTES)["paths"].items()
}


def assert_problem(answer: httpx.Response, status: int, code: str) -> None:
    """Hold that the answer is a whole problem with this status and this code."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert (problem["status"], problem["code"]) == (status, code)
    assert problem["title"]
    assert problem["detail"]
    assert problem.get("type", "about:blank") == "about:blank"


def post_bytes(
    actor: Actor,
    path: str,
    content: bytes | Iterator[bytes],
    content_type: str | None = JSON["Content-Type"],
) -> httpx.Response:
    """POST a body as it is, declared as JSON unless said otherwise."""
    headers = {} if content_type is None else {"Content-Type": content_type}
    return actor.http.post(path, content=content, headers=headers)


def chunks(size: int) -> Iterator[bytes]:
    """Give a JSON document of this size piece by piece, so that no length is declared."""
    yield b'{"content":"a"}'
    yield from [b" " * 1024] * ((size - 15) // 1024)
    yield b" " * ((size - 15) % 1024)


@pytest.mark.parametrize(
    "method, path, allowed",
    [
        ("PUT", "/api/rooms/", {"GET", "HEAD", "POST"}),
        ("DELETE", "/api/rooms/", {"GET", "HEAD", "POST"}),
        ("HEAD", "/api/rooms/1/join/", {"POST"}),
        ("POST", "/api/rooms/1/", {"GET", "HEAD", "PATCH"}),
        ("PUT", "/api/rooms/1/", {"GET", "HEAD", "PATCH"}),
        ("DELETE", "/api/rooms/1/messages/", {"GET", "HEAD", "POST"}),
        ("PUT", "/api/rooms/1/members/", {"GET", "HEAD", "POST"}),
        ("PUT", "/api/rooms/1/members/alice/", {"DELETE", "GET", "HEAD", "PATCH"}),
        ("POST", "/api/rooms/1/members/alice/", {"DELETE", "GET", "HEAD", "PATCH"}),
        ("GET", "/api/rooms/1/join/", {"POST"}),
        ("GET", "/api/rooms/1/leave/", {"POST"}),
        ("POST", "/api/rooms/1/events/", {"GET", "HEAD"}),
        ("POST", "/api/token/connection/", {"GET", "HEAD"}),
        ("TRACE", "/api/token/subscription/", {"GET", "HEAD"}),
        ("POST", "/health/live", {"GET", "HEAD"}),
    ],
)
def test_a_wrong_method_is_told_the_right_ones(
    alice: Actor, method: str, path: str, allowed: set[str]
) -> None:
    """405 carries `Allow` with the methods of the address."""
    answer = alice.http.request(method, path)

    assert answer.status_code == 405
    assert answer.headers["content-type"] == "application/problem+json"
    assert set(answer.headers["allow"].split(", ")) - {"OPTIONS"} == allowed


@pytest.mark.parametrize("address, methods", METHODS.items())
def test_options_names_all_methods_of_an_address(
    anonymous: Actor, address: str, methods: set[str]
) -> None:
    """OPTIONS needs no token, and `Allow` has each method of the address, of whichever handler."""
    answer = anonymous.http.options(address.replace("{room_id}", "1").replace("{user_id}", "bob"))

    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["allow"].split(", ") == sorted(methods | {"OPTIONS"})


def test_a_wrong_method_is_a_problem(alice: Actor) -> None:
    """The body of a 405 is a problem like any other."""
    assert_problem(alice.http.put("/api/rooms/"), 405, "method_not_allowed")


@pytest.mark.parametrize(
    "path",
    [
        *(
            "/api",
            "/api/",
            "/api/nothing/",
            "/api/rooms/1/nothing/",
            "/api/token/",
            "/api/token/x/",
        ),
        *("/api/rooms/1/messages/1/", "/api/rooms/1/members/a/b/", "/health", "/health/nothing"),
        *("/api/%72ooms/", "/api/rooms%2F1/", "/api/rooms/1/%6Aoin/", "/api/rooms/1/messages%00/"),
    ],
)
def test_an_unknown_address_is_not_found(alice: Actor, path: str) -> None:
    """What is not an endpoint, to the letter, is a 404 problem."""
    assert_problem(alice.get(path), 404, "not_found")


def test_an_address_works_without_its_last_slash(host: Actor, alice: Actor) -> None:
    """A missing last slash is no error and no redirect, which would lose the body of a POST."""
    room = host.create_room(alice)

    assert alice.get("/api/rooms").status_code == 200
    assert alice.get(f"/api/rooms/{room}").status_code == 200
    assert alice.post(f"/api/rooms/{room}/messages", {"content": "a"}).status_code == 201


def test_a_body_has_at_most_64_kib(host: Actor, alice: Actor) -> None:
    """A body of 65,536 bytes is accepted; one more byte is refused, whatever the content."""
    path = f"/api/rooms/{host.create_room(alice)}/messages/"
    content = b'{"content":"a"}'

    fits = post_bytes(alice, path, content.ljust(LIMIT))
    long = post_bytes(alice, path, content.ljust(LIMIT + 1))

    assert fits.status_code == 201
    assert_problem(long, 413, "body_too_large")


def test_a_body_in_chunks_has_the_same_limit(host: Actor, alice: Actor) -> None:
    """The limit counts what arrives, not what is declared."""
    path = f"/api/rooms/{host.create_room(alice)}/messages/"

    assert post_bytes(alice, path, chunks(LIMIT)).status_code == 201
    assert_problem(post_bytes(alice, path, chunks(LIMIT + 1)), 413, "body_too_large")
    assert_problem(post_bytes(alice, path, chunks(2_000_000)), 413, "body_too_large")


def test_a_declared_length_is_refused_unread(alice: Actor) -> None:
    """A body that is announced as too large is not waited for."""
    headers = b"Content-Type: application/json\r\nContent-Length: 1000000000\r\n"

    answer = send_bytes(alice, "POST", b"/api/rooms/1/messages/", headers=headers)

    assert (answer.status, answer.json()["code"]) == (413, "body_too_large")


@pytest.mark.parametrize(
    "content_type",
    [
        *(None, "", "text/plain", "text/json", "application/x-www-form-urlencoded"),
        *("multipart/form-data; boundary=x", "application/jsonx", "application/problem+json"),
        *(
            "application/json, text/plain",
            "application/json; charset=utf-16",
            "application/msgpack",
        ),
        *('application/json; charset="latin-1"', "*/*", "json"),
    ],
)
def test_only_json_is_read(host: Actor, alice: Actor, content_type: str | None) -> None:
    """A body has to be declared as JSON: a form of some other page can send nothing."""
    path = f"/api/rooms/{host.create_room(alice)}/messages/"

    answer = post_bytes(alice, path, b'{"content":"a"}', content_type)

    assert_problem(answer, 415, "unsupported_media_type")
    assert alice.get(path).json()["results"] == []


@pytest.mark.parametrize(
    "content_type",
    [
        *("application/json", "Application/JSON", "application/json; charset=utf-8"),
        *('application/json;charset="UTF-8"', "application/json;", "application/json; charset"),
    ],
)
def test_json_may_be_declared_in_any_spelling(host: Actor, alice: Actor, content_type: str) -> None:
    """Media types are case-insensitive, and UTF-8 may be named."""
    path = f"/api/rooms/{host.create_room(alice)}/messages/"

    assert post_bytes(alice, path, b'{"content":"a"}', content_type).status_code == 201


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b" ", b"{", b"}", b'{"content":"a"', b'{"content":"a"}x', b'{"content":"a"}{}'),
        *(b"{'content':'a'}", b"content=a", b'{"content":"a",}', b'{"content":NaN}', b"NaN"),
        *(b'{"content":Infinity}', b'{"content":-Infinity}', b'{"content":"\xff"}', b"\x00"),
        *(b'{"content":"a\x01b"}', b'{"content":"\\ud800"}', b'{"content":"\\udc00\\ud800"}'),
        *(b'{"content":"\\x61"}', b'{"content":"\xed\xa0\x80"}', b'{"content":"\xc0\xaf"}'),
        b'\xef\xbb\xbf{"content":"a"}',
        '{"content":"a"}'.encode("utf-16"),
        '{"content":"a"}'.encode("utf-32"),
    ],
)
def test_what_is_no_json_is_malformed(host: Actor, alice: Actor, content: bytes) -> None:
    """A body is one JSON document (RFC 8259) in UTF-8 without a byte order mark."""
    path = f"/api/rooms/{host.create_room(alice)}/messages/"

    answer = post_bytes(alice, path, content)

    assert_problem(answer, 400, "malformed_json")
    assert alice.get(path).json()["results"] == []


@pytest.mark.parametrize(
    "beginning",
    [b"", b'{"content":', b'{"client_id":', b'{"ignored":', b'{"content":"a","ignored":', b'{"":'],
)
@pytest.mark.parametrize("bracket", [b"[", b'{"":'])
def test_deep_nesting_is_refused(
    host: Actor, alice: Actor, beginning: bytes, bracket: bytes
) -> None:
    """However deep a body is nested, and wherever, it is a mistake of the sender's."""
    path = f"/api/rooms/{host.create_room(alice)}/messages/"
    deepest = beginning + bracket * ((LIMIT - len(beginning)) // len(bracket))

    answer = post_bytes(alice, path, deepest)

    assert answer.status_code in {400, 422}
    assert answer.headers["content-type"] == "application/problem+json"


def test_nesting_beyond_the_size_is_refused_by_size(host: Actor, alice: Actor) -> None:
    """100,000 brackets are more than a body may have, opened only or closed too."""
    path = f"/api/rooms/{host.create_room(alice)}/messages/"

    assert_problem(post_bytes(alice, path, b"[" * 100_000), 413, "body_too_large")
    assert_problem(
        post_bytes(alice, path, b'{"content":' + b"[" * 50_000 + b"]" * 50_000),
        413,
        "body_too_large",
    )


def test_the_fields_of_a_problem_are_stable(host: Actor, charlie: Actor) -> None:
    """Each refusal has its status, title, code and detail, and nothing else without a reason."""
    room = host.create_room()

    not_found = charlie.get(f"/api/rooms/{room}/").json()
    invalid = charlie.get("/api/rooms/?limit=0").json()

    assert not_found == {
        "status": 404,
        "title": "Not Found",
        "code": "not_found",
        "detail": "There is no such room, or you are not a member of it.",
    }
    assert invalid == {
        "status": 422,
        "title": "Unprocessable Content",
        "code": "invalid_input",
        "detail": "limit must be one whole number from 1 to 200.",
        "pointer": "limit",
    }


@pytest.mark.parametrize(
    "host_header", [b"x:99999", b"x:abc", b"x:-1", b"user@localhost", b"evil.example", b"[::1"]
)
def test_links_repeat_no_strange_host(host: Actor, alice: Actor, host_header: bytes) -> None:
    """Links carry the `Host` of the request only where it is one of ours, else only the path."""
    room = host.create_room(alice)
    alice.send(room, "one")
    alice.send(room, "two")
    target = f"/api/rooms/{room}/messages/?limit=1".encode()

    ours = send_bytes(alice, "GET", target, host=b"localhost:9000").json()["next"]
    strange = send_bytes(alice, "GET", target, host=host_header).json()["next"]

    assert strange.startswith(f"/api/rooms/{room}/messages/?limit=1&before=")
    assert ours == f"http://localhost:9000{strange}"


@pytest.mark.parametrize("host_header", [b"a b", b"<script>", b"a/b?c#d", b"e\xff"])
def test_a_host_that_is_none_is_refused(alice: Actor, host_header: bytes) -> None:
    """A `Host` that cannot be a host is refused."""
    answer = send_bytes(alice, "GET", b"/api/rooms/", host=host_header)

    assert (answer.status, answer.json()["code"]) == (400, "bad_request")


@pytest.mark.parametrize(
    "query", ["%FF=1", "limit[]=1", "=", "&&&", "%", "%zz", "a=%00", "🙂=1", "x=" + "y" * 5000]
)
def test_unknown_parameters_are_left_alone(alice: Actor, query: str) -> None:
    """A list ignores parameters that it does not know, whatever bytes they have."""
    assert alice.get(f"/api/rooms/?{query}").status_code == 200


@pytest.mark.parametrize(
    "path, body, pointer, words",
    [
        ("messages/", {"content": "a\x00"}, "/content", "without NUL characters"),
        ("messages/", {"content": "a", "client_id": "~a"}, "/client_id", "does not begin with `~`"),
        ("messages/", {"content": "a", "client_id": "a\x00"}, "/client_id", "no NUL characters"),
        ("members/", {"users": ["a\x1f"]}, "/users/0", "without control characters"),
    ],
)
def test_a_detail_says_in_words_what_is_wrong(
    cast: Cast, host: Actor, path: str, body: object, pointer: str, words: str
) -> None:
    """The `detail` of a 422 is for people: it shows no regular expression."""
    member = cast.with_token(make_token("member", role="service"), "member")
    room = host.create_room(member)

    answer = member.post(f"/api/rooms/{room}/{path}", body)

    assert_problem(answer, 422, "invalid_input")
    assert answer.json()["pointer"] == pointer
    assert words in answer.json()["detail"]
    assert not re.search(r"regex|\\|\[\^", answer.json()["detail"])
