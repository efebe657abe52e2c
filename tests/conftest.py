"""Settings and fixtures shared by the tests."""

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))  # for reference_numbers


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)
