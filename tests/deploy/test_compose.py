"""docker-compose.yml, read as Compose reads it."""

import json
import re
from typing import Any

import pytest

from chat.conf import DEVELOPMENT_CENTRIFUGO_SECRET, DEVELOPMENT_SECRET_KEY
from tests.deploy.compose import interpolate, load_compose
from tests.support.processes import PROJECT

COMPOSE = load_compose()
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
RUNNING = sorted(set(SERVICES) - {"migrate"})
CONFIGURATION = json.loads((PROJECT / "centrifugo/config.json").read_text(encoding="utf-8"))


def read_seconds(duration: str) -> int:
    """Return a duration in seconds."""
    return int(duration.removesuffix("s"))


def test_the_services_are_what_the_readme_names() -> None:
    """The contract's commands name `backend`; the other parts stand beside it."""
    assert set(SERVICES) == {"postgres", "migrate", "backend", "admin", "centrifugo", "nginx"}
    assert SERVICES["backend"]["environment"]["SERVE"] == "api"
    assert SERVICES["admin"]["environment"]["SERVE"] == "admin"


def test_the_escaped_secret_is_the_contracts() -> None:
    """After Compose has read `$$`, the API verifies tokens with the secret that the seed prints."""
    environment = SERVICES["backend"]["environment"]

    assert environment["SECRET_KEY"] == DEVELOPMENT_SECRET_KEY
    assert environment["DEBUG"] == "1"
    assert environment["JWT_SECRET"] == ""


def test_jwt_secret_of_the_shell_reaches_the_backend() -> None:
    """`JWT_SECRET=… docker compose up` replaces the secret, as the seed says."""
    environment = load_compose(JWT_SECRET="a b$c")["services"]["backend"]["environment"]

    assert environment["JWT_SECRET"] == "a b$c"


@pytest.mark.parametrize("text", ["$-y1ya7", "a$b", "${NAME}", "${}", "$"])
def test_a_lone_dollar_is_found(text: str) -> None:
    """This reader refuses what Compose would refuse, or would silently replace by nothing."""
    with pytest.raises(AssertionError):
        interpolate(text, {})


def test_centrifugo_and_the_api_share_the_token_secret() -> None:
    """The tokens that the API signs are the ones that Centrifugo accepts."""
    secret = SERVICES["backend"]["environment"]["CENTRIFUGO_TOKEN_SECRET"]

    assert SERVICES["centrifugo"]["environment"]["CENTRIFUGO_CLIENT_TOKEN_HMAC_SECRET_KEY"] == (
        secret
    )
    assert secret == DEVELOPMENT_CENTRIFUGO_SECRET


def test_centrifugo_has_a_connection_for_each_partition() -> None:
    """A partition without a connection of its own would wait for one of another partition."""
    consumer = CONFIGURATION["consumers"][0]["postgresql"]
    dsn = SERVICES["centrifugo"]["environment"]["CENTRIFUGO_CONSUMERS_OUTBOX_POSTGRESQL_DSN"]

    assert f"pool_max_conns={consumer['num_partitions'] + 2}" in dsn
    # One whose machine vanished lets go of its partitions.
    assert "idle_in_transaction_session_timeout=15s" in dsn
    assert " " not in dsn


def test_nothing_is_reachable_from_other_machines() -> None:
    """Only nginx and Centrifugo publish a port, and on the loopback address."""
    ports = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}

    assert ports == {"centrifugo": ["127.0.0.1:8000:8000"], "nginx": ["127.0.0.1:9000:9000"]}


def test_every_image_is_pinned() -> None:
    """An image is built here, or its tag names a version."""
    dockerfile = (PROJECT / "Dockerfile").read_text(encoding="utf-8")
    bases = re.findall(r"^FROM (\S+)", dockerfile, re.MULTILINE)
    pulled = [service["image"] for service in SERVICES.values() if "build" not in service]

    assert len(bases) == 3
    assert [image for image in bases + pulled if not re.search(r":v?\d+", image)] == []
    assert "postgres:18" in pulled


def test_centrifugo_has_the_security_fixes() -> None:
    """Below 6.9.6 a subscription may outlive its expired token."""
    version = SERVICES["centrifugo"]["image"].partition(":v")[2]

    assert (6, 9, 6) <= tuple(map(int, version.split("."))) < (7,)


@pytest.mark.parametrize("name", RUNNING)
def test_every_service_has_a_health_check(name: str) -> None:
    """Compose can check whether each service that keeps running works."""
    check = SERVICES[name]["healthcheck"]

    assert check["test"][0] == "CMD"
    assert read_seconds(check["timeout"]) <= 5


def test_everything_waits_for_the_migration() -> None:
    """Nothing that reads or drains a table starts before the tables are there."""
    for name in ("backend", "admin", "centrifugo"):
        assert SERVICES[name]["depends_on"] == {
            "postgres": {"condition": "service_healthy"},
            "migrate": {"condition": "service_completed_successfully"},
        }
    assert SERVICES["migrate"]["depends_on"] == {"postgres": {"condition": "service_healthy"}}
    assert SERVICES["migrate"]["restart"] == "no"
    assert {name: need["condition"] for name, need in SERVICES["nginx"]["depends_on"].items()} == {
        "backend": "service_healthy",
        "admin": "service_healthy",
    }


def test_every_service_is_given_the_time_it_takes_to_stop() -> None:
    """Docker kills a process later than the process ends by itself."""
    flags = re.search(
        r'"--timeout-graceful-shutdown", "(\d+)"',
        (PROJECT / "Dockerfile").read_text(encoding="utf-8"),
    )
    assert flags

    for name in ("backend", "admin"):
        assert read_seconds(SERVICES[name]["stop_grace_period"]) > int(flags[1])
    shutdown = read_seconds(CONFIGURATION["shutdown"]["timeout"])
    assert read_seconds(SERVICES["centrifugo"]["stop_grace_period"]) > shutdown


@pytest.mark.parametrize("name", ["migrate", "backend", "admin", "centrifugo", "nginx"])
def test_a_service_holds_no_rights(name: str) -> None:
    """Each service of ours runs without capabilities and on a read-only file system."""
    service = SERVICES[name]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]


def test_the_data_outlives_the_containers() -> None:
    """PostgreSQL 18's image keeps its data below /var/lib/postgresql: the volume is there."""
    assert SERVICES["postgres"]["volumes"] == ["postgres:/var/lib/postgresql"]
    assert "postgres" in COMPOSE["volumes"]


def test_the_database_is_made_as_the_tests_make_theirs() -> None:
    """Case and trigrams of every alphabet: the locale is the one that every test runs on."""
    embedded = (PROJECT / "embedded/cluster.py").read_text(encoding="utf-8")
    arguments = SERVICES["postgres"]["environment"]["POSTGRES_INITDB_ARGS"].split()

    assert len(arguments) == 3
    assert [argument for argument in arguments if f'"{argument}"' not in embedded] == []
