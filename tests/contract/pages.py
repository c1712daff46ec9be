"""Following the links of a list, as a client does."""

from typing import Any

from tests.support.actors import Actor

Item = dict[str, Any]


def read_page(actor: Actor, address: str, **parameters: object) -> dict[str, Any]:
    """Return one page of a list."""
    answer = actor.get(address, **parameters)
    assert answer.status_code == 200, answer.text
    page: dict[str, Any] = answer.json()
    return page


def follow(actor: Actor, link: str, page: dict[str, Any]) -> list[list[Item]]:
    """Return the results of this page and of every page its `next` or `previous` leads to."""
    pages = [page["results"]]
    while page[link] is not None:
        page = read_page(actor, page[link])
        pages.append(page["results"])
    return pages


def last_page(actor: Actor, page: dict[str, Any]) -> dict[str, Any]:
    """Return the page at the end of the `next` links."""
    while page["next"] is not None:
        page = read_page(actor, page["next"])
    return page


def flatten(pages: list[list[Item]]) -> list[Item]:
    """Return the items of pages that were read one after the other."""
    return [item for page in pages for item in page]
