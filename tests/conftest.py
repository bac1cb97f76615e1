"""What every test shares: eight emulated CPU devices and the optional real data."""

import os

# The device count is fixed when jax starts, so it is set before anything imports jax.
os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["XLA_FLAGS"] = (
    os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=8"
)
os.environ.setdefault("TPU_SKIP_MDS_QUERY", "1")

from pathlib import Path

import pytest

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture
def shared_data() -> Path:
    """The folder of real data that stands beside a checkout; absent for most users."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"the optional real test data is absent ({SHARED_DATA})")
    return SHARED_DATA
