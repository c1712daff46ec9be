"""docs/client.md shows the code that runs, and its figures."""

import asyncio
import inspect
import re

import pytest

from client.api import Backoff
from client.device import BACKLOG
from client.reducer import KEEP, Reducer
from tests.conformance.clients import run
from tests.conformance.servers import RunningServer
from tests.support.actors import Actor
from tests.support.processes import PROJECT

PAGE = (PROJECT / "docs/client.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("function", [Reducer.receive, Reducer._apply, Reducer._change_members])
def test_the_page_shows_the_reducer_as_it_is(function: object) -> None:
    """The code on the page is the code that the tests test."""
    assert inspect.getsource(function) in PAGE  # type: ignore[arg-type]


def test_the_page_has_the_figures_of_the_code() -> None:
    """The bounds and the waits are those of the reference client."""
    assert f"the newest {KEEP} of each room" in PAGE
    assert f"more than {BACKLOG:,} wait" in PAGE
    assert f"{Backoff().first} s × 2ⁿ, at most {Backoff().most:g} s" in PAGE


def test_the_example_runs(
    api_url: str,
    server: RunningServer,
    host: Actor,
    alice: Actor,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The Python code at the end of the page prints the user's rooms."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    host.create_room(alice, name="seen by the example")
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    code = code.replace("http://localhost:9000", api_url)
    code = code.replace("ws://localhost:8000/connection/websocket", server.url)
    names: dict[str, object] = {}
    exec(code, names)
    token = alice.http.headers["Authorization"].removeprefix("Bearer ")

    async def scenario() -> None:
        await asyncio.wait_for(names["main"](alice.user_id, token), 20)  # type: ignore[operator]

    run(scenario())

    assert "seen by the example" in capsys.readouterr().out
