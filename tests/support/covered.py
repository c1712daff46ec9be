"""What a run covered: some tests need programs that not every machine has, some run elsewhere."""

import shutil
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from tests.conformance.servers import describe_centrifugo
from tests.deploy.front import find_nginx

SDK = Path(__file__).parents[1] / "conformance" / "javascript" / "node_modules" / "centrifuge"


def has_javascript_sdk() -> bool:
    """Whether there is Node, and the official JavaScript SDK has been installed for it."""
    return shutil.which("node") is not None and SDK.is_dir()


def has_nginx() -> bool:
    """Whether there is the nginx that production has in front."""
    return find_nginx() is not None


def describe_coverage() -> list[str]:
    """Return the lines of a run's summary that say which programs it was run against."""
    javascript = (
        "JavaScript SDK" if has_javascript_sdk() else "JavaScript SDK: not covered, no Node"
    )
    nginx = "nginx" if has_nginx() else "nginx: not covered, no binary on PATH"
    return [
        f"realtime: gateway; {describe_centrifugo()}; Python SDK; {javascript}",
        f"deployment: {nginx}",
    ]


def describe_left_out(tests: Iterable[str]) -> list[str]:
    """Return the line of a run's summary that names the tests marked `long` that it left out."""
    files = Counter(test.split("::")[0] for test in tests)
    if not files:
        return []
    named = ", ".join(f"{count} of {file}" for file, count in sorted(files.items()))
    return [f"left to `make test-long`: {files.total()} tests: {named}"]
