"""Installing the SQL functions: once, in place, and never half."""

import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from django.db import connections

from chat.sql import install
from chat.sql.install import functions_fingerprint, install_functions

ALIAS = "spare"


@pytest.fixture
def spare(clone_database: Callable[[], str]) -> Iterator[psycopg.Connection]:
    """Give Django a database of its own under an alias, and a session to look into it."""
    with psycopg.connect(clone_database(), autocommit=True) as connection:
        settings = connections.databases["default"] | {"NAME": connection.info.dbname}
        connections.databases[ALIAS] = settings
        yield connection
        connections[ALIAS].close()
        del connections[ALIAS], connections.databases[ALIAS]


@pytest.fixture
def changed_functions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Point the installer at a copy of the functions, whose texts a test may change."""
    copies = tmp_path / "functions"
    copies.mkdir()
    for path in install._function_files():
        (copies / path.name).write_bytes(path.read_bytes())
    monkeypatch.setattr(install, "FOLDER", tmp_path)
    functions_fingerprint.cache_clear()
    yield copies
    monkeypatch.undo()
    functions_fingerprint.cache_clear()


def read_functions(connection: psycopg.Connection) -> list[tuple[object, ...]]:
    """Return every function of the schema with the transaction that wrote it."""
    return connection.execute(
        "SELECT proname, oid, xmin::text FROM pg_proc"
        " WHERE pronamespace = 'chat'::regnamespace ORDER BY oid"
    ).fetchall()


def read_comment(connection: psycopg.Connection) -> object:
    """Return the fingerprint in the database."""
    (comment,) = connection.execute(
        "SELECT obj_description('chat'::regnamespace, 'pg_namespace')"
    ).fetchone() or (None,)
    return comment


def test_migrate_installed_them(spare: psycopg.Connection) -> None:
    """After `migrate` the database holds this code's functions, under their fingerprint."""
    assert read_comment(spare) == functions_fingerprint()
    assert len(read_functions(spare)) > 10


def test_installing_again_does_nothing(spare: psycopg.Connection) -> None:
    """The second time not one function is written."""
    before = read_functions(spare)

    assert install_functions(ALIAS) is False
    assert read_functions(spare) == before


def test_a_lost_schema_is_installed_anew(spare: psycopg.Connection) -> None:
    """A schema that is gone is made again, with every function."""
    names = [name for name, *_ in read_functions(spare)]
    spare.execute("DROP SCHEMA chat CASCADE")

    assert install_functions(ALIAS) is True
    assert install_functions(ALIAS) is False
    assert [name for name, *_ in read_functions(spare)] == names


def test_two_at_once_install_once(spare: psycopg.Connection) -> None:
    """Of two deploys at once, one installs and the other finds it done; neither fails."""
    spare.execute("DROP SCHEMA chat CASCADE")
    barrier = threading.Barrier(2)
    outcomes: list[bool] = []

    def deploy() -> None:
        with closing(connections[ALIAS]):
            barrier.wait(timeout=10)
            outcomes.append(install_functions(ALIAS))

    threads = [threading.Thread(target=deploy) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)

    assert sorted(outcomes) == [False, True]
    assert read_comment(spare) == functions_fingerprint()


def test_a_changed_text_replaces_in_place(
    spare: psycopg.Connection, changed_functions: Path
) -> None:
    """A function with a new text keeps its identity, so prepared statements go on with it."""
    before = [(name, oid) for name, oid, _ in read_functions(spare)]
    path = changed_functions / "identity.sql"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace('DD"T"HH24', 'DD"t"HH24'), encoding="utf-8")

    installed = install_functions(ALIAS)

    assert installed
    assert [(name, oid) for name, oid, _ in read_functions(spare)] == before
    assert read_comment(spare) == functions_fingerprint()
    changed = spare.execute("SELECT chat.time_text('2026-01-02 03:04:05+00')").fetchone()
    assert changed == ("2026-01-02t03:04:05.000000Z",)


def test_a_broken_text_changes_nothing(spare: psycopg.Connection, changed_functions: Path) -> None:
    """An installation that fails leaves every function and the fingerprint as they were."""
    before = (read_functions(spare), read_comment(spare))
    (changed_functions / "rooms.sql").write_text("CREATE FUNCTION nonsense", encoding="utf-8")

    with pytest.raises(Exception, match="syntax error"):
        install_functions(ALIAS)

    assert (read_functions(spare), read_comment(spare)) == before


def test_functions_lost_with_a_table_come_back(spare: psycopg.Connection) -> None:
    """A function that went with a table is made again, though the schema still bears its mark."""
    spare.execute("DROP FUNCTION chat.room_body")

    assert install_functions(ALIAS) is True

    created = spare.execute("SELECT outcome FROM chat.create_room('a', '{}')").fetchall()
    assert created == [("created",)]
