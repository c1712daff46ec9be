"""Reading docker-compose.yml as Compose does: YAML, merges, and `$`."""

import re
from typing import Any

import yaml

from tests.support.processes import PROJECT

COMPOSE_TEXT = (PROJECT / "docker-compose.yml").read_text(encoding="utf-8")
DATABASE_IN_COMPOSE = "postgresql://besedka:besedka@postgres:5432/besedka"

# `$$`, `${NAME:-default}`, `${NAME:?message}`; any other `$` is a mistake.
_DOLLAR = re.compile(r"\$(?:(\$)|\{(\w+)(?::([-?])([^}]*))?\}|(.?))")


def interpolate(text: str, environment: dict[str, str]) -> str:
    """Return a value with its variables filled in."""

    def replace(match: re.Match[str]) -> str:
        escaped, name, operator, default, rest = match.groups()
        if escaped:
            return "$"
        assert name, f"a lone $ before {rest!r}: Compose refuses it or takes it for a variable"
        if environment.get(name):
            return environment[name]
        assert operator, f"{name} has no default and is not required"
        if operator == "?":
            raise KeyError(name)
        return str(default)

    return _DOLLAR.sub(replace, text)


def _walk(value: Any, environment: dict[str, str]) -> Any:
    if isinstance(value, str):
        return interpolate(value, environment)
    if isinstance(value, list):
        return [_walk(item, environment) for item in value]
    if isinstance(value, dict):
        return {key: _walk(item, environment) for key, item in value.items()}
    return value


def load_compose(text: str = COMPOSE_TEXT, **environment: str) -> dict[str, Any]:
    """Return a compose file as Compose sees it in this environment."""
    loaded: dict[str, Any] = _walk(yaml.safe_load(text), environment)
    return loaded


def service_environment(name: str, database_url: str, **environment: str) -> dict[str, str]:
    """Return exactly the variables that Compose gives a service, at a test's database."""
    separator = "&" if "?" in database_url else "?"
    found: dict[str, str] = load_compose(**environment)["services"][name]["environment"]
    return {
        key: value.replace(f"{DATABASE_IN_COMPOSE}?", f"{database_url}{separator}").replace(
            DATABASE_IN_COMPOSE, database_url
        )
        for key, value in found.items()
    }
