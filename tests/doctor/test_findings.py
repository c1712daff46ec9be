"""What the doctor finds, and that it finds nothing else."""

import re
from typing import Any

import pytest

from chat.doctor import examination
from chat.doctor.catalogue import CHECKS, CODES, FOLDER
from tests.doctor.conftest import examine, execute
from tests.doctor.damage import Damage
from tests.doctor.damages import DAMAGES

# Chunks so small that rooms, logs and lists of members are cut everywhere.
SIZES = (1, 2, 3, 7)


def cut(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    """Make chunks of this many rows."""
    for name in ("ROWS", "ROOMS", "OUTBOX_ROWS"):
        monkeypatch.setattr(examination, name, size)


def test_a_varied_history_has_nothing_wrong(url: str) -> None:
    """What the functions wrote, pruned, deleted, renamed and joined, is found healthy and whole."""
    examined = examine(url)

    assert examined.report["findings"] == []
    assert examined.exit_code == 0
    assert examined.report["complete"]
    assert examined.report["next_room"] is None
    assert examined.report["checked"] == {
        "outbox": 42,
        "listeners": 2,
        "rooms": 6,
        "members": 1013,
        "messages": 21,
        "events": 1031,
    }


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES)
def test_a_cut_is_no_finding(history_url: str, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    """Wherever a chunk ends, nothing is found in a healthy database and no row is left out."""
    whole = examine(history_url)
    cut(monkeypatch, size)

    examined = examine(history_url)

    assert examined.report["findings"] == []
    assert examined.report["checked"] == whole.report["checked"]


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damage_is_found_and_nothing_else(url: str, damage: Damage) -> None:
    """Each damage has its code and its place, and no other code is given."""
    execute(url, damage.sql)

    examined = examine(url)

    assert examined.codes == set(damage.codes)
    finding = examined.finding(damage.code)
    assert finding["examples"] == [] or damage.example.items() <= finding["examples"][0].items()
    assert finding["count"] >= 1
    assert finding["severity"] == CODES[damage.code].severity
    assert examined.exit_code == (1 if finding["severity"] == "error" else 0)


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES)
def test_a_cut_hides_no_damage(url: str, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    """Damages of every table at once are found in the same number, however the chunks fall.

    But who joined, and what was deleted, on an earlier chunk of a room is not looked at again.
    """
    planted = [
        name
        for name, damage in DAMAGES.items()
        if not damage.sql.startswith(("DELETE FROM chat_installation", "DROP", "CREATE", "DO"))
        and "table_altered" not in damage.codes
        and not {"migration_missing", "sequence_behind"} & set(damage.codes)
    ]
    for name in planted:
        execute(url, DAMAGES[name].sql)
    whole = examine(url)
    cut(monkeypatch, size)

    examined = examine(url)

    assert len(whole.codes) > 15
    counts, expected = count_by_code(examined.report), count_by_code(whole.report)
    for code in ("log_deletions", "log_members"):
        assert counts.pop(code, 0) <= expected.pop(code)
    assert counts == expected


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "the first message is added by no event",
        "the last message is added by no event",
        "the last message of a pruned log is added by no event",
        "the event of a message is lost",
    ],
)
def test_what_is_carried_from_chunk_to_chunk_is_right(
    url: str, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A damage that shows only across chunks is found where each event is a chunk of its own."""
    execute(url, DAMAGES[name].sql)
    cut(monkeypatch, 1)

    assert examine(url).codes == set(DAMAGES[name].codes)


def count_by_code(report: dict[str, list[dict[str, Any]]]) -> dict[str, int]:
    """Return how often each code was found."""
    return {finding["code"]: finding["count"] for finding in report["findings"]}


def test_the_row_of_a_revocation_is_sound(url: str) -> None:
    """A command that ends a user's connections is one that Centrifugo runs, of any user."""
    for number in range(20):
        execute(url, f"SELECT chat.revoke_tokens('user {number}')")

    assert examine(url).codes == set()


def test_what_is_not_seen_twice_is_not_reported(url: str) -> None:
    """A finding that a second look does not confirm is dropped."""
    execute(
        url,
        # Wrong when it is asked for the first time in a session, then right.
        "CREATE OR REPLACE FUNCTION chat.personal_channel(p_user_id text) RETURNS text"
        " LANGUAGE plpgsql IMMUTABLE STRICT AS $$ BEGIN"
        " IF coalesce(current_setting('tests.asked', true), '') = '' THEN"
        " PERFORM set_config('tests.asked', 'yes', false); RETURN 'wrong'; END IF;"
        " RETURN (SELECT m.channel FROM chat_member m WHERE m.user_id = p_user_id LIMIT 1);"
        " END $$",
    )

    assert examine(url, "--ignore=function_altered").codes == set()


def test_unsafe_settings_are_named(url: str) -> None:
    """Fsync and full_page_writes, which the tests do without, and a commit that does not wait."""
    execute(
        url,
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET synchronous_commit = off',"
        " current_database()); END $$",
    )

    examined = examine(url, defaults=())

    assert examined.finding("setting_unsafe")["examples"] == [
        {"setting": "fsync = off"},
        {"setting": "full_page_writes = off"},
        {"setting": "synchronous_commit = off"},
    ]


def test_every_statement_is_a_check() -> None:
    """Each `-- name:` line begins a check, and no placeholder is left in its text."""
    for path in FOLDER.glob("*.sql"):
        names = re.findall(r"^-- name: (\w+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
        assert [check.code for check in CHECKS[path.stem]] == names
        for check in CHECKS[path.stem]:
            assert not re.search(r"-- name:|\{\w+\}", check.sql + check.meaning), check


def test_a_code_means_the_same_everywhere() -> None:
    """Where two statements find one code, both have its severity and its meaning."""
    for checks in CHECKS.values():
        for check in checks:
            known = CODES[check.code]
            assert (check.severity, check.meaning) == (known.severity, known.meaning)


def test_every_code_was_seen() -> None:
    """Every code has a damage here."""
    seen = {code for damage in DAMAGES.values() for code in damage.codes}

    assert seen | {"setting_unsafe"} == CODES.keys()
