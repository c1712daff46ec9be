"""The reference pages name every setting, error code, event and address."""

import re
from typing import get_args, get_type_hints

from chat.api.application import ROUTES
from chat.api.problems import PROBLEMS
from chat.errors import ChatError
from chat.events import Event
from tests.docs import rights
from tests.docs.problems import write_page
from tests.support.processes import PROJECT


def read_page(name: str) -> str:
    """Return a page of the docs."""
    return (PROJECT / "docs" / name).read_text(encoding="utf-8")


def find_subclasses(kind: type[ChatError]) -> set[type[ChatError]]:
    """Return a class's descendants."""
    found = set(kind.__subclasses__())
    return found.union(*(find_subclasses(child) for child in found))


def test_every_setting_is_documented() -> None:
    """Each variable that the settings read has a row in docs/settings.md."""
    source = (PROJECT / "app/settings.py").read_text(encoding="utf-8")
    names = set(re.findall(r'_(?:(?:flag|number|text|words)\(|environment\.str, )"(\w+)"', source))

    documented = set(re.findall(r"`([A-Z_]+)`", read_page("settings.md")))

    assert len(names) > 10
    assert names - documented == set()


def test_every_error_has_its_problem() -> None:
    """Each code that an error of the domain has is in the registry of problems."""
    codes = {kind.code for kind in find_subclasses(ChatError)}

    assert codes - set(PROBLEMS) == set()


def test_the_table_of_codes_is_up_to_date() -> None:
    """docs/api.md has the table that `python -m tests.docs.problems` writes from the registry."""
    page = read_page("api.md")

    assert page == write_page(page)


def test_every_event_is_documented() -> None:
    """Each type of event has its row in docs/events.md, and no other type has one."""
    types = {get_args(get_type_hints(kind)["type"])[0] for kind in get_args(Event)}

    assert set(re.findall(r"^\| `(\w+)` \|", read_page("events.md"), re.MULTILINE)) == types


def test_every_route_is_documented() -> None:
    """Each address, with each of its methods, is in docs/api.md."""
    page = read_page("api.md")
    page = re.sub(r"\{(\w+)\}", r"{\1:str}", page.replace("{id}", "{room_id}"))
    routes = {
        f"{method} {path.rstrip('/')}"
        for route in ROUTES
        for path in route.paths
        for method in route.http_methods
    }

    missing = [route for route in routes if not re.search(re.escape(route) + r"[/`?]", page)]

    assert missing == []


def test_the_page_of_rights_is_the_table() -> None:
    """docs/rights.md is what `python -m tests.docs.rights` writes from app/permissions.py."""
    assert rights.write_page() == read_page("rights.md")
