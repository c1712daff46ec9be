"""Writes docs/rights.md from the table of rights, `app.permissions.RIGHTS`.

    python -m tests.docs.rights

A test requires that the page is what this would write now.
"""

import os
import textwrap
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "rights.md"

_HEAD = """\
# Who may do what in a room

<!-- Written by `python -m tests.docs.rights` from app/permissions.py. -->

A member of a room has a role: `member`, `moderator` or `owner`. The role and the room's kind give
the rights below. `GET /api/rooms/{id}/` shows the caller's own role and rights as `my.role` and
`my.rights`, so a client does not need a copy of these tables.

The host's service and the staff in the admin may do everything, in every room; what they cannot do
either is said below. A user who is not a member of a room has no rights in it: every request is
answered as if there were no such room (404 `not_found`); only a public room can be found and
joined. A member whose role lacks a right gets 403 `right_required`, and `right` in the answer
names it.
"""

_ROOMS = {
    "public": "Anyone finds a public room by search and may join it, except those who are banned.",
    "private": "A private room does not exist for those who are not in it. Members are added, or "
    "come by an invite.",
    "direct": "A direct room has 2 to 8 members, who are all equal and never change. Nobody leaves "
    "it: a user who does not want to see it hides it, or blocks the other one.",
}

_MEANINGS = {
    "send_messages": "Sends messages, unless muted or kept waiting by the slow mode.",
    "leave": "Ends the own membership.",
    "add_members": "Adds users as members; with a higher role it takes `change_roles` too.",
    "create_invites": "Makes links by which users join, and revokes them.",
    "remove_members": "Removes members of a lower role.",
    "mute_members": "Keeps members of a lower role from sending until a time, or lifts that.",
    "ban_members": "Keeps users out of the room until a time, or lifts that. Members of a lower "
    "role are removed by it.",
    "change_roles": "Gives members another role.",
    "change_room": "Changes the name, the data, the history and the slow mode of the room.",
    "archive_room": "Makes the room read-only, or restores it.",
}

_RULES = """\
## Rank

- A member is acted on by higher roles only: a moderator removes, mutes or bans members, and no
  other moderator. Owners act on everyone, also on owners and on themselves.
- Nobody gives a role above the own one.
- Nobody acts on the own membership by these rights except owners: to go, leave the room.

## The last owner

- A room that has an owner keeps one. The role of the only owner cannot be changed (409
  `conflict`), not by the service either: give another member the role `owner` first.
- If the only owner leaves, is removed or is banned, the moderator who joined first becomes an
  owner; without moderators, the member who did. Of those who were added by one request it is the
  one named first. The members receive `user_left`, then `member_updated`.
- A room without members has no owner. A room that never had one, such as a room that the service
  created without naming an owner, does not get one by itself.

## At the same time

Roles are read under the lock of the room in which a change is made. So of two changes that meet,
the second one is judged by what the first one left: a moderator who is demoted while adding a
member has either added the member before, or may no longer add.
"""


def write_page() -> str:
    """Return the page.

    Raises KeyError for a right or a kind that has no sentence here.
    """
    from app.permissions import RIGHTS, Kind, Right  # noqa: PLC0415 - needs Django to be set up

    parts = [_HEAD]
    for kind in Kind:
        rows = "".join(
            f"| `{right}` | "
            + " | ".join("yes" if right in rights else "–" for rights in RIGHTS[kind].values())
            + " |\n"
            for right in Right
        )
        roles = list(RIGHTS[kind])
        parts.append(
            f"## In {kind} rooms\n\n{_wrap(_ROOMS[kind])}\n\n"
            f"| right | {' | '.join(f'`{role}`' for role in roles)} |\n"
            f"| --- |{' --- |' * len(roles)}\n{rows}"
        )
    meanings = "".join(f"| `{right}` | {_MEANINGS[right]} |\n" for right in Right)
    parts.append(f"## What each right allows\n\n| right | allows |\n| --- | --- |\n{meanings}")
    return "\n".join([*parts, _RULES])


def _wrap(text: str) -> str:
    return textwrap.fill(text, 105)


def main() -> None:
    """Write the page."""
    PAGE.write_text(write_page(), encoding="utf-8")


if __name__ == "__main__":
    os.environ["DEBUG"] = "1"
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "app.settings")
    import django

    django.setup()
    main()
