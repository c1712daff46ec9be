"""What the claims of a verified token say: who it is, with which rights, until when."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings

from app.authentication import LEEWAY_SECONDS, InvalidTokenError, Principal
from chat.realtime.channels import describe_invalid_user_id

SERVICE_ROLE = "service"
SERVICE_SCOPE = "chat.manage"

Claims = Mapping[str, Any]


class LivesTooLongError(InvalidTokenError):
    """The token is valid for a longer time than the settings allow."""


@dataclass(frozen=True, slots=True)
class ClaimRules:
    """Which claims are read, and what they have to say: the settings whose names begin with `JWT_`.

    The name of a claim is taken as it is; if there is no such claim, its dots lead into objects:
    `realm_access.roles`.
    """

    issuers: Collection[str]
    """One of them is `iss`; empty where any may be."""
    audiences: Collection[str]
    """One of them is in one of `audience_claims`; empty where any may be."""
    audience_claims: Sequence[str]
    user_claim: str
    service_claims: Sequence[str]
    """The service's token has `service_value` in one of them. Empty: it has `role: service`, or
    `chat.manage` in `scp` or `scope`."""
    service_value: str
    require_exp: bool
    lifetime_most: int
    """How many seconds a token may be valid for; 0 where any time will do."""

    def check_origin(self, claims: Claims) -> None:
        """Raise `InvalidTokenError` where the token is of another issuer or audience."""
        issuer = claims.get("iss")
        if self.issuers and not (isinstance(issuer, str) and issuer in self.issuers):
            raise InvalidTokenError(
                "The claim iss names none of the issuers that are accepted here."
            )
        if self.audiences and not any(
            self._is_audience(find_claim(claims, name)) for name in self.audience_claims
        ):
            names = " or ".join(self.audience_claims)
            raise InvalidTokenError(f"The claim {names} names another audience than this service.")

    def _is_audience(self, claim: object) -> bool:
        given = [claim] if isinstance(claim, str) else claim
        if not isinstance(given, list) or not all(isinstance(name, str) for name in given):
            return False
        return any(name in self.audiences for name in given)

    def read_principal(self, claims: Claims, now: float) -> Principal:
        """Return who the token speaks for, or raise `InvalidTokenError`.

        now: in seconds since 1970. `exp` and `nbf` are not compared with it here.
        """
        end, issued_at = read_time(claims, "exp"), read_issue(claims)
        if end is None and (self.require_exp or self.lifetime_most):
            raise LivesTooLongError("The token has no claim exp, so it would be valid for ever.")
        if end is not None and self.lifetime_most:
            self._check_lifetime(end, issued_at, now)
        return Principal(
            user_id=self._read_user_id(claims),
            is_service=self._is_service(claims),
            until=math.inf if end is None else end + LEEWAY_SECONDS,
            issued_at=issued_at,
        )

    def _check_lifetime(self, end: float, issued_at: float | None, now: float) -> None:
        if issued_at is None:
            is_long = end - now > self.lifetime_most
        else:
            # A token from the future counts from now, or its `iat` would hide how long it is valid.
            is_long = end - issued_at > self.lifetime_most or (
                end - now > self.lifetime_most + LEEWAY_SECONDS
            )
        if is_long:
            raise LivesTooLongError(
                f"The token is valid for longer than {self.lifetime_most} seconds."
            )

    def _read_user_id(self, claims: Claims) -> str:
        subject = find_claim(claims, self.user_claim)
        if not isinstance(subject, str):
            fact = "is missing" if subject is None else "is not a string"
            raise InvalidTokenError(f"The claim {self.user_claim} {fact}.")
        if (reason := describe_invalid_user_id(subject)) is not None:
            raise InvalidTokenError(f"The claim {self.user_claim} is not a user id: {reason}")
        return subject

    def _is_service(self, claims: Claims) -> bool:
        if self.service_claims:
            return any(
                _has_value(find_claim(claims, name), self.service_value)
                for name in self.service_claims
            )
        return (
            claims.get("role") == SERVICE_ROLE
            or SERVICE_SCOPE in _read_words(claims.get("scp"))
            or SERVICE_SCOPE in _read_words(claims.get("scope"))
        )


def load_claim_rules() -> ClaimRules:
    """Return the rules of this process's settings."""
    return ClaimRules(
        issuers=frozenset(settings.JWT_ISSUER),
        audiences=frozenset(settings.JWT_AUDIENCE),
        audience_claims=tuple(settings.JWT_AUDIENCE_CLAIM),
        user_claim=settings.JWT_USER_CLAIM,
        service_claims=tuple(settings.JWT_SERVICE_CLAIM),
        service_value=settings.JWT_SERVICE_VALUE,
        require_exp=settings.JWT_REQUIRE_EXP,
        lifetime_most=settings.JWT_MAX_LIFETIME_SECONDS,
    )


def find_claim(claims: object, name: str) -> Any:  # noqa: ANN401 - any JSON
    """Return a claim by its name, or by its path with dots; None where there is none."""
    if not isinstance(claims, dict):
        return None
    if name in claims:
        return claims[name]
    # Names may contain dots themselves, such as https://example.com/roles.
    parts = name.split(".")
    for count in range(len(parts) - 1, 0, -1):
        outer = claims.get(".".join(parts[:count]))
        if (found := find_claim(outer, ".".join(parts[count:]))) is not None:
            return found
    return None


def read_time(claims: Claims, name: str) -> float | None:
    """Return the whole second of a claim, or None; raise `InvalidTokenError` at other values."""
    if name not in claims:
        return None
    number = _read_number(claims[name])
    if number is None:
        raise InvalidTokenError(f"The claim {name} is not a number.")
    return float(int(number)) if math.isfinite(number) else number


def read_issue(claims: Claims) -> float | None:
    """Return `iat`, or None where it is no time: nothing is refused because of that here.

    With its fraction: a revocation is exact to the microsecond.
    """
    number = _read_number(claims.get("iat"))
    return number if number is not None and math.isfinite(number) else None


def _read_number(value: object) -> float | None:
    # In a JWT a time is a number (RFC 7519). To Python, true and false are numbers too.
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
    return None if math.isnan(number) else number


def _has_value(claim: object, value: str) -> bool:
    """Return whether a claim is the value, has it as a word or an item, or is true for `true`."""
    if isinstance(claim, bool):
        return claim and value == "true"
    return claim == value or value in _read_words(claim)


def _read_words(claim: object) -> list[object]:
    if isinstance(claim, str):
        return [*claim.split(" ")]
    return claim if isinstance(claim, list) else []
