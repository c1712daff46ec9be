"""What the deployment files describe, started without a container engine."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from embedded.centrifugo import find_centrifugo
from tests.deploy.compose import service_environment
from tests.deploy.front import Front, run_nginx
from tests.deploy.image import serve_command
from tests.support.actors import Cast
from tests.support.covered import has_nginx

HERE = Path(__file__).parent


# What runs the real nginx; a machine without it proves the rest, and the summary says so.
NEED_NGINX = [
    "test_nginx.py",
    "test_nginx_deadlines.py",
    "test_nginx_limits.py",
    "test_admin_behind_tls.py",
    "test_mount.py",
    "test_walk.py",
]
collect_ignore = [] if has_nginx() else [*NEED_NGINX, "test_centrifugo.py"]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what needs a Centrifugo where there is none."""
    if find_centrifugo():
        return
    left_out = [
        item
        for item in items
        if item.path.parent == HERE and "centrifugo" in getattr(item, "fixturenames", ())
    ]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


@pytest.fixture(scope="module")
def front(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    """Return nginx before an API and an admin, each with what Compose gives it."""
    folder: Path = tmp_path_factory.mktemp("front")
    with ExitStack() as stack:
        backend, admin = (
            stack.enter_context(serve_command(service_environment(name, database_url)))
            for name in ("backend", "admin")
        )
        for port in (backend, admin):
            httpx.get(f"http://127.0.0.1:{port}/health/ready", timeout=30)
        yield stack.enter_context(run_nginx(folder, backend=backend, admin=admin))


@pytest.fixture
def guests(front: Front) -> Iterator[Cast]:
    """Return the cast of a test, calling through nginx."""
    with Cast(front.url) as people:
        yield people
