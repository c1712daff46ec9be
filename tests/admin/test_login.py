"""Logging in to a real server: guessing a password is stopped, however it is disguised."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import psycopg
import pytest

from tests.support.processes import run_manage, serve_api

PASSWORD = "correct-horse-battery"
LOGIN = "/admin/login/"


@pytest.fixture(scope="module")
def login_database_url(clone_database: Callable[[], str]) -> str:
    """Return a database that only this server uses."""
    return clone_database()


@pytest.fixture(scope="module")
def url(login_database_url: str) -> Iterator[str]:
    """Return the address of a server with two superusers, made as the README says."""
    database_url = login_database_url
    for name in ("root", "admin"):
        run_manage(
            *("createsuperuser", "--no-input", "--username", name, "--email", "root@host.example"),
            DATABASE_URL=database_url,
            DJANGO_SUPERUSER_PASSWORD=PASSWORD,
        )
    with serve_api(database_url, SERVE="all") as address:
        yield address


def log_in(url: str, name: str, password: str, **headers: str) -> httpx.Response:
    """Fill in the login form in a browser of its own."""
    with httpx.Client(base_url=url, trust_env=False, timeout=15, headers=headers) as browser:
        browser.get(LOGIN)
        form = {"username": name, "password": password}
        form["csrfmiddlewaretoken"] = browser.cookies["csrftoken"]
        return browser.post(LOGIN, data=form)


@pytest.mark.slow
def test_ten_wrong_passwords_lock_a_name(url: str) -> None:
    """The name is locked for any address and browser, other names are not, and the page says so."""
    for number in range(9):
        disguise = {"X-Forwarded-For": f"198.51.100.{number}", "User-Agent": f"browser {number}"}
        assert log_in(url, "root", f"guess {number}", **disguise).status_code == 200

    tenth = log_in(url, "root", "guess", **{"X-Forwarded-For": "198.51.100.200"})
    right = log_in(url, "root", PASSWORD, **{"X-Forwarded-For": "203.0.113.1"})

    assert (tenth.status_code, right.status_code) == (429, 429)
    assert right.headers["Retry-After"] == "900"
    assert "It is locked for up to 15 minutes." in right.text
    assert log_in(url, "admin", PASSWORD).status_code == 302


@pytest.mark.slow
def test_logging_in_forgives_earlier_mistakes(url: str) -> None:
    """Five mistakes and the right password, then six and the right one: no lock."""
    for mistakes in (5, 6):
        for _ in range(mistakes):
            assert log_in(url, "admin", "mistake").status_code == 200
        assert log_in(url, "admin", PASSWORD).status_code == 302


@pytest.mark.slow
def test_pages_leave_no_connections_behind(url: str, login_database_url: str) -> None:
    """However many pages are opened at once, PostgreSQL has its connections back afterwards."""
    with httpx.Client(base_url=url, trust_env=False, timeout=30) as browser:
        browser.cookies = log_in(url, "admin", PASSWORD).cookies

        def open_page(_: int) -> int:
            return browser.get("/admin/chat/message/").status_code

        with ThreadPoolExecutor(max_workers=10) as threads:
            assert set(threads.map(open_page, range(60))) == {200}

    with psycopg.connect(login_database_url) as session:
        # A request ends a moment before its connection does.
        (left,) = session.execute(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE application_name = 'besedka-admin' AND datname = current_database()"
        ).fetchone() or (0,)
    assert left < 10
