"""Fixtures that all tests share."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from tests.shop import Shop

REPOSITORY = Path(__file__).resolve().parent.parent

# a busy machine is slow, not wrong
settings.register_profile("transformer_mt", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("transformer_mt")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Directory of the sentence pairs that are too large, or not free enough, for the repository."""
    beside = os.environ.get("TRANSFORMER_MT_SHARED")
    directory = (Path(beside) if beside else REPOSITORY.parent / "shared") / "data"
    if not directory.is_dir():
        pytest.skip(f"needs the data in {directory}; TRANSFORMER_MT_SHARED names another place for shared/")
    return directory


@pytest.fixture
def shop(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> "Shop":
    """A fresh corpus and configuration that the test may spoil."""
    from tests.shop import Shop

    return Shop(tmp_path, capsys)


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run directory of a translator that is trained once for all tests, a few seconds; not to be changed."""
    from tests import tiny

    folder = tmp_path_factory.mktemp("tiny")
    assert tiny.train(tiny.write_config(folder), tiny.WELL_TRAINED) == 0
    return folder / "run"
