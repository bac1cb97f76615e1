"""What every test shares: eight emulated CPU devices and the optional real data."""

import functools
import os
from importlib.metadata import version
from importlib.util import find_spec

JAXLIB = tuple(map(int, version("jaxlib").split(".")[:2]))
# Later releases know one way alone, and end at the flag.
COMPILED_SOON = "--xla_cpu_use_fusion_emitters=false" if JAXLIB < (0, 11) else ""
"""What tests wait for is compiling, and XLA's older way to fused loops takes half as long."""

# Flags are read when jax starts, so they are set before anything imports jax.
os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["XLA_FLAGS"] = " ".join(
    [os.environ.get("XLA_FLAGS", ""), COMPILED_SOON, "--xla_force_host_platform_device_count=8"]
)
os.environ.setdefault("TPU_SKIP_MDS_QUERY", "1")

from collections.abc import Iterator
from pathlib import Path
from runpy import run_path

import jax
import pytest
from jaxtyping import install_import_hook

ROOT = Path(__file__).resolve().parents[1]
# Not imported: whatever is imported before the hook is not checked.
PACKAGES = run_path(str(ROOT / "common" / "packages.py"))["PACKAGES"]
install_import_hook([*PACKAGES, "tools"], "beartype.beartype")

from common.paths import AnyPath, as_path

SHARED_DATA = ROOT.parent / "shared" / "data"


QUICKLY = {
    **os.environ,
    "XLA_FLAGS": COMPILED_SOON,
    "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
}
"""Of commands that run for seconds: one device, and programs hardly optimised but all kept."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse names that hold an address, for the processes that share the tests must agree on them.

    What compiles for a TPU is skipped without the compiler.
    """
    odd = [item.nodeid for item in items if " at 0x" in item.nodeid]
    if odd:
        raise pytest.UsageError(f"the name of {odd[0]} differs from process to process: give ids.")
    for item in items if find_spec("libtpu") is None else ():
        if item.get_closest_marker("tpu_backend"):
            item.add_marker(pytest.mark.skip(reason="the libtpu wheel is not installed"))


@pytest.fixture
def callers_settings() -> Iterator[None]:
    """A program's own settings of JAX, which a call leaves as they are."""
    settings = {
        "jax_enable_x64": True,
        "jax_threefry_partitionable": False,
        "jax_default_matmul_precision": "bfloat16",
    }
    before = {name: getattr(jax.config, name) for name in settings}
    for name, value in settings.items():
        jax.config.update(name, value)
    yield
    after = {name: getattr(jax.config, name) for name in settings}
    for name, value in before.items():
        jax.config.update(name, value)
    assert after == settings


@pytest.fixture(scope="module")
def quick_compiler():
    """Programs that run for milliseconds are not worth the seconds of optimising them.

    A run with a cache of compiled programs keeps all of them, for the next run of a test.
    """
    from common.training.mesh import use_compile_cache

    use_compile_cache("")  # An earlier module's run may have left its own.
    jax.config.update("jax_disable_most_optimizations", True)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    yield
    jax.config.update("jax_disable_most_optimizations", False)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 1.0)
    use_compile_cache("")


@pytest.fixture(scope="session")
def compiled(tmp_path_factory) -> Path:
    """A folder for the compiled programs of runs that resemble one another."""
    return tmp_path_factory.mktemp("compiled")


@pytest.fixture(scope="session")
def shapes_found_once():
    """The shapes of a model's parameters take a second to find, and each load asks for them."""
    from common.clip import checkpoint as clip
    from common.clip import known as known_clip
    from common.diffusion import checkpoint as diffusion
    from common.diffusion import known as known_diffusion

    with pytest.MonkeyPatch.context() as patch:
        for home, name in (
            (clip, "abstract_params"),
            (clip, "abstract_text"),
            (diffusion, "abstract_unet"),
            (diffusion, "abstract_vae"),
        ):
            found = functools.cache(getattr(home, name))
            for module in (clip, known_clip, diffusion, known_diffusion):
                if hasattr(module, name):
                    patch.setattr(module, name, found)
        yield


@pytest.fixture
def shared_data() -> Path:
    """The folder of real data that stands beside a checkout; absent for most users."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"the optional real test data is absent ({SHARED_DATA})")
    return SHARED_DATA


@pytest.fixture(scope="session")
def storage() -> Iterator[AnyPath]:
    """A bucket, kept by an emulator of Google Cloud Storage; processes find it, too.

    Everything else is what a run on Cloud TPU has: etils' paths on gcsfs, and Orbax on
    tensorstore.
    """
    pytest.importorskip("gcp_storage_emulator.server", reason="no emulator of buckets")
    from benchmarks.cluster import free_port
    from tests.emulator import make_server

    port = free_port()
    address = f"http://localhost:{port}"
    found = {
        "STORAGE_EMULATOR_HOST": address,
        "TENSORSTORE_GCS_HTTP_URL": address,
        "GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT": "false",  # It would ask Google for the layout.
    }
    with pytest.MonkeyPatch.context() as patch:
        server = make_server(port, "mine", patch)
        server.start()
        for name, value in found.items():
            patch.setenv(name, value)
        yield as_path("gs://mine")
        server.stop()
