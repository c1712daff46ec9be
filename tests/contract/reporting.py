"""A room in which a message is reported, and the queue that the service reads."""

from typing import Any

from tests.contract.pages import flatten, follow, read_page
from tests.support.actors import Actor


class Scene:
    """A room of Alice and Bob, in which Bob wrote something."""

    def __init__(self, host: Actor, alice: Actor, bob: Actor) -> None:
        self.host, self.alice, self.bob = host, alice, bob
        self.room = host.create_room(alice, bob)
        self.message: int = bob.send(self.room, "a rude word").json()["id"]

    @property
    def path(self) -> str:
        """The address of the report of the message."""
        return f"/api/rooms/{self.room}/messages/{self.message}/report/"

    def report(self, reason: str = "It is rude.") -> int:
        """Report the message as Alice and return the report's id."""
        answer = self.alice.post(self.path, {"reason": reason})
        assert answer.status_code in {200, 201}, answer.text
        report: int = answer.json()["id"]
        return report

    def decide(self, report: int, decision: str, **more: object) -> dict[str, Any]:
        """Decide as the service and return the decision."""
        answer = self.host.post(f"/api/reports/{report}/decide/", {"decision": decision} | more)
        assert answer.status_code in {200, 201}, answer.text
        decided: dict[str, Any] = answer.json()
        return decided

    def read(self, report: int) -> dict[str, Any]:
        """Return the report as the service sees it."""
        content: dict[str, Any] = self.host.get(f"/api/reports/{report}/").json()
        return content


def read_queue(host: Actor, state: str = "open") -> list[int]:
    """Return the ids of all reports in a state, page by page."""
    pages = follow(host, "next", read_page(host, "/api/reports/", state=state, limit=200))
    return [report["id"] for report in flatten(pages)]
