"""What a machine lets the tests cover: some run against programs that not everyone has."""

import shutil
from pathlib import Path

from tests.conformance.servers import describe_centrifugo
from tests.deploy.front import find_nginx

SDK = Path(__file__).parents[1] / "conformance" / "javascript" / "node_modules" / "centrifuge"


def has_javascript_sdk() -> bool:
    """Whether there is Node, and the official JavaScript SDK has been installed for it."""
    return shutil.which("node") is not None and SDK.is_dir()


def has_nginx() -> bool:
    """Whether there is the nginx that stands in front in production."""
    return find_nginx() is not None


def describe_coverage() -> list[str]:
    """Return the lines that a run's summary says of it: what is left out is never left unsaid."""
    javascript = (
        "JavaScript SDK" if has_javascript_sdk() else "JavaScript SDK: not covered, no Node"
    )
    nginx = "nginx" if has_nginx() else "nginx: not covered, no binary on PATH"
    return [
        f"realtime: gateway; {describe_centrifugo()}; Python SDK; {javascript}",
        f"deployment: {nginx}",
    ]
