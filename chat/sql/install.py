"""Installs the functions of `chat/sql/functions` into their schema, `chat`.

In a rolling deploy the code of two releases runs on one set of functions, that of the later one. So
a function whose signature or result changes takes a new name (`send_messages_v2`), and the one
before stays for one release; a migration of the next release drops it. Any other change replaces
the function in place.

The schema's comment names the installed functions: `besedka functions: <a>, <b>, <c>`, fingerprints
in the order in which they were installed. The last one is installed now. Code whose fingerprint is
in the list may run: its own functions are there, or those of a later release.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from functools import cache

from django.apps import AppConfig
from django.db import connections, transaction
from django.db.backends.utils import CursorWrapper

from chat.sql import FOLDER

SCHEMA = "chat"
HISTORY_LENGTH = 20
"""How many installations the schema's comment names."""
_COMMENT = "besedka functions: "
_FUNCTION = re.compile(
    rf"^CREATE OR REPLACE FUNCTION {SCHEMA}\.(\w+).*?AS \$\$(.*?)\$\$;", re.MULTILINE | re.DOTALL
)
# Any constant: it only has to be the same for everyone who installs.
_INSTALL_LOCK = 7_331_001

# Each file uses only functions of the files before it.
_ORDER = ("identity", "events", "messages", "members", "rooms", "installation", "repairs")


def _read_texts() -> list[str]:
    return [(FOLDER / "functions" / f"{name}.sql").read_text(encoding="utf-8") for name in _ORDER]


@cache
def functions_fingerprint() -> str:
    """Return what tells this code's functions from those of other releases."""
    return hashlib.sha256("".join(_read_texts()).encode()).hexdigest()[:16]


@cache
def function_digests() -> Mapping[str, str]:
    """Return the SHA-256 of each function's body, by name."""
    return {
        name: hashlib.sha256(body.encode()).hexdigest()
        for text in _read_texts()
        for name, body in _FUNCTION.findall(text)
    }


def read_history(comment: str | None) -> list[str]:
    """Return the fingerprints that the schema's comment names; the last one is installed now."""
    if comment is None or not comment.startswith(_COMMENT):
        return []
    return comment.removeprefix(_COMMENT).split(", ")


def write_history(fingerprints: Sequence[str]) -> str:
    """Return the comment that names these fingerprints."""
    return _COMMENT + ", ".join(fingerprints[-HISTORY_LENGTH:])


def install_functions(using: str = "default") -> bool:
    """Bring the schema's functions to this code's text; return whether anything was done.

    Nothing is done where a later release has installed its own: a process of the release before
    that starts during a deploy must not take them away, also where a migration of the later release
    dropped a function that this code has.

    Runs in one transaction under an advisory lock, so two deploys at once install once. A call
    that is running meanwhile may continue in new functions: change two together only if each works
    with the old form of the other.
    """
    with transaction.atomic(using=using), connections[using].cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_INSTALL_LOCK])
        cursor.execute("SELECT obj_description(to_regnamespace(%s)::oid, 'pg_namespace')", [SCHEMA])
        (comment,) = cursor.fetchone() or (None,)
        history = read_history(comment)
        if functions_fingerprint() in history[:-1]:
            return False
        if functions_fingerprint() in history and _are_functions_whole(cursor):
            return False
        cursor.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
        for text in _read_texts():
            cursor.execute(text)
        _refuse_changed_signatures(cursor)
        earlier = [name for name in history if name != functions_fingerprint()]
        cursor.execute(
            f"COMMENT ON SCHEMA {SCHEMA} IS '{write_history([*earlier, functions_fingerprint()])}'"
        )
    return True


def _are_functions_whole(cursor: CursorWrapper) -> bool:
    """Whether every function is there; dropping a table drops those that have its row type."""
    cursor.execute("SELECT proname FROM pg_proc WHERE pronamespace = to_regnamespace(%s)", [SCHEMA])
    return function_digests().keys() <= {name for (name,) in cursor.fetchall()}


def _refuse_changed_signatures(cursor: CursorWrapper) -> None:
    """Raise where a function has two signatures, between which a call would be ambiguous.

    The release before may still call it, so it cannot be dropped either: the function with the new
    signature needs a new name.
    """
    cursor.execute(
        "SELECT DISTINCT proname FROM pg_proc WHERE pronamespace = %s::regnamespace"
        " GROUP BY proname HAVING count(*) > 1",
        [SCHEMA],
    )
    if names := [name for (name,) in cursor.fetchall()]:
        raise RuntimeError(
            f"The signature of {', '.join(names)} changed: give the function a new name, such as "
            f"{names[0]}_v2. Nothing was installed."
        )


def install_after_migrate(
    sender: AppConfig,  # noqa: ARG001 - the signature of the post_migrate signal
    using: str,
    plan: list[tuple[object, bool]],
    **_: object,
) -> None:
    """Install the functions at the end of `migrate`, unless it went back to before their tables."""
    # The newest table that a function names.
    if "chat_room_key" in connections[using].introspection.table_names():
        install_functions(using)
    else:
        _forget_history(using)
    del plan


def _forget_history(using: str) -> None:
    """Empty the history where tables went: functions went with them, of any release."""
    with connections[using].cursor() as cursor:
        cursor.execute("SELECT FROM pg_namespace WHERE nspname = %s", [SCHEMA])
        if cursor.rowcount:
            cursor.execute(f"COMMENT ON SCHEMA {SCHEMA} IS NULL")
