"""docs/operations.md names what exists: metrics, verdicts, and the keys of a line of the log."""

import json
import re
import urllib.request
from collections.abc import Callable, Iterator

import pytest

from chat.doctor.explanation import VERDICTS
from embedded.centrifugo import find_centrifugo
from tests.conformance.clients import RawClient, connection_token, run
from tests.conformance.servers import RunningServer, start_server
from tests.contract.test_logs import JWT_SECRET, PRODUCTION
from tests.support.actors import Cast
from tests.support.processes import PROJECT, find_free_port, serve_api

PAGE = (PROJECT / "docs" / "operations.md").read_text(encoding="utf-8")
(ALERTS,) = re.findall(r"^```yaml\ngroups:\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
EXPRESSIONS: dict[str, str] = dict(re.findall(r"- alert: (\w+)[^\n]*\n +expr: ([^\n]+)\n", ALERTS))
NAMES = sorted(set(re.findall(r"\b(?:besedka|centrifugo)_\w+", " ".join(EXPRESSIONS.values()))))
ROUTES = sorted(set(re.findall(r'route="([^"]+)"', ALERTS)))


def scrape(port: int) -> str:
    """Return what Prometheus would read."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        text: str = answer.read().decode()
    return text


def find_series(metrics: str) -> set[str]:
    """Return the names of the series."""
    return set(re.findall(r"^(\w+)(?:\{.*\})? \S+$", metrics, re.MULTILINE))


@pytest.fixture(scope="module")
def observed(clone_database: Callable[[], str], tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the metrics, and then the log, of an API that has stored one message."""
    port, log = find_free_port(), tmp_path_factory.mktemp("log") / "log"
    with (
        log.open("wb") as output,
        serve_api(clone_database(), output=output, METRICS_PORT=str(port), **PRODUCTION) as url,
        Cast(url, secret=JWT_SECRET) as cast,
    ):
        alice = cast.user("alice")
        assert alice.send(cast.service().create_room(alice), "hello").status_code == 201
        metrics = scrape(port)
    return metrics + log.read_text(encoding="utf-8")


def test_every_alert_has_an_expression() -> None:
    """The rules are read as they are meant to be."""
    assert len(EXPRESSIONS) == ALERTS.count("- alert:") > 5


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("besedka_")])
def test_alerts_name_metrics_of_the_api(observed: str, name: str) -> None:
    """An alert on a name that does not exist never fires."""
    assert name in find_series(observed)


@pytest.mark.parametrize("route", ROUTES)
def test_alerts_name_routes_of_the_api(observed: str, route: str) -> None:
    """A label that no series has selects nothing."""
    assert f'route="{route}"' in observed


@pytest.fixture(scope="module", params=["gateway", *(["centrifugo"] if find_centrifugo() else [])])
def realtime(
    request: pytest.FixtureRequest, clone_database: Callable[[], str]
) -> Iterator[RunningServer]:
    """A realtime server that takes one connection of a user."""
    limit = {"USER_CONNECTION_LIMIT": "1"}
    server = start_server(request.param, clone_database(), 8, limit)
    yield server
    assert server.stop() == 0


def test_alerts_name_metrics_of_the_realtime_server(realtime: RunningServer) -> None:
    """Each name of Centrifugo's is a series, and the gateway has those of its own."""

    async def scenario() -> None:
        async with (
            RawClient.connected(realtime, "u"),
            RawClient.open(realtime, "u") as refused,
        ):
            await refused.send({"id": 1, "connect": {"token": connection_token("u")}})
            assert (await refused.wait_closed())[0] == 3504

    run(scenario())
    of_gateway = {"besedka_gateway_disconnects_total", "besedka_gateway_connections"}
    of_centrifugo = {name for name in NAMES if name.startswith("centrifugo_")}
    metrics = scrape(realtime.port)
    wanted = of_gateway if realtime.is_gateway else of_centrifugo
    assert len(wanted) == 2
    assert wanted <= find_series(metrics)
    assert '{code="3504"} 1' in metrics
    assert all(f"`{name}`" in PAGE for name in of_gateway)


def test_every_verdict_is_explained() -> None:
    """The table has each verdict of `manage.py explain`, and no other."""
    (table,) = re.findall(r"^\| verdict \|.*?\n\n", PAGE, re.MULTILINE | re.DOTALL)

    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == list(VERDICTS)


def test_the_log_has_the_keys_that_the_page_selects(observed: str) -> None:
    """Each key in the commands for `jq` and `grep` is one of a line."""
    programs = re.findall(r"jq -Rc '(.*?)'", PAGE, re.DOTALL)
    lines = [json.loads(line) for line in observed.splitlines() if line.startswith("{")]
    sent = next(line for line in lines if line.get("status") == 201 and line["message"])

    keys = {
        key
        for program in programs
        for listed in re.findall(r"\{([\w, ]+)\}$", program)
        for key in listed.split(", ")
    } | {key for program in programs for key in re.findall(r"[( ]\.(\w+)", program)}
    assert len(programs) == 2
    assert {"user", "room", "message", "code", "timestamp"} <= keys <= sent.keys()
