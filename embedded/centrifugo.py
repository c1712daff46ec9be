"""Running a real Centrifugo where there is one: the shipped configuration plus an environment."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

CONFIGURATION = Path(__file__).resolve().parent.parent / "centrifugo" / "config.json"
LOOPBACK_ORIGINS = ("http://localhost:*", "http://127.0.0.1:*")


def find_centrifugo() -> Path | None:
    """Return the binary that `CENTRIFUGO_BIN` names, else the one on PATH, else None.

    Raises FileNotFoundError when `CENTRIFUGO_BIN` names nothing that can be run: falling back
    to another server than the one asked for would hide the mistake.
    """
    named = os.environ.get("CENTRIFUGO_BIN")
    found = shutil.which(named or "centrifugo")
    if named and found is None:
        raise FileNotFoundError(f"CENTRIFUGO_BIN={named} is no executable file")
    return Path(found) if found else None


def centrifugo_command(binary: Path, configuration: Path = CONFIGURATION) -> list[str]:
    """Return the command that runs Centrifugo with the shipped configuration."""
    return [str(binary), "--config", str(configuration)]


def centrifugo_environment(  # noqa: PLR0913 - keywords, each a line of the environment
    *,
    database_url: str,
    token_secret: str,
    partitions: int,
    host: str = "127.0.0.1",
    port: int = 8000,
    internal_port: int | None = None,
    allowed_origins: tuple[str, ...] = LOOPBACK_ORIGINS,
) -> dict[str, str]:
    """Return what the configuration leaves open: secrets, addresses and the partition count.

    Without `internal_port`, health and metrics are served on `port` as well.
    """
    return {
        "CENTRIFUGO_HTTP_SERVER_ADDRESS": host,
        "CENTRIFUGO_HTTP_SERVER_PORT": str(port),
        "CENTRIFUGO_HTTP_SERVER_INTERNAL_ADDRESS": host,
        "CENTRIFUGO_HTTP_SERVER_INTERNAL_PORT": str(internal_port or port),
        "CENTRIFUGO_CLIENT_TOKEN_HMAC_SECRET_KEY": token_secret,
        "CENTRIFUGO_CLIENT_ALLOWED_ORIGINS": " ".join(allowed_origins),
        "CENTRIFUGO_CONSUMERS_OUTBOX_POSTGRESQL_DSN": _consumer_dsn(database_url, partitions),
        "CENTRIFUGO_CONSUMERS_OUTBOX_POSTGRESQL_NUM_PARTITIONS": str(partitions),
    }


def _consumer_dsn(database_url: str, partitions: int) -> str:
    # One connection per partition, one that listens and one to spare: with the default of four,
    # partitions starve each other.
    # A Centrifugo whose machine vanished in the middle would hold its partitions for as long as
    # PostgreSQL believes in its connections: by default two hours.
    separator = "&" if "?" in database_url else "?"
    return (
        f"{database_url}{separator}application_name=centrifugo&pool_max_conns={partitions + 2}"
        "&idle_in_transaction_session_timeout=15s"
    )
