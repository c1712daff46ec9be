"""The nginx of the page in front of both ports: the service at https://example.com/chat/."""

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.deploy.front import nginx_command
from tests.support.processes import PROJECT, find_free_port

PAGE = (PROJECT / "docs/deployment.md").read_text(encoding="utf-8")
MOUNT = re.findall(r"<!-- mount -->\n```nginx\n(.*?)```", PAGE, re.DOTALL)[0]
AROUND = """
pid {folder}/outer.pid;
error_log {folder}/outer.log warn;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
{mount}
}}
"""


@contextmanager
def run_mount(folder: Path, *, front: int = 9, realtime: int = 9) -> Iterator[str]:
    """Run it before the ports of the shipped nginx and of Centrifugo; give its address."""
    port = find_free_port()
    mount = MOUNT
    for old, new in {
        "listen 443 ssl;": f"listen 127.0.0.1:{port};",
        "127.0.0.1:9000": f"127.0.0.1:{front}",
        "127.0.0.1:8000": f"127.0.0.1:{realtime}",
        "X-Forwarded-Proto https": "X-Forwarded-Proto http",
    }.items():
        assert old in mount, old
        mount = mount.replace(old, new)
    configuration = folder / "nginx.conf"
    configuration.write_text(AROUND.format(folder=folder, mount=mount), encoding="utf-8")
    command = nginx_command(configuration)
    subprocess.run([*command, "-t"], check=True, capture_output=True)
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        # It does not say when it listens.
        with httpx.Client(transport=httpx.HTTPTransport(retries=8)) as http:
            http.get(f"http://127.0.0.1:{port}/chat")
        yield f"http://127.0.0.1:{port}/chat"
    finally:
        process.terminate()
        process.wait(timeout=20)
