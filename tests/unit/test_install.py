"""Installing the SQL functions: once, in place, and never half."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from django.db import connections

from chat.sql import FOLDER, install
from chat.sql.install import (
    FUNCTIONS_RELEASE,
    Installed,
    function_digests,
    functions_fingerprint,
    install_functions,
    read_installed,
)
from tests.conftest import TEMPLATE
from tests.support.processes import run_manage

ALIAS = "spare"


def own() -> Installed:
    """Return what this code installs, with the texts as they are now."""
    return Installed(install.FUNCTIONS_RELEASE, functions_fingerprint())


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
    for path in (FOLDER / "functions").glob("*.sql"):
        (copies / path.name).write_bytes(path.read_bytes())
    monkeypatch.setattr(install, "FOLDER", tmp_path)
    read_again()
    yield copies
    monkeypatch.undo()
    read_again()


def read_again() -> None:
    """Let the installer see the texts as they are now."""
    functions_fingerprint.cache_clear()
    function_digests.cache_clear()


def replace_text(path: Path, before: str, after: str) -> str:
    """Change a text of the installer's; return this code's fingerprint from now on."""
    text = path.read_text(encoding="utf-8")
    assert before in text
    path.write_text(text.replace(before, after), encoding="utf-8")
    read_again()
    return functions_fingerprint()


def read_functions(connection: psycopg.Connection) -> list[tuple[object, ...]]:
    """Return every function of the schema with the transaction that wrote it."""
    return connection.execute(
        "SELECT proname, oid, xmin::text FROM pg_proc"
        " WHERE pronamespace = 'chat'::regnamespace ORDER BY oid"
    ).fetchall()


def read_comment(connection: psycopg.Connection) -> str | None:
    """Return the comment of the schema."""
    row: tuple[str | None] | None = connection.execute(
        "SELECT obj_description('chat'::regnamespace, 'pg_namespace')"
    ).fetchone()
    assert row is not None
    return row[0]


def test_migrate_installed_them(spare: psycopg.Connection) -> None:
    """After `migrate` the database holds this code's functions, under their fingerprint."""
    assert read_installed(read_comment(spare)) == own()
    assert len(read_functions(spare)) > 10


def test_installing_again_does_nothing(spare: psycopg.Connection) -> None:
    """The second time not one function is written."""
    before = read_functions(spare)

    assert install_functions(ALIAS) is False
    assert read_functions(spare) == before


def test_a_lost_schema_is_installed_again(spare: psycopg.Connection) -> None:
    """A lost schema is created again, with every function."""
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
    assert read_installed(read_comment(spare)) == own()


def test_a_changed_text_replaces_in_place(
    spare: psycopg.Connection, changed_functions: Path
) -> None:
    """A function with a new text keeps its identity, so prepared statements go on with it."""
    before = [(name, oid) for name, oid, _ in read_functions(spare)]
    replace_text(changed_functions / "identity.sql", 'DD"T"HH24', 'DD"t"HH24')

    installed = install_functions(ALIAS)

    assert installed
    assert [(name, oid) for name, oid, _ in read_functions(spare)] == before
    assert read_installed(read_comment(spare)) == own()
    assert write_time(spare) == "2026-01-02t03:04:05.000000Z"


def write_time(connection: psycopg.Connection) -> object:
    """Return a time in the installed function's words."""
    (text,) = connection.execute("SELECT chat.time_text('2026-01-02 03:04:05+00')").fetchone() or ()
    return text


def test_a_reverted_text_is_installed_again(
    spare: psycopg.Connection, changed_functions: Path
) -> None:
    """A text that was installed before, and then replaced, is installed like any other."""
    older, newer = 'DD"T"HH24', 'DD"t"HH24'
    replace_text(changed_functions / "identity.sql", older, newer)
    assert install_functions(ALIAS) is True
    replace_text(changed_functions / "identity.sql", newer, older)

    assert install_functions(ALIAS) is True

    assert read_installed(read_comment(spare)) == own()
    assert write_time(spare) == "2026-01-02T03:04:05.000000Z"


