"""What is imported and exported."""

from pathlib import Path

import pytest

from tests.marian import write_checkpoint
from transformer_mt.data.pairs import Pair
from transformer_mt.data.synthetic.corpus import synthesize


@pytest.fixture(scope="session")
def pairs() -> list[Pair]:
    corpus = synthesize(3, 1200, 100, 500)
    return [Pair(1, *pair) for pair in (*corpus.test, *corpus.train)]


@pytest.fixture(scope="session")
def checkpoint(pairs: list[Pair], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six layers on each side, as OPUS-MT has them, but narrow."""
    return write_checkpoint(tmp_path_factory.mktemp("marian") / "opus-mt-en-fr", pairs)
