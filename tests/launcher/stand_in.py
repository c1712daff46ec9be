"""Runs the real supervisor with stand-in parts: `stand_in.py FOLDER '{"parts": …}'`."""

import json
import os
import sys
from pathlib import Path

from embedded.children import Command, Part
from embedded.supervisor import Plan, Supervisor
from embedded.terminal import YELLOW, Terminal

PART = Path(__file__).with_name("stand_in_part.py")


def main(folder: str, described: str) -> int:
    """Run the plan that the test describes, and return the exit code."""
    wanted = json.loads(described)
    plan = Plan(
        root=Path(folder),
        environment={**os.environ, "JWT_SECRET": "a secret", "PYTHONUNBUFFERED": "1"},
        database_url=wanted.get("database_url"),
        commands=[
            Command(name, (sys.executable, "-c", code))
            for name, code in wanted.get("commands", {}).items()
        ],
        parts=[
            Part(
                name=name,
                command=(sys.executable, str(PART), str(port), habit),
                host="127.0.0.1",
                port=port,
                port_variable="PORT",
                style=YELLOW,
            )
            for name, (port, habit) in wanted["parts"].items()
        ],
        published=("DATABASE_URL", "JWT_SECRET"),
        welcome=lambda outputs: f"ready {json.dumps(dict(outputs))}",
    )
    return Supervisor(plan, Terminal()).run()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
