"""Runs a real Centrifugo if there is one, with the shipped configuration and an environment."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from embedded.gateway.origins import parse_origins

CONFIGURATION = Path(__file__).resolve().parent.parent / "centrifugo" / "config.json"


def find_centrifugo() -> Path | None:
    """Return the binary that `CENTRIFUGO_BIN` names, else the one on PATH, else None.

    Raises FileNotFoundError if `CENTRIFUGO_BIN` names no executable file: to run another server
    instead would hide the mistake.
    """
    named = os.environ.get("CENTRIFUGO_BIN")
    found = shutil.which(named or "centrifugo")
    if named and found is None:
        raise FileNotFoundError(f"CENTRIFUGO_BIN={named} is no executable file")
    return Path(found) if found else None


def centrifugo_command(binary: Path, configuration: Path = CONFIGURATION) -> list[str]:
    """Return the command that runs Centrifugo with the shipped configuration."""
    return [str(binary), "--config", str(configuration)]


def centrifugo_environment(  # noqa: PLR0913 - each keyword is one line of the environment
    *,
    database_url: str,
    token_secret: str,
    token_secret_before: str = "",
    partitions: int,
    host: str = "127.0.0.1",
    port: int = 8000,
    internal_port: int | None = None,
    allowed_origins: tuple[str, ...] | None = None,
) -> dict[str, str]:
    """Return the values that the configuration does not have: secrets, addresses, partitions.

    Without `internal_port`, health and metrics are served on `port` as well. Without
    `allowed_origins`, those of `ALLOWED_ORIGINS` are.
    """
    origins = allowed_origins or parse_origins(os.environ.get("ALLOWED_ORIGINS", ""))
    return {
        "CENTRIFUGO_HTTP_SERVER_ADDRESS": host,
        "CENTRIFUGO_HTTP_SERVER_PORT": str(port),
        "CENTRIFUGO_HTTP_SERVER_INTERNAL_ADDRESS": host,
        "CENTRIFUGO_HTTP_SERVER_INTERNAL_PORT": str(internal_port or port),
        "CENTRIFUGO_CLIENT_TOKEN_HMAC_SECRET_KEY": token_secret,
        # Empty: there is none.
        "CENTRIFUGO_CLIENT_TOKEN_HMAC_PREVIOUS_SECRET_KEY": token_secret_before,
        "CENTRIFUGO_CLIENT_ALLOWED_ORIGINS": " ".join(origins),
        "CENTRIFUGO_CONSUMERS_OUTBOX_POSTGRESQL_DSN": _consumer_dsn(database_url, partitions),
        "CENTRIFUGO_CONSUMERS_OUTBOX_POSTGRESQL_NUM_PARTITIONS": str(partitions),
    }


def _consumer_dsn(database_url: str, partitions: int) -> str:
    # One connection per partition, one that listens and one spare: with the default of four,
    # partitions wait for each other.
    # If the machine of a Centrifugo disappears, it holds its partitions until PostgreSQL notices:
    # by default after two hours.
    separator = "&" if "?" in database_url else "?"
    return (
        f"{database_url}{separator}application_name=centrifugo&pool_max_conns={partitions + 2}"
        "&idle_in_transaction_session_timeout=15s"
    )
