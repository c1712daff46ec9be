"""Who may do what: the rights of the host's service, and of the roles in each kind of room.

`RIGHTS` is the only table of rights. `docs/rights.md` is made from it, `my.rights` of a room is
read from it, and the SQL functions, which decide under the room's lock, are given the part of it
that they need (`list_allowed`), so a role that changes meanwhile cannot be used once more.
"""

from collections.abc import Mapping
from enum import StrEnum

from app.authentication import Principal
from chat.errors import ServiceRightsRequiredError


class Kind(StrEnum):
    """What a room is."""

    PUBLIC = "public"
    PRIVATE = "private"
    DIRECT = "direct"


class Role(StrEnum):
    """What a member is, the lowest first."""

    MEMBER = "member"
    MODERATOR = "moderator"
    OWNER = "owner"


class Right(StrEnum):
    """What a member may do in a room; the value is the name in `my.rights` and in errors."""

    SEND_MESSAGES = "send_messages"
    LEAVE = "leave"
    ADD_MEMBERS = "add_members"
    CREATE_INVITES = "create_invites"
    REMOVE_MEMBERS = "remove_members"
    MUTE_MEMBERS = "mute_members"
    BAN_MEMBERS = "ban_members"
    CHANGE_ROLES = "change_roles"
    CHANGE_ROOM = "change_room"
    ARCHIVE_ROOM = "archive_room"


_MEMBER = frozenset({Right.SEND_MESSAGES, Right.LEAVE})
_MODERATOR = _MEMBER | {
    Right.ADD_MEMBERS,
    Right.CREATE_INVITES,
    Right.REMOVE_MEMBERS,
    Right.MUTE_MEMBERS,
    Right.BAN_MEMBERS,
}
_OWNER = _MODERATOR | {Right.CHANGE_ROLES, Right.CHANGE_ROOM, Right.ARCHIVE_ROOM}

# Nobody is more than the other in a direct room, and nobody enters or leaves it: who does not want
# it hides it, or blocks the other one.
_DIRECT = frozenset({Right.SEND_MESSAGES})

RIGHTS: Mapping[Kind, Mapping[Role, frozenset[Right]]] = {
    Kind.PUBLIC: {Role.MEMBER: _MEMBER, Role.MODERATOR: _MODERATOR, Role.OWNER: _OWNER},
    Kind.PRIVATE: {Role.MEMBER: _MEMBER, Role.MODERATOR: _MODERATOR, Role.OWNER: _OWNER},
    Kind.DIRECT: dict.fromkeys(Role, _DIRECT),
}
"""Kind × role → rights. Members are acted on by those of higher roles only, and owners by owners.
The host's service and staff may do everything, in every room."""


def list_allowed(right: Right) -> list[str]:
    """Return where a right is given, as `kind:role`: what the SQL functions take as `p_allowed`."""
    return [
        f"{kind}:{role}"
        for kind, roles in RIGHTS.items()
        for role, rights in roles.items()
        if right in rights
    ]


def list_rights(kind: str, role: str) -> list[str]:
    """Return the rights of a role in a kind of room, in the order of `Right`."""
    rights = RIGHTS[Kind(kind)][Role(role)]
    return [right.value for right in Right if right in rights]


def require_service(principal: Principal) -> None:
    """Let the host's service pass; anyone else gets `ServiceRightsRequiredError`.

    A token has service rights with the claim `role: "service"`, or with the scope `chat.manage` in
    `scp` or `scope`, written as a list or as words separated by spaces; exact in every case. With
    `JWT_SERVICE_CLAIM` only the claim named there gives them.
    """
    if not principal.is_service:
        raise ServiceRightsRequiredError
