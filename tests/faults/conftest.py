"""What every trial of a test run starts from."""

from pathlib import Path

import pytest

from tests.rig.stand import create_template


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the migrated data folder that every trial copies."""
    folder = tmp_path_factory.mktemp("template")
    create_template(folder)
    return folder
