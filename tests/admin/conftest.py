"""The admin in this process, on a database of its own; what it writes is committed."""

import secrets
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from django.db import connection as django_connection
from django.test import Client

from tests.admin.staff import Stage
from tests.conftest import TEMPLATE, Connection


@pytest.fixture(scope="session")
def admin_database_url(clone_database: Callable[[], str]) -> Iterator[str]:
    """Point Django's connection at a database that the tests of the admin share."""
    url = clone_database()
    settings = django_connection.settings_dict
    before = settings["NAME"]
    django_connection.close()
    settings["NAME"] = psycopg.conninfo.conninfo_to_dict(url)["dbname"]
    # As in a server: the middleware is there before the first connection is.
    Client(SERVER_NAME="localhost").get("/")
    yield url
    django_connection.close()
    settings["NAME"] = before
    assert before == TEMPLATE


@pytest.fixture
def connection(admin_database_url: str) -> Iterator[Connection]:
    """Return a session of the admin's database."""
    with psycopg.connect(
        admin_database_url, autocommit=True, row_factory=psycopg.rows.dict_row
    ) as session:
        yield session


@pytest.fixture
def stage(connection: Connection) -> Stage:
    """Return rooms, users and what reached the outbox."""
    return Stage(connection)


@pytest.fixture
def log_in(admin_database_url: str) -> Callable[..., Client]:
    """Log in a person who has exactly these permissions, for example `view_message`."""
    from django.contrib.auth.models import Permission, User  # noqa: PLC0415 - loaded before Django

    def log_in_with(*permissions: str, **options: Any) -> Client:
        user = User.objects.create_user(
            f"staff-{secrets.token_hex(4)}", password=None, is_staff=True, **options
        )
        user.user_permissions.set(
            Permission.objects.filter(content_type__app_label="chat", codename__in=permissions)
        )
        client = Client(SERVER_NAME="localhost")
        client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
        return client

    assert admin_database_url
    return log_in_with


@pytest.fixture
def staff(log_in: Callable[..., Client]) -> Client:
    """Return a person who may do everything."""
    return log_in(is_superuser=True)
