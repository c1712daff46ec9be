"""Tokens of Auth0, Keycloak, Cognito and Clerk are verified with the settings of the docs alone."""

import asyncio
import re
import time
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
from django.test import override_settings

from app.authentication import InvalidTokenError, Principal
from app.identity.jwt_verifier import JwtVerifier
from tests.support.identity_provider import Endpoint, make_jwk, make_key, serve_endpoint, sign
from tests.support.processes import PROJECT
from tests.unit.test_settings import read

PAGE = (PROJECT / "docs/integrating.md").read_text(encoding="utf-8")
NOW = int(time.time())
TIMES = {"iat": NOW, "exp": NOW + 3600}
KEY = make_key("RS256")


@cache
def read_documented(heading: str) -> dict[str, Any]:
    """Return what a process reads from the variables that the docs name under a heading."""
    section = PAGE.partition(f"### {heading}\n")[2].partition("\n#")[0]
    variables = dict(re.findall(r"^    (JWT_\w+)=(.+)$", section, re.MULTILINE))
    assert "JWT_JWKS_URL" in variables
    found = read(**variables)
    return {name: value for name, value in found.items() if name.startswith("JWT_")}


AUTH0_ISSUER = "https://tenant.eu.auth0.com/"
AUTH0_TOKEN = {
    "iss": AUTH0_ISSUER,
    "sub": "auth0|6553da60a54af58e29493993",
    "aud": ["https://chat.example.com", "https://tenant.eu.auth0.com/userinfo"],
    "azp": "K1AUPhZq8mRi0Q0pjhkfu1D7y6KjDQja",
    "scope": "openid profile email",
    "https://example.com/roles": ["editor"],
}

KEYCLOAK_ISSUER = "https://id.example.com/realms/shop"
KEYCLOAK_TOKEN = {
    "iss": KEYCLOAK_ISSUER,
    "sub": "36fa0f91-f94d-4a0c-afed-6b7d952e47da",
    "aud": "account",
    "typ": "Bearer",
    "azp": "shop-web",
    "jti": "onrtac:0f1c7a4e-6c0e-45a5-8a0e-a9e6f6a6b1f5",
    "sid": "2a88c258-f73a-4103-b862-e1fbd8f4e04e",
    "acr": "1",
    "allowed-origins": ["https://shop.example.com"],
    "realm_access": {"roles": ["offline_access", "default-roles-shop", "uma_authorization"]},
    "resource_access": {"account": {"roles": ["manage-account", "view-profile"]}},
    "scope": "email profile",
    "email_verified": True,
    "preferred_username": "jane",
}

COGNITO_ISSUER = "https://cognito-idp.eu-west-2.amazonaws.com/eu-west-2_AbCdEfGhI"
COGNITO_ACCESS = {
    "iss": COGNITO_ISSUER,
    "sub": "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee",
    "client_id": "55hud7h5t0example",
    "token_use": "access",
    "scope": "openid aws.cognito.signin.user.admin",
    "cognito:groups": ["admins"],
    "username": "jane",
    "auth_time": NOW,
    "origin_jti": "aaaaaaaa-bbbb-cccc-dddd-ffffffffffff",
    "version": 2,
}
COGNITO_ID = {
    "iss": COGNITO_ISSUER,
    "sub": "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee",
    "aud": "55hud7h5t0example",
    "token_use": "id",
    "cognito:username": "jane",
    "email": "jane@example.com",
    "email_verified": True,
    "auth_time": NOW,
}

CLERK_ISSUER = "https://clerk.example.com"
CLERK_TOKEN = {
    "iss": CLERK_ISSUER,
    "sub": "user_2NNEqL2nrIRdJ194ndJqAHwEfxC",
    "azp": "https://example.com",
    "sid": "sess_2NNEqL2nrIRdJ194ndJqAHwEfxC",
    "nbf": NOW - 10,
    "fva": [7, -1],
    "sts": "active",
    "v": 2,
}


def by_claim(claim: str, value: str) -> dict[str, Any]:
    """Return the settings by which a value of a claim gives the service's rights."""
    return {"JWT_SERVICE_CLAIM": [claim], "JWT_SERVICE_VALUE": value}


@pytest.fixture(scope="module")
def provider() -> Iterator[Endpoint]:
    """Serve the one key that all of these tokens are signed with."""
    with serve_endpoint() as endpoint:
        endpoint.publish(make_jwk(KEY, kid="main", use="sig", alg="RS256"))
        yield endpoint


def verify(provider: Endpoint, heading: str, claims: dict[str, Any], **changed: Any) -> Principal:
    """Return who a token with these claims speaks for, under the documented settings and these."""
    token = sign(TIMES | claims, KEY, kid="main")
    documented = read_documented(heading) | {"JWT_JWKS_URL": [provider.address]}
    with override_settings(**documented | changed):
        return asyncio.run(JwtVerifier().verify(token))


AUTH0, KEYCLOAK, COGNITO, CLERK = "Auth0", "Keycloak", "Amazon Cognito", "Clerk"
USERS: dict[str, tuple[str, dict[str, Any]]] = {
    "auth0": (AUTH0, AUTH0_TOKEN),
    "keycloak": (KEYCLOAK, KEYCLOAK_TOKEN),
    "cognito access": (COGNITO, COGNITO_ACCESS),
    "cognito id": (COGNITO, COGNITO_ID),
    "clerk": (CLERK, CLERK_TOKEN),
}


