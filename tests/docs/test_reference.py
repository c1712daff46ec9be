"""The reference pages name everything there is."""

import re

from chat.api.application import ROUTES
from chat.api.problems import PROBLEMS
from chat.errors import ChatError
from tests.support.processes import PROJECT


def read_page(name: str) -> str:
    """Return a page of the docs."""
    return (PROJECT / "docs" / name).read_text(encoding="utf-8")


def find_subclasses(kind: type[ChatError]) -> set[type[ChatError]]:
    """Return a class's descendants."""
    found = set(kind.__subclasses__())
    return found.union(*(find_subclasses(child) for child in found))


def test_every_setting_is_documented() -> None:
    """Each variable the settings read has its line in docs/settings.md."""
    source = (PROJECT / "app/settings.py").read_text(encoding="utf-8")
    names = set(re.findall(r"_(?:flag|number|text|words)\(\"(\w+)\"", source))

    documented = set(re.findall(r"`([A-Z_]+)`", read_page("settings.md")))

    assert len(names) > 10
    assert names - documented == set()


def test_every_error_code_is_documented() -> None:
    """Each code an error can have has its line in docs/api.md."""
    codes = {kind.code for kind in find_subclasses(ChatError)} | set(PROBLEMS)

    documented = set(re.findall(r"`(\w+)`", read_page("api.md")))

    assert codes - documented == set()


def test_every_route_is_documented() -> None:
    """Each address and method has its line in docs/api.md."""
    page = read_page("api.md")
    page = page.replace("{id}", "{room_id:str}").replace("{user_id}", "{user_id:str}")
    routes = {
        f"{method} {path.rstrip('/')}"
        for route in ROUTES
        for path in route.paths
        for method in route.http_methods
    }

    missing = [route for route in routes if not re.search(re.escape(route) + r"[/`?]", page)]

    assert missing == []