@pytest.fixture
def later_release(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Let the installer be that of the next release, until the returned function is called."""
    monkeypatch.setattr(install, "FUNCTIONS_RELEASE", FUNCTIONS_RELEASE + 1)
    return lambda: monkeypatch.setattr(install, "FUNCTIONS_RELEASE", FUNCTIONS_RELEASE)


def test_an_older_release_leaves_newer_functions_alone(
    spare: psycopg.Connection, changed_functions: Path, later_release: Callable[[], None]
) -> None:
    """In a deploy, `migrate` of the release before changes nothing, however often it runs."""
    older, newer = 'DD"T"HH24', 'DD"t"HH24'
    replace_text(changed_functions / "identity.sql", older, newer)
    assert install_functions(ALIAS) is True
    before = (read_functions(spare), read_comment(spare))
    replace_text(changed_functions / "identity.sql", newer, older)
    later_release()

    assert [install_functions(ALIAS), install_functions(ALIAS)] == [False, False]

    assert (read_functions(spare), read_comment(spare)) == before
    assert write_time(spare) == "2026-01-02t03:04:05.000000Z"


def test_an_older_release_brings_back_no_dropped_function(
    spare: psycopg.Connection, changed_functions: Path, later_release: Callable[[], None]
) -> None:
    """Where the later release dropped a function, the earlier one restores nothing."""
    older = (changed_functions / "rooms.sql").read_text(encoding="utf-8")
    replace_text(changed_functions / "rooms.sql", "chat.containing(", "chat.containing_v2(")
    assert install_functions(ALIAS) is True
    spare.execute("DROP FUNCTION chat.containing")
    before = (read_functions(spare), read_comment(spare))
    (changed_functions / "rooms.sql").write_text(older, encoding="utf-8")
    read_again()
    later_release()

    assert install_functions(ALIAS) is False

    assert (read_functions(spare), read_comment(spare)) == before


@pytest.mark.parametrize("comment", [None, "", "of somebody else", "besedka functions: a, b"])
def test_another_comment_names_no_release(comment: str | None) -> None:
    """Functions under such a comment are replaced by those of any release."""
    assert read_installed(comment) is None


def test_a_changed_signature_is_refused(spare: psycopg.Connection, changed_functions: Path) -> None:
    """A second signature beside the first would be ambiguous: the advice is a new name."""
    before = (read_functions(spare), read_comment(spare))
    signature = "chat.is_room_name(p_name text"
    replace_text(
        changed_functions / "rooms.sql", f"{signature})", f"{signature}, p_more text DEFAULT '')"
    )

    with pytest.raises(RuntimeError, match=r"signature of is_room_name .* is_room_name_v2"):
        install_functions(ALIAS)

    assert (read_functions(spare), read_comment(spare)) == before


def test_functions_come_back_with_their_tables(spare: psycopg.Connection) -> None:
    """After `migrate` went back, the release that migrates next installs its own functions."""
    later = Installed(FUNCTIONS_RELEASE + 1, "0" * 16)
    spare.execute(f"COMMENT ON SCHEMA chat IS '{later.comment}'".encode())
    run_manage("migrate", "chat", "0004", DATABASE_URL=read_url(spare))
    assert read_comment(spare) is None
    spare.execute("DROP FUNCTION chat.room_body")

    run_manage("migrate", DATABASE_URL=read_url(spare))

    assert read_installed(read_comment(spare)) == own()
    created = spare.execute("SELECT outcome FROM chat.create_room('a', '{}')").fetchall()
    assert created == [("created",)]


def read_url(connection: psycopg.Connection) -> str:
    """Return the address of a session's database."""
    return os.environ["DATABASE_URL"].replace(f"/{TEMPLATE}?", f"/{connection.info.dbname}?")


def test_a_broken_text_changes_nothing(spare: psycopg.Connection, changed_functions: Path) -> None:
    """An installation that fails leaves every function and the fingerprint as they were."""
    before = (read_functions(spare), read_comment(spare))
    (changed_functions / "rooms.sql").write_text("CREATE FUNCTION nonsense", encoding="utf-8")
    read_again()

    with pytest.raises(Exception, match="syntax error"):
        install_functions(ALIAS)

    assert (read_functions(spare), read_comment(spare)) == before


def test_functions_lost_with_a_table_come_back(spare: psycopg.Connection) -> None:
    """A function that was dropped with a table is installed again under the same comment."""
    spare.execute("DROP FUNCTION chat.room_body")

    assert install_functions(ALIAS) is True

    created = spare.execute("SELECT outcome FROM chat.create_room('a', '{}')").fetchall()
    assert created == [("created",)]
