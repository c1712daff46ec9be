"""The commands of docs/deployment.md, as a reader would paste them, and its override."""

import re
import sys
from collections.abc import Callable
from pathlib import Path
from shlex import quote
from typing import Any

import pytest
import yaml

from tests.deploy.compose import COMPOSE_TEXT, load_compose, service_environment
from tests.deploy.front import run_nginx
from tests.deploy.image import serve_command
from tests.docs.test_readme import parse_answers, run_in_bash
from tests.support.processes import PROJECT

PAGE = (PROJECT / "docs/deployment.md").read_text(encoding="utf-8")
WALK = re.findall(r"<!-- walk -->\n```sh\n(.*?)```", PAGE, re.DOTALL)
OVERRIDE = re.findall(r"<!-- override -->\n```yaml\n(.*?)```", PAGE, re.DOTALL)[0]
REQUIRED = {
    "SECRET_KEY": "secret-of-django",
    "JWT_SECRET": "secret-of-the-host",
    "CENTRIFUGO_TOKEN_SECRET": "secret-of-centrifugo",
    "POSTGRES_PASSWORD": "secret-of-postgresql",
    "ALLOWED_HOSTS": "chat.example.com",
    "ALLOWED_ORIGINS": "https://app.example.com",
}


def enter_container(environment: dict[str, str]) -> str:
    """Return bash lines after which `docker compose exec … backend` runs in its environment."""
    account = {"DJANGO_SUPERUSER_USERNAME": "root", "DJANGO_SUPERUSER_EMAIL": "root@example.com"}
    account["DJANGO_SUPERUSER_PASSWORD"] = "tai8Eeng-ohph7Xe"
    variables = environment | account | {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"}
    assignments = " ".join(f"{name}={quote(value)}" for name, value in variables.items())
    return (
        "docker() {\n"
        '  [ "$1 $2" = "compose exec" ] || return 2\n'
        '  while [ "$1" != backend ]; do shift; done; shift\n'
        f'  env -i {assignments} "$@"\n'
        "}\n"
    )


@pytest.mark.slow
def test_every_command_of_the_page_works(clone_database: Callable[[], str], tmp_path: Path) -> None:
    """Pasted into a shell that expands `!`, each command does what the page says."""
    environment = service_environment("backend", clone_database())
    with serve_command(environment) as backend, run_nginx(tmp_path, backend=backend) as front:
        script = (
            "\n".join(WALK)
            .replace("http://localhost:9000", front.url)
            .replace("curl ", "curl --silent --show-error --fail-with-body ")
            # It cannot ask for input here.
            .replace("createsuperuser", "createsuperuser --no-input")
        )
        output = run_in_bash(enter_container(environment) + script)

    answers = output[output.index("{") :]
    created, rooms = parse_answers(answers)
    assert "Superuser created successfully." in output
    assert created["name"] == "general"
    assert [room["id"] for room in rooms["results"]] == [created["id"]]


def merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Merge mappings as Compose merges an override."""
    merged = dict(base)
    for key, value in over.items():
        old = merged.get(key)
        merged[key] = merge(old, value) if isinstance(old, dict) else value
    return merged


@pytest.mark.parametrize("missing", sorted(REQUIRED))
def test_the_production_override_requires_every_secret(missing: str) -> None:
    """Without one of its values Compose does not start anything."""
    values = {name: value for name, value in REQUIRED.items() if name != missing}

    with pytest.raises(KeyError, match=missing):
        load_compose(OVERRIDE, **values)


def test_each_secret_can_be_changed_in_production() -> None:
    """The values from before, of docs/secrets.md, reach the processes from `.env`."""
    before = {f"{name}_BEFORE": f"{name} of before" for name in [*REQUIRED][:3]}
    services = load_compose(OVERRIDE, **REQUIRED | before)["services"]

    for name in ("migrate", "backend", "admin"):
        environment = services[name]["environment"]
        assert environment["SECRET_KEY_BEFORE"] == before["SECRET_KEY_BEFORE"]
        assert environment["JWT_SECRET_BEFORE"] == before["JWT_SECRET_BEFORE"]
    previous = services["centrifugo"]["environment"][
        "CENTRIFUGO_CLIENT_TOKEN_HMAC_PREVIOUS_SECRET_KEY"
    ]
    assert previous == before["CENTRIFUGO_TOKEN_SECRET_BEFORE"]


def test_nothing_of_development_is_left_in_production() -> None:
    """With the override no service has DEBUG on, or a published secret or password."""
    over = load_compose(OVERRIDE, **REQUIRED)
    merged = merge(load_compose(), over)["services"]
    commented = OVERRIDE.replace("# CENTRIFUGO", "CENTRIFUGO")

    assert set(over["services"]) <= set(merged)
    for name in ("migrate", "backend", "admin"):
        assert merged[name]["environment"]["DEBUG"] == "0"
        assert merged[name]["environment"]["SERVE"] == {"migrate": "all", "backend": "api"}.get(
            name, "admin"
        )
    written = yaml.safe_dump(
        [service.get("environment") for service in merged.values()], allow_unicode=True
    )
    assert not re.search(r"django-insecure|development|besedka:besedka|PASSWORD: besedka", written)
    assert "django-insecure" in COMPOSE_TEXT
    engine = load_compose(commented, **REQUIRED)["services"]["centrifugo"]["environment"]
    assert engine["CENTRIFUGO_ENGINE_TYPE"] == "redis"
