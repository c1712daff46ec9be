"""The path prefix: which texts are one, and which part of a path is."""

import pytest

from app.prefix import parse_prefix, read_forwarded_prefix, split_path

HOSTILE = [
    *("//evil.com", "//evil.com/chat", "/chat//x", "https://evil.com", "evil.com", "chat"),
    *("/..", "/chat/..", "/chat/../x", "/.", "/./chat", "/chat/./", "/%2e%2e", "/%2F%2Fevil.com"),
    *(
        "/chat\r\nX: y",
        "/chat\n",
        "/ch at",
        "/chat?x",
        "/chat#x",
        "/chat;x",
        "/a@b",
        "/a:80",
        "/\\x",
    ),
    *("/чат", "/chat, /other", "/" + "x" * 200, "/<script>", '/"', "/chat\x00"),
]


@pytest.mark.parametrize("text", HOSTILE)
def test_what_could_lead_elsewhere_is_no_prefix(text: str) -> None:
    """Another host, a step up, a line break or anything to be escaped never gets into a link."""
    assert parse_prefix(text) is None
    assert read_forwarded_prefix([(b"x-forwarded-prefix", text.encode())]) is None


@pytest.mark.parametrize(
    "text, prefix",
    [
        *(("", ""), ("/", ""), ("/chat", "/chat"), ("/chat/", "/chat")),
        *(("/a/b.c/~d_e-f", "/a/b.c/~d_e-f"), ("/...", "/..."), ("/.well-known/", "/.well-known")),
    ],
)
def test_a_prefix_ends_without_a_slash(text: str, prefix: str) -> None:
    """A slash at the end changes nothing."""
    assert parse_prefix(text) == prefix
    assert (
        read_forwarded_prefix([(b"host", b"x"), (b"x-forwarded-prefix", text.encode())]) == prefix
    )


def test_two_prefixes_are_none() -> None:
    """Of two headers one may be the client's own: neither counts."""
    assert read_forwarded_prefix([(b"x-forwarded-prefix", b"/chat")] * 2) is None
    assert read_forwarded_prefix([]) is None


@pytest.mark.parametrize(
    "root_path, raw_path, expected",
    [
        # As uvicorn gives it, for a proxy that strips the prefix, and for one that does not.
        ("/chat", b"/chat/api/rooms/", ("/chat", b"/api/rooms/")),
        ("/chat", b"/chat/chat/api/rooms/", ("/chat", b"/api/rooms/")),
        ("/chat/", b"/chat//api/rooms/", ("/chat", b"/api/rooms/")),
        ("/chat/", b"/chat//chat/api/rooms/", ("/chat", b"/api/rooms/")),
        ("chat", b"chat/api/rooms/", ("/chat", b"/api/rooms/")),
        ("/a/b", b"/a/b/a/b/health/live", ("/a/b", b"/health/live")),
        # As a server gives it that puts nothing in front.
        ("/chat", b"/api/rooms/", ("/chat", b"/api/rooms/")),
        # The prefix itself.
        ("/chat", b"/chat", ("/chat", b"/")),
        ("/chat", b"/chat/", ("/chat", b"/")),
        ("/chat", b"/chat/chat", ("/chat", b"/")),
        ("/chat", b"/chat/chat/", ("/chat", b"/")),
        # Whole segments only, and once only.
        ("/chat", b"/chat/chatter/api/", ("/chat", b"/chatter/api/")),
        ("/chat", b"/chatter/api/", ("/chat", b"/chatter/api/")),
        ("/chat", b"/chat/chat/chat/api/", ("/chat", b"/chat/api/")),
        # What is escaped stays as it is.
        (
            "/chat",
            b"/chat/api/rooms/1/members/a%2Fchat/",
            ("/chat", b"/api/rooms/1/members/a%2Fchat/"),
        ),
        ("/chat", b"/chat/chat/api/rooms/1/members/%FF/", ("/chat", b"/api/rooms/1/members/%FF/")),
        ("/chat", b"/chat/%63hat/api/", ("/chat", b"/%63hat/api/")),
        # Prefixes that look like an address of ours: the proxy strips them.
        ("/api", b"/api/api/rooms/", ("/api", b"/api/rooms/")),
        ("/admin", b"/admin/admin/login/", ("/admin", b"/admin/login/")),
        # A server that was started with what is none.
        ("//evil.com/..", b"//evil.com/../api/rooms/", ("", b"/api/rooms/")),
    ],
)
def test_a_path_is_split_after_its_prefix(
    root_path: str, raw_path: bytes, expected: tuple[str, bytes]
) -> None:
    """The prefix is taken off once for the server and once for a proxy that left it there."""
    assert split_path(root_path, raw_path) == expected
