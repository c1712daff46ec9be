"""Installs the functions of `chat/sql/functions` into their schema, `chat`.

In a rolling deploy the code of two releases runs on one set of functions, that of the later one. So
a function whose signature or result changes takes a new name (`send_messages_v2`), and the one
before stays for one release; a migration of the next release drops it. Any other change replaces
the function in place.

The schema's comment names what is installed: `besedka functions <release> <fingerprint>`. The
release is a number that rises, so it distinguishes older functions from later ones. The fingerprint
is a hash of the texts.
"""

import hashlib
import re
from collections.abc import Mapping
from functools import cache
from typing import NamedTuple

from django.apps import AppConfig
from django.db import connections, transaction
from django.db.backends.utils import CursorWrapper
from django.db.migrations.recorder import MigrationRecorder

from chat.migrations import known_migrations
from chat.sql import FOLDER

SCHEMA = "chat"
FUNCTIONS_RELEASE = 3
"""Raise it once in each release that changes a function; a test compares it with the one before."""
_COMMENT = re.compile(r"besedka functions (?P<release>\d+) (?P<fingerprint>[0-9a-f]{16})")
_FUNCTION = re.compile(
    rf"^CREATE OR REPLACE FUNCTION {SCHEMA}\.(\w+).*?AS \$\$(.*?)\$\$;", re.MULTILINE | re.DOTALL
)
# Any constant: it only has to be the same for everyone who installs.
_INSTALL_LOCK = 7_331_001

# Each file uses only functions of the files before it.
_ORDER = (
    "identity",
    "audit",
    "rights",
    "limits",
    "listeners",
    "events",
    "messages",
    "members",
    "removals",
    "joins",
    "invites",
    "rooms",
    "direct",
    "bans",
    "blocks",
    "room_changes",
    "desired_state",
    "reports",
    "words",
    "room_deletions",
    "revocations",
    "installation",
    "repairs",
)


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


class Installed(NamedTuple):
    """The functions in a database: the number of their release, and their fingerprint."""

    release: int
    fingerprint: str

    @property
    def comment(self) -> str:
        """The comment of the schema that says so."""
        return f"besedka functions {self.release} {self.fingerprint}"


def read_installed(comment: str | None) -> Installed | None:
    """Return what the schema's comment says, or None where it says nothing of ours."""
    found = _COMMENT.fullmatch(comment or "")
    return Installed(int(found["release"]), found["fingerprint"]) if found else None


def install_functions(using: str = "default") -> bool:
    """Bring the schema's functions to this code's text; return whether anything was done.

    Nothing is done where a later release has installed its own: a process of the release before
    that starts during a deploy must not take them away. Between texts of one release the last
    `migrate` decides.

    Runs in one transaction under an advisory lock, so two deploys at once install once. A call
    that is running meanwhile may continue in new functions: change two together only if each works
    with the old form of the other.
    """
    with transaction.atomic(using=using), connections[using].cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_INSTALL_LOCK])
        cursor.execute("SELECT obj_description(to_regnamespace(%s)::oid, 'pg_namespace')", [SCHEMA])
        (comment,) = cursor.fetchone() or (None,)
        installed = read_installed(comment)
        own = Installed(FUNCTIONS_RELEASE, functions_fingerprint())
        if installed is not None and installed.release > own.release:
            return False
        if installed == own and _are_functions_whole(cursor):
            return False
        cursor.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
        for text in _read_texts():
            cursor.execute(text)
        _refuse_changed_signatures(cursor)
        cursor.execute(f"COMMENT ON SCHEMA {SCHEMA} IS '{own.comment}'")
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
    connection = connections[using]
    applied = {
        name for app, name in MigrationRecorder(connection).applied_migrations() if app == "chat"
    }
    if known_migrations() <= applied:
        install_functions(using)
    else:
        # Dropping a table drops the functions that have its row type, of any release.
        with connection.cursor() as cursor:
            cursor.execute("SELECT to_regnamespace(%s) IS NOT NULL", [SCHEMA])
            if cursor.fetchone() == (True,):
                cursor.execute(f"COMMENT ON SCHEMA {SCHEMA} IS NULL")
    del plan
