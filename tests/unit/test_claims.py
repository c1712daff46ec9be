"""What claims say under settings of the host's own: how long a token may be valid, and for whom."""

from typing import Any

import pytest
from django.test import override_settings

from app.authentication import InvalidTokenError, Principal
from app.claims import find_claim, load_claim_rules

# Whole and constant: the names of the tests contain it.
NOW = 1_800_000_000


def read(claims: dict[str, Any], **changed: Any) -> Principal:
    """Return what the rules under these settings make of the claims."""
    with override_settings(**changed):
        return load_claim_rules().read_principal({"sub": "alice"} | claims, NOW)


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": NOW + 3600},
        {"exp": NOW + 3600, "iat": NOW},
        {"exp": NOW + 60, "iat": NOW - 3540},
        {"exp": NOW + 3615, "iat": NOW + 15},
        {"exp": NOW + 3600, "iat": "yesterday"},
        {"exp": NOW + 3600, "iat": True},
    ],
)
def test_a_short_token_is_accepted(claims: dict[str, Any]) -> None:
    """A token that is valid for an hour at most passes a bound of an hour, clocks apart or not."""
    assert read(claims, JWT_MAX_LIFETIME_SECONDS=3600).until == claims["exp"] + 30


@pytest.mark.parametrize(
    "claims",
    [
        {},
        {"iat": NOW},
        {"exp": NOW + 3601},
        {"exp": NOW + 3601, "iat": NOW},
        {"exp": NOW + 60, "iat": NOW - 3541},
        {"exp": NOW + 10**9, "iat": NOW + 10**9 - 60},
        {"exp": NOW + 3601, "iat": float("nan")},
        {"exp": NOW + 10**9, "iat": float("inf")},
        {"exp": float("inf")},
        {"exp": 10**400},
    ],
)
def test_a_long_token_is_refused(claims: dict[str, Any]) -> None:
    """No claim hides that a token is valid for longer than the bound, from `iat` or from now."""
    with pytest.raises(InvalidTokenError, match=r"longer than 3600 seconds|valid for ever"):
        read(claims, JWT_MAX_LIFETIME_SECONDS=3600)


def test_an_end_may_be_required() -> None:
    """With JWT_REQUIRE_EXP a token without `exp` is refused; without it, it is valid for ever."""
    assert read({}).until == float("inf")
    assert read({"exp": NOW + 10**9}, JWT_REQUIRE_EXP=True).until == NOW + 10**9 + 30
    with pytest.raises(InvalidTokenError, match="valid for ever"):
        read({}, JWT_REQUIRE_EXP=True)


@pytest.mark.parametrize(
    "iat, issued_at",
    [
        (NOW, NOW),
        (NOW + 0.75, NOW + 0.75),
        (0, 0),
        (None, None),
        ("yesterday", None),
        (True, None),
        ([], None),
        (float("nan"), None),
        (float("inf"), None),
        (10**400, None),
    ],
)
def test_the_issue_is_a_moment_or_none(iat: object, issued_at: float | None) -> None:
    """`iat` is read where it is a time, and nothing is refused because it is none."""
    assert read({"iat": iat}).issued_at == issued_at


@pytest.mark.parametrize(
    "claims, name, value",
    [
        ({"a": 1}, "a", 1),
        ({"a.b": 1, "a": {"b": 2}}, "a.b", 1),
        ({"a": {"b": 2}}, "a.b", 2),
        ({"a": {"b.c": 3}}, "a.b.c", 3),
        ({"a.b": {"c": 4}}, "a.b.c", 4),
        ({"a.b": {"x": 4}, "a": {"b": {"c": 5}}}, "a.b.c", 5),
        ({"https://example.com/roles": 6}, "https://example.com/roles", 6),
        ({"a": "b"}, "a.b", None),
        ({"a": ["b"]}, "a.0", None),
        ({"a": None}, "a.b", None),
        ({}, "a", None),
        ({"": {"": 7}}, ".", 7),
    ],
)
def test_a_claim_is_found_by_its_name_or_its_path(
    claims: dict[str, Any], name: str, value: object
) -> None:
    """The name as it is comes first; then its dots lead into objects, whose names may have dots."""
    assert find_claim(claims, name) == value


@pytest.mark.parametrize(
    "audience, found",
    [
        ("a", True),
        ("b", True),
        (["x", "b"], True),
        ("c", False),
        ("a b", False),
        ("", False),
        ([], False),
        (["c"], False),
        (["a", None], False),
        ({"a": True}, False),
        (True, False),
        (None, False),
    ],
)
def test_one_of_several_audiences_is_enough(audience: object, *, found: bool) -> None:
    """`aud` names one of the configured audiences, as text or in a list of texts."""
    with override_settings(JWT_AUDIENCE=["a", "b"]):
        rules = load_claim_rules()

    if found:
        rules.check_origin({"aud": audience})
        return
    with pytest.raises(InvalidTokenError, match="aud"):
        rules.check_origin({"aud": audience})
