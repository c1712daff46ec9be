"""Tokens as Auth0, Keycloak, Cognito and Clerk issue them are verified by settings alone."""

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import override_settings

from app.authentication import InvalidTokenError, Principal
from app.jwt_verifier import JwtVerifier
from tests.support.identity_provider import Endpoint, make_jwk, make_key, serve_endpoint, sign

NOW = int(time.time())
TIMES = {"iat": NOW, "exp": NOW + 3600}
KEY = make_key("RS256")

AUTH0_ISSUER = "https://tenant.eu.auth0.com/"
AUTH0 = {"JWT_ISSUER": [AUTH0_ISSUER], "JWT_AUDIENCE": ["https://chat.example.com"]}
AUTH0_TOKEN = {
    "iss": AUTH0_ISSUER,
    "sub": "auth0|6553da60a54af58e29493993",
    "aud": ["https://chat.example.com", "https://tenant.eu.auth0.com/userinfo"],
    "azp": "K1AUPhZq8mRi0Q0pjhkfu1D7y6KjDQja",
    "scope": "openid profile email",
    "https://example.com/roles": ["editor"],
}

KEYCLOAK_ISSUER = "https://id.example.com/realms/shop"
KEYCLOAK = {
    "JWT_ISSUER": [KEYCLOAK_ISSUER],
    "JWT_AUDIENCE": ["shop-web", "shop-backend"],
    "JWT_AUDIENCE_CLAIM": ["azp"],
    "JWT_SERVICE_CLAIM": ["realm_access.roles"],
    "JWT_SERVICE_VALUE": "chat-service",
}
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
COGNITO = {
    "JWT_ISSUER": [COGNITO_ISSUER],
    "JWT_AUDIENCE": ["55hud7h5t0example"],
    "JWT_AUDIENCE_CLAIM": ["client_id", "aud"],
    "JWT_SERVICE_CLAIM": ["scope"],
    "JWT_SERVICE_VALUE": "chat/manage",
}
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
CLERK = {
    "JWT_ISSUER": [CLERK_ISSUER],
    "JWT_AUDIENCE": ["https://example.com"],
    "JWT_AUDIENCE_CLAIM": ["azp"],
}
CLERK_TOKEN = {
    "iss": CLERK_ISSUER,
    "sub": "user_2NNEqL2nrIRdJ194ndJqAHwEfxC",
    "azp": "https://example.com",
    "sid": "sess_2NNEqL2nrIRdJ194ndJqAHwEfxC",
    "nbf": NOW - 10,
    "exp": NOW + 60,
    "fva": [7, -1],
    "sts": "active",
    "v": 2,
}


@pytest.fixture(scope="module")
def provider() -> Iterator[Endpoint]:
    """Serve the one key that all of these tokens are signed with."""
    with serve_endpoint() as endpoint:
        endpoint.publish(make_jwk(KEY, kid="main", use="sig", alg="RS256"))
        yield endpoint


def verify(provider: Endpoint, settings: dict[str, Any], claims: dict[str, Any]) -> Principal:
    """Return who a token with these claims speaks for, under these settings."""
    token = sign(TIMES | claims, KEY, kid="main")
    with override_settings(JWT_JWKS_URL=[provider.address], JWT_ALGORITHMS=["RS256"], **settings):
        return asyncio.run(JwtVerifier().verify(token))


USERS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "auth0": (AUTH0, AUTH0_TOKEN),
    "keycloak": (KEYCLOAK, KEYCLOAK_TOKEN),
    "cognito access": (COGNITO, COGNITO_ACCESS),
    "cognito id": (COGNITO, COGNITO_ID),
    "clerk": (CLERK, CLERK_TOKEN),
}


@pytest.mark.parametrize("name", USERS)
def test_a_user_of_a_provider_is_let_in(provider: Endpoint, name: str) -> None:
    """A token as the provider makes it names its user, with no rights of the service."""
    settings, claims = USERS[name]

    found = verify(provider, settings, claims)

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
    settings, claims = USERS[name]
    changed = claims | {claim: value} if value is not None else {**claims}
    if value is None:
        del changed[claim]

    with pytest.raises(InvalidTokenError, match=r"iss|another audience"):
        verify(provider, settings, changed)


