"""The admin in production: behind nginx, behind a proxy that ends TLS."""

import re
import secrets
from collections.abc import Callable
from pathlib import Path

import httpx

from tests.deploy.front import run_nginx
from tests.deploy.image import serve_command
from tests.support.processes import run_manage

HOST = "chat.example"
# As the proxy that ends TLS passes a browser's request on.
OUTER = {
    "Host": HOST,
    "Origin": f"https://{HOST}",
    "Referer": f"https://{HOST}/admin/login/",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-For": "203.0.113.7",
}


def test_staff_log_in_behind_tls(clone_database: Callable[[], str], tmp_path: Path) -> None:
    """With DEBUG off and no further setting, the form's origin is accepted and the cookie works."""
    password = secrets.token_urlsafe()
    production = {
        "DATABASE_URL": clone_database(),
        **{
            name: secrets.token_urlsafe(48)
            for name in ("SECRET_KEY", "JWT_SECRET", "CENTRIFUGO_TOKEN_SECRET")
        },
        "ALLOWED_HOSTS": HOST,
        "FORWARDED_ALLOW_IPS": "*",
    }
    account = {"DJANGO_SUPERUSER_USERNAME": "root", "DJANGO_SUPERUSER_EMAIL": "root@chat.example"}
    account["DJANGO_SUPERUSER_PASSWORD"] = password
    run_manage("createsuperuser", "--no-input", **production, **account)
    with (
        serve_command(production | {"SERVE": "admin"}) as admin,
        run_nginx(tmp_path, backend=9, admin=admin) as front,
        httpx.Client(base_url=front.url, timeout=30) as browser,
    ):
        form = browser.get("/admin/login/", headers=OUTER)
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', form.text)
        assert token, form.text
        # Secure cookies: httpx itself would not send them to nginx, which it reaches without TLS.
        cookies = "; ".join(f"{name}={value}" for name, value in form.cookies.items())
        answer = browser.post(
            "/admin/login/?next=/admin/",
            data={"csrfmiddlewaretoken": token[1], "username": "root", "password": password},
            headers=OUTER | {"Cookie": cookies},
        )

    assert answer.status_code == 302, answer.text
    assert answer.headers["location"] == "/admin/"
    assert "sessionid" in answer.cookies
