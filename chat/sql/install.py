"""Installs the functions of `chat/sql/functions` into their schema, `chat`.

The schema is named after the functions' version. A change that alters a signature or a result
takes a new version, in a new schema, and the one before stays for one release: in a rolling deploy
old and new code run side by side. A change that alters neither replaces the functions in place.
"""

import hashlib
import re
from functools import cache
from pathlib import Path

from django.apps import AppConfig
from django.db import connections, transaction
from django.db.backends.utils import CursorWrapper

from chat.sql import FOLDER

SCHEMA = "chat"
_FUNCTION = re.compile(rf"^CREATE OR REPLACE FUNCTION {SCHEMA}\.(\w+)", re.MULTILINE)
# Any constant: it only has to be the same for everyone who installs.
_INSTALL_LOCK = 7_331_001


# Each file uses only functions of the files before it.
_ORDER = ("identity", "events", "messages", "members", "rooms", "installation", "repairs")


def _function_files() -> list[Path]:
    return [FOLDER / "functions" / f"{name}.sql" for name in _ORDER]


@cache
def functions_fingerprint() -> str:
    """Return the content hash of the functions this code calls."""
    digest = hashlib.sha256()
    for path in _function_files():
        digest.update(path.read_bytes())
    return f"besedka functions {digest.hexdigest()}"


def install_functions(using: str = "default") -> bool:
    """Bring the schema's functions to this code's text; return whether anything was done.

    Runs in one transaction under an advisory lock, so two deploys at once install once. A call
    that is running meanwhile may go on in new functions: change two together only if either works
    with the other's old form.
    """
    fingerprint = functions_fingerprint()
    with transaction.atomic(using=using), connections[using].cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_INSTALL_LOCK])
        cursor.execute("SELECT obj_description(to_regnamespace(%s)::oid, 'pg_namespace')", [SCHEMA])
        if cursor.fetchone() == (fingerprint,) and _are_functions_whole(cursor):
            return False
        cursor.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
        for path in _function_files():
            cursor.execute(path.read_text(encoding="utf-8"))
        _refuse_changed_signatures(cursor)
        cursor.execute(f"COMMENT ON SCHEMA {SCHEMA} IS '{fingerprint}'")
    return True


def _are_functions_whole(cursor: CursorWrapper) -> bool:
    """Whether every function is there; dropping a table takes those along that name its row."""
    text = "".join(path.read_text(encoding="utf-8") for path in _function_files())
    wanted = set(_FUNCTION.findall(text))
    cursor.execute("SELECT proname FROM pg_proc WHERE pronamespace = to_regnamespace(%s)", [SCHEMA])
    return wanted <= {name for (name,) in cursor.fetchall()}


def _refuse_changed_signatures(cursor: CursorWrapper) -> None:
    """Raise where a function has two signatures: the one before would stay, and calls be ambiguous.

    The code of the release before may still call it, so it cannot be dropped either: such a change
    belongs into a schema of a new version.
    """
    cursor.execute(
        "SELECT DISTINCT proname FROM pg_proc WHERE pronamespace = %s::regnamespace"
        " GROUP BY proname HAVING count(*) > 1",
        [SCHEMA],
    )
    if names := [name for (name,) in cursor.fetchall()]:
        raise RuntimeError(
            f"The signature of {', '.join(names)} changed: put the functions into a new schema "
            f"instead of {SCHEMA}. Nothing was installed."
        )


def install_after_migrate(
    sender: AppConfig,  # noqa: ARG001 - the signature of the post_migrate signal
    using: str,
    plan: list[tuple[object, bool]],
    **_: object,
) -> None:
    """Install the functions once `migrate` is done; skipped when it went back to before them."""
    if "chat_outbox" in connections[using].introspection.table_names():
        install_functions(using)
    del plan