@pytest.mark.parametrize("name", USERS)
def test_a_user_of_a_provider_is_let_in(provider: Endpoint, name: str) -> None:
    """A token as the provider makes it names its user, with no rights of the service."""
    heading, claims = USERS[name]

    found = verify(provider, heading, claims)

    assert (found.user_id, found.is_service) == (claims["sub"], False)
    assert found.issued_at == NOW
    assert found.until == (TIMES | claims)["exp"] + 30


@pytest.mark.parametrize(
    "name, claim, value",
    [
        ("auth0", "aud", ["https://other.example.com", "https://tenant.eu.auth0.com/userinfo"]),
        ("auth0", "aud", "K1AUPhZq8mRi0Q0pjhkfu1D7y6KjDQja"),
        ("auth0", "aud", None),
        ("auth0", "aud", ["https://chat.example.com", 5]),
        ("auth0", "iss", "https://tenant.eu.auth0.com"),
        ("auth0", "iss", "https://another.eu.auth0.com/"),
        ("auth0", "iss", [AUTH0_ISSUER]),
        ("auth0", "iss", None),
        ("keycloak", "azp", "another-web"),
        ("keycloak", "iss", "https://id.example.com/realms/master"),
        ("cognito access", "client_id", "another"),
        ("cognito id", "aud", "another"),
        ("clerk", "azp", "https://evil.example.com"),
        ("clerk", "azp", None),
        ("clerk", "iss", "https://clerk.evil.example.com"),
    ],
)
def test_a_token_for_another_service_is_refused(
    provider: Endpoint, name: str, claim: str, value: object
) -> None:
    """A token that the provider signed for another service, or as another tenant, is not ours."""
    heading, claims = USERS[name]
    changed = claims | {claim: value} if value is not None else {**claims}
    if value is None:
        del changed[claim]

    with pytest.raises(InvalidTokenError, match=r"iss|another audience"):
        verify(provider, heading, changed)


@pytest.mark.parametrize(
    "heading, claims, changed",
    [
        (AUTH0, AUTH0_TOKEN | {"sub": "awZfdIir8YF@clients", "scope": "chat.manage"}, {}),
        (
            AUTH0,
            AUTH0_TOKEN | {"https://example.com/roles": ["editor", "backend"]},
            by_claim("https://example.com/roles", "backend"),
        ),
        (
            KEYCLOAK,
            KEYCLOAK_TOKEN
            | {"azp": "shop-backend", "realm_access": {"roles": ["x", "chat-service"]}},
            {},
        ),
        (
            KEYCLOAK,
            KEYCLOAK_TOKEN | {"resource_access": {"shop.web": {"roles": ["chat-service"]}}},
            by_claim("resource_access.shop.web.roles", "chat-service"),
        ),
        (COGNITO, COGNITO_ACCESS | {"scope": "other/read chat/manage"}, {}),
        (COGNITO, COGNITO_ACCESS, by_claim("cognito:groups", "admins")),
        (
            CLERK,
            CLERK_TOKEN | {"metadata": {"is_backend": True}},
            by_claim("metadata.is_backend", "true"),
        ),
    ],
)
def test_the_service_is_known_by_its_claim(
    provider: Endpoint, heading: str, claims: dict[str, Any], changed: dict[str, Any]
) -> None:
    """A scope, a namespaced claim, a nested role, a group and a flag give the service's rights."""
    assert verify(provider, heading, claims, **changed).is_service


@pytest.mark.parametrize(
    "heading, claims, changed",
    [
        (KEYCLOAK, KEYCLOAK_TOKEN | {"role": "service", "scope": "chat.manage"}, {}),
        (KEYCLOAK, KEYCLOAK_TOKEN | {"realm_access": {"roles": "chat-services"}}, {}),
        (KEYCLOAK, KEYCLOAK_TOKEN | {"realm_access": {"roles": [["chat-service"]]}}, {}),
        (KEYCLOAK, KEYCLOAK_TOKEN | {"realm_access": ["chat-service"]}, {}),
        (KEYCLOAK, KEYCLOAK_TOKEN | {"roles": ["chat-service"]}, {}),
        (AUTH0, AUTH0_TOKEN | {"https://example.com/roles": ["service"]}, {}),
        (COGNITO, COGNITO_ACCESS | {"scope": "chat/manage2"}, {}),
        (CLERK, CLERK_TOKEN | {"is_backend": False}, by_claim("is_backend", "true")),
        (CLERK, CLERK_TOKEN | {"is_backend": True}, by_claim("is_backend", "1")),
    ],
)
def test_only_that_claim_gives_rights(
    provider: Endpoint, heading: str, claims: dict[str, Any], changed: dict[str, Any]
) -> None:
    """With a claim configured, the seed's `role` and `scope` give none, nor do near misses."""
    assert not verify(provider, heading, claims, **changed).is_service


def test_a_token_of_a_minute_is_let_in(provider: Endpoint) -> None:
    """Clerk's session tokens end after a minute, and the leeway of every token."""
    end = int(time.time()) + 60

    assert verify(provider, CLERK, CLERK_TOKEN | {"exp": end}).until == end + 30


def test_the_user_may_be_in_another_claim(provider: Endpoint) -> None:
    """A host whose ids are in a claim of its own is not bound to the provider's `sub`."""
    name = "https://example.com/user_id"

    assert (
        verify(provider, AUTH0, AUTH0_TOKEN | {name: "u42"}, JWT_USER_CLAIM=name).user_id == "u42"
    )
    for value in (42, None, "", ["u42"]):
        with pytest.raises(InvalidTokenError, match=r"https://example\.com/user_id"):
            verify(provider, AUTH0, AUTH0_TOKEN | {name: value}, JWT_USER_CLAIM=name)
