"""What a caller may do beyond being a member: the rights of the host's service."""

from app.authentication import Principal
from chat.errors import ServiceRightsRequiredError


def require_service(principal: Principal) -> None:
    """Let the host's service pass; anyone else gets `ServiceRightsRequiredError`.

    A token has service rights with the claim `role: "service"`, or with the scope `chat.manage` in
    `scp` or `scope`, written as a list or as words separated by spaces; exact in every case. With
    `JWT_SERVICE_CLAIM` only the claim named there gives them.
    """
    if not principal.is_service:
        raise ServiceRightsRequiredError