@pytest.mark.parametrize(
    "settings, claims",
    [
        (
            AUTH0,
            AUTH0_TOKEN
            | {"sub": "awZfdIir8YF@clients", "gty": "client-credentials"}
            | {"scope": "chat.manage"},
        ),
        (
            AUTH0
            | {"JWT_SERVICE_CLAIM": ["https://example.com/roles"], "JWT_SERVICE_VALUE": "backend"},
            AUTH0_TOKEN | {"https://example.com/roles": ["editor", "backend"]},
        ),
        (KEYCLOAK, KEYCLOAK_TOKEN | {"realm_access": {"roles": ["x", "chat-service"]}}),
        (
            KEYCLOAK | {"JWT_SERVICE_CLAIM": ["resource_access.shop.web.roles"]},
            KEYCLOAK_TOKEN | {"resource_access": {"shop.web": {"roles": ["chat-service"]}}},
        ),
        (COGNITO, COGNITO_ACCESS | {"scope": "other/read chat/manage"}),
        (
            COGNITO | {"JWT_SERVICE_CLAIM": ["cognito:groups"], "JWT_SERVICE_VALUE": "admins"},
            COGNITO_ACCESS,
        ),
        (
            CLERK | {"JWT_SERVICE_CLAIM": ["metadata.is_backend"], "JWT_SERVICE_VALUE": "true"},
            CLERK_TOKEN | {"metadata": {"is_backend": True}},
        ),
    ],
)
def test_the_service_is_known_by_its_claim(
    provider: Endpoint, settings: dict[str, Any], claims: dict[str, Any]
) -> None:
    """A scope, a namespaced claim, a nested role, a group and a flag give the service's rights."""
    assert verify(provider, settings, claims).is_service


@pytest.mark.parametrize(
    "settings, claims",
    [
        (KEYCLOAK, KEYCLOAK_TOKEN | {"role": "service", "scope": "chat.manage"}),
        (KEYCLOAK, KEYCLOAK_TOKEN | {"realm_access": {"roles": "chat-services"}}),
        (KEYCLOAK, KEYCLOAK_TOKEN | {"realm_access": {"roles": [["chat-service"]]}}),
        (KEYCLOAK, KEYCLOAK_TOKEN | {"realm_access": ["chat-service"]}),
        (KEYCLOAK, KEYCLOAK_TOKEN | {"roles": ["chat-service"]}),
        (AUTH0, AUTH0_TOKEN | {"https://example.com/roles": ["service"]}),
        (COGNITO, COGNITO_ACCESS | {"scope": "chat/manage2"}),
        (
            CLERK | {"JWT_SERVICE_CLAIM": ["is_backend"], "JWT_SERVICE_VALUE": "true"},
            CLERK_TOKEN | {"is_backend": False},
        ),
        (
            CLERK | {"JWT_SERVICE_CLAIM": ["is_backend"], "JWT_SERVICE_VALUE": "1"},
            CLERK_TOKEN | {"is_backend": True},
        ),
    ],
)
def test_only_that_claim_gives_rights(
    provider: Endpoint, settings: dict[str, Any], claims: dict[str, Any]
) -> None:
    """With a claim configured, the seed's `role` and `scope` give none, nor do near misses."""
    assert not verify(provider, settings, claims).is_service


def test_the_user_may_be_in_another_claim(provider: Endpoint) -> None:
    """A host whose ids are in a claim of its own is not bound to the provider's `sub`."""
    settings = AUTH0 | {"JWT_USER_CLAIM": "https://example.com/user_id"}

    found = verify(provider, settings, AUTH0_TOKEN | {"https://example.com/user_id": "u42"})

    assert found.user_id == "u42"
    for value in (42, None, "", ["u42"]):
        with pytest.raises(InvalidTokenError, match=r"https://example\.com/user_id"):
            verify(provider, settings, AUTH0_TOKEN | {"https://example.com/user_id": value})
