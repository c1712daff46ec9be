"""A real nginx with the shipped configuration, moved to a test's ports and folder."""

import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import django.contrib.admin

from tests.support.processes import PROJECT

CONFIGURATION = (PROJECT / "nginx" / "nginx.conf").read_text(encoding="utf-8")


@dataclass
class Front:
    """A running nginx."""

    port: int
    folder: Path

    @property
    def url(self) -> str:
        """Return where clients connect."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def access_log(self) -> str:
        """Return what was logged of requests."""
        return (self.folder / "access.log").read_text(encoding="utf-8")

    def connect(self) -> socket.socket:
        """Open a connection and say nothing yet."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)


def find_nginx() -> str | None:
    """Return the path of nginx, None where there is none."""
    return shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")


def write_configuration(
    folder: Path, *, port: int, backend: int, admin: int, changes: dict[str, str] | None = None
) -> Path:
    """Write the shipped configuration with other addresses, folders and directives."""
    static = folder / "srv" / "static"
    static.mkdir(parents=True)
    (static / "admin").symlink_to(Path(django.contrib.admin.__path__[0]) / "static" / "admin")
    text = CONFIGURATION
    for old, new in {
        " /tmp/": f" {folder}/",
        "listen 9000;": f"listen 127.0.0.1:{port};",
        "server backend:8000": f"server 127.0.0.1:{backend}",
        "server admin:8000": f"server 127.0.0.1:{admin}",
        "/dev/stdout": f"{folder}/access.log",
        "/dev/stderr": f"{folder}/error.log",
        "root /srv;": f"root {folder}/srv;",
    }.items():
        assert old in text, old
        text = text.replace(old, new)
    for directive, value in (changes or {}).items():
        text, count = re.subn(rf"\b{directive}([ =])[^; ]+", rf"{directive}\g<1>{value}", text)
        assert count, directive
    path = folder / "nginx.conf"
    path.write_text(text, encoding="utf-8")
    return path


def nginx_command(configuration: Path) -> list[str]:
    """Return the command that runs nginx in the foreground, as the user of the test."""
    user = "user root;" if os.geteuid() == 0 else ""
    return [find_nginx() or "nginx", "-c", str(configuration), "-g", f"daemon off; {user}"]


@contextmanager
def run_nginx(
    folder: Path,
    *,
    backend: int,
    admin: int = 9,
    changes: dict[str, str] | None = None,
    replaced: dict[str, str] | None = None,
) -> Iterator[Front]:
    """Run nginx before these ports of this machine. `replaced`: texts of its configuration.

    It inherits its socket, as in its own upgrades, so an early client waits in the backlog.
    """
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:
        port: int = listener.getsockname()[1]
        configuration = write_configuration(
            folder, port=port, backend=backend, admin=admin, changes=changes
        )
        for old, new in (replaced or {}).items():
            text = configuration.read_text(encoding="utf-8")
            assert old in text, old
            configuration.write_text(text.replace(old, new), encoding="utf-8")
        process = subprocess.Popen(
            nginx_command(configuration),
            env=os.environ | {"NGINX": f"{listener.fileno()};"},
            pass_fds=[listener.fileno()],
            stderr=subprocess.DEVNULL,
        )
    try:
        yield Front(port, folder)
    finally:
        process.terminate()
        process.wait(timeout=20)
