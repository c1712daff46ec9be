"""`python -m embedded` with the real service, in a copy of the checkout, on free ports."""

import os
import re
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

import httpx
import pytest

from embedded.processes import find_postgres
from tests.launcher.test_supervisor import pids
from tests.launcher.watched import ROOT, Started, Watched, python
from tests.support.processes import find_free_port

pytestmark = pytest.mark.slow
LAST_LINE = "manage.py watch"


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the files that `make up` uses, without data."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in ("app", "chat", "client", "embedded", "centrifugo", "demo"):
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name)
    for name in ("manage.py", "Makefile"):
        shutil.copy(ROOT / name, folder)
    return folder


@pytest.fixture
def ports() -> dict[str, str]:
    """Choose free ports for one run."""
    return {"PORT": str(find_free_port()), "REALTIME_PORT": str(find_free_port())}


@pytest.fixture
def run(checkout: Path, ports: dict[str, str]) -> Iterator[Started]:
    """Start everything with the gateway and wait for the last line of the welcome."""
    environment = {**ports, "CENTRIFUGO_BIN": "", "PATH": "/usr/bin:/bin"}
    with Started(python("-m", "embedded"), checkout, environment) as started:
        started.wait_for(LAST_LINE)
        yield started


def test_the_printed_lines_work(run: Started, ports: dict[str, str]) -> None:
    """Each printed curl line works with the printed token on the demo's data."""
    said = "".join(run.said)
    assert f"ws://127.0.0.1:{ports['REALTIME_PORT']}/connection/websocket" in said
    token = re.findall(r"^ *TOKEN=(\S+)$", said, re.MULTILINE)[-1]
    lines = re.findall(r"^ *curl .*?(?:-d '([^']*)' )?(http\S+)$", said, re.MULTILINE)
    assert len(lines) == 3
    with httpx.Client(headers={"Authorization": f"Bearer {token}"}) as client:
        for body, url in lines:
            if body:
                headers = {"Content-Type": "application/json"}
                assert client.post(url, content=body, headers=headers).status_code == 201
            else:
                answer = client.get(url)
                assert answer.status_code == 200
                assert answer.json()["results"]


def test_a_second_start_is_quick(run: Started, checkout: Path, ports: dict[str, str]) -> None:
    """A start on existing data is ready in seconds, keeps the data, and adds no second demo."""

    def count_messages(started: Started) -> int:
        said = "".join(started.said)
        token = re.findall(r"TOKEN=(\S+)", said)[-1]
        url = re.findall(r"(http\S+/messages/)$", said, re.MULTILINE)[-1]
        return len(httpx.get(url, headers={"Authorization": f"Bearer {token}"}).json()["results"])

    before = count_messages(run)
    run.process.terminate()
    assert run.finish()[0] == 0
    began = monotonic()
    with Started(python("-m", "embedded"), checkout, {**ports, "CENTRIFUGO_BIN": ""}) as again:
        again.wait_for(LAST_LINE)
        took = monotonic() - began
        sys.stdout.write(f"second start: {took:.1f} s\n")
        assert took < 10
        assert count_messages(again) == before > 0


def test_manage_py_finds_the_run(run: Started, checkout: Path) -> None:
    """`manage.py` in a second terminal finds the running database by itself."""
    count = "from chat.models import Room; print('rooms', Room.objects.count())"
    with Started(python("manage.py", "shell", "-c", count), checkout) as shell:
        assert int(shell.wait_for("rooms").split()[-1]) >= 2
    assert run.process.poll() is None


def test_ctrl_c_ends_every_process(run: Started, checkout: Path) -> None:
    """Ctrl-C ends the real parts within ten seconds and leaves no process."""
    with Watched(pids(checkout)) as watched:
        began = monotonic()
        os.killpg(run.process.pid, signal.SIGINT)  # as a terminal does
        code, said = run.finish()
        assert monotonic() - began < 10
        assert watched.alive_after(0) == []
    assert code == 0, said
    assert find_postgres(checkout / ".data" / "postgres") == []


@pytest.mark.parametrize(
    ("signum", "target"), [(signal.SIGTERM, "make"), (signal.SIGINT, "supervisor")]
)
def test_make_up_stops_in_the_background_of_a_shell_that_ignores_sigint(
    checkout: Path, ports: dict[str, str], signum: signal.Signals, target: str
) -> None:
    """`make up &` under `trap "" INT` stops on SIGTERM, and on SIGINT to its supervisor."""
    # Its Python is that of the tests, so nothing has to be installed.
    make = f"make --assume-old=.venv/.installed BIN={Path(sys.executable).parent} up"
    # `make test` hands its flags to each make below it, which would then print more.
    alone = "unset MAKEFLAGS MAKELEVEL"
    shell = ["sh", "-c", f'{alone}; trap "" INT; {make} & echo "pid $!"; wait']
    with Started(shell, checkout, {**ports, "CENTRIFUGO_BIN": ""}) as started:
        running = {"make": int(started.wait_for("pid ").split()[1])}
        started.wait_for(LAST_LINE)
        running["supervisor"] = int((checkout / ".data" / "lock").read_text())
        with Watched([*running.values(), *pids(checkout)]) as watched:
            os.kill(running[target], signum)
            _, said = started.finish()
            assert watched.alive_after(0) == []
    assert "Everything is stopped." in said
