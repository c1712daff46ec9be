"""Users, who are the host's: its service can refuse the tokens that they hold."""

from litestar import put

from chat import actions
from chat.api.bodies import parse_body
from chat.api.openapi.operations import Operation
from chat.api.paths import parse_user_id
from chat.api.schemas import Revocation, RevokeTokensBody
from chat.api.security import ApiRequest, authenticated, service_only
from chat.queries.revocations import Revocations
from chat.sql.database import Database


@put(
    "/api/users/{user_id:str}/not-before",
    guards=[authenticated, service_only],
    operation=Operation(
        body=RevokeTokensBody,
        is_body_required=False,
        example={"not_before": "2026-01-31T09:30:00Z"},
    ),
)
async def revoke_tokens(
    request: ApiRequest, user_id: str, body: bytes, database: Database, revocations: Revocations
) -> Revocation:
    """Refuse the user's tokens that were issued before a time; repeating it changes nothing.

    For the host's service. Body, optional: `not_before`, a time from 1970 to one minute from now,
    default now; of two times the later one stays. Path: `user_id`, percent-encoded UTF-8, `/` as
    `%2F`.

    Tokens whose `iat` is earlier, or that have none, are answered 401 with the code
    `token_revoked`: by this process at once, by all others within a second. The user's connections
    to Centrifugo end, and the clients ask for new tokens.
    """
    user = parse_user_id(user_id)
    wanted = parse_body(request, body, RevokeTokensBody) if body else RevokeTokensBody()
    revoked = await database.run(actions.revocations.revoke_tokens(user, wanted.not_before))
    revocations.note(user, revoked.seconds)
    return Revocation(user=user, not_before=revoked.not_before)
