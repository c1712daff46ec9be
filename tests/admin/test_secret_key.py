"""Changing SECRET_KEY while somebody is logged in, as docs/secrets.md says."""

from collections.abc import Callable

import httpx
import pytest

from tests.admin.test_login import PASSWORD, log_in
from tests.support.processes import run_manage, serve_api

OLD, NEW = "the old secret key " * 3, "the new secret key " * 3


def read_user(database_url: str, cookies: httpx.Cookies, secret: str, before: str) -> int:
    """Open a page in a browser with these cookies, which it keeps up to date; return the status."""
    with (
        serve_api(
            database_url,
            SECRET_KEY=secret,
            SECRET_KEY_BEFORE=before,
            JWT_SECRET="the secret of the host " * 3,
        ) as url,
        httpx.Client(base_url=url, trust_env=False, timeout=15, cookies=cookies) as browser,
    ):
        status = browser.get("/admin/chat/room/").status_code
        cookies.update(browser.cookies)
        return status


@pytest.mark.slow
def test_staff_stay_logged_in_while_the_secret_key_is_changed(
    clone_database: Callable[[], str],
) -> None:
    """Through all steps, whichever process answers, the session goes on; a hasty change ends it."""
    database_url = clone_database()
    run_manage(
        *("createsuperuser", "--no-input", "--username", "root", "--email", "root@host.example"),
        DATABASE_URL=database_url,
        DJANGO_SUPERUSER_PASSWORD=PASSWORD,
    )
    with serve_api(database_url, SECRET_KEY=OLD, JWT_SECRET="the secret of the host " * 3) as url:
        kept, other = (log_in(url, "root", PASSWORD).cookies for _ in range(2))

    steps = [(OLD, NEW), (OLD, ""), (OLD, NEW), (NEW, OLD), (OLD, NEW), (NEW, OLD), (NEW, "")]
    assert [read_user(database_url, kept, *secrets) for secrets in steps] == [200] * len(steps)
    # Without a value from before, a session of the old secret is over.
    assert read_user(database_url, other, NEW, "") == 302
