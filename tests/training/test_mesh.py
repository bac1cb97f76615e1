import jax
import pytest
from jax.sharding import AxisType

from common.errors import UserError
from common.training.mesh import join_cluster, make_mesh, use_compile_cache


@pytest.mark.parametrize(
    ("data", "model", "shape"),
    [(-1, 1, (8, 1)), (-1, 2, (4, 2)), (2, 1, (2, 1)), (2, 4, (2, 4))],
)
def test_shapes(data, model, shape):
    mesh = make_mesh(data, model)
    assert mesh.devices.shape == shape
    assert mesh.axis_names == ("data", "model")
    assert set(mesh.axis_types) == {AxisType.Auto}


def test_idle_devices_of_a_cluster_are_refused(monkeypatch):
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    with pytest.raises(UserError, match="leaves some of the 8 devices idle"):
        make_mesh(4, 1)


def test_given_devices_all_take_part():
    devices = jax.devices()[4:]
    assert list(make_mesh(-1, 2, devices).devices.flat) == devices
    with pytest.raises(UserError, match="leaves some of the 4 devices idle"):
        make_mesh(2, 1, devices)
    with pytest.raises(UserError, match="needs 8 devices, more than the 4 at hand"):
        make_mesh(8, 1, devices)


@pytest.mark.parametrize(
    ("data", "model", "sentence"),
    [
        (0, 1, "give positive numbers"),
        (-1, 0, "give positive numbers"),
        (-1, 3, r"mesh\.model=3 does not divide the number of devices, 8"),
        (16, 1, "needs 16 devices, more than the 8 at hand"),
    ],
)
def test_sizes_that_lay_out_no_devices(data, model, sentence):
    with pytest.raises(UserError, match=sentence):
        make_mesh(data, model)


@pytest.fixture
def calls(monkeypatch):
    """The arguments that jax.distributed.initialize is called with."""
    for name in ("JAX_COORDINATOR_ADDRESS", "SLURM_STEP_NUM_TASKS", "TPU_WORKER_HOSTNAMES"):
        monkeypatch.delenv(name, raising=False)
    found = []
    monkeypatch.setattr(jax.distributed, "initialize", lambda *a: found.append(a))
    return found


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, []),
        ({"SLURM_STEP_NUM_TASKS": "1"}, []),
        ({"SLURM_STEP_NUM_TASKS": "4"}, [()]),
        ({"OMPI_COMM_WORLD_SIZE": "2"}, [()]),
        ({"TPU_WORKER_HOSTNAMES": "localhost"}, []),
        ({"TPU_WORKER_HOSTNAMES": "10.0.0.1,10.0.0.2"}, [()]),
        (
            {
                "JAX_COORDINATOR_ADDRESS": "a:1",
                "JAX_NUM_PROCESSES": "2",
                "JAX_PROCESS_ID": "1",
            },
            [("a:1", 2, 1)],
        ),
    ],
)
def test_clusters_are_detected(monkeypatch, calls, environment, expected):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    join_cluster()
    assert calls == expected


def test_a_cluster_is_joined_once(monkeypatch, calls):
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "4")
    monkeypatch.setattr(jax.distributed, "is_initialized", lambda: True)
    join_cluster()
    assert calls == []


@pytest.mark.parametrize("number", [None, "two"])
def test_half_told_clusters_are_refused(monkeypatch, calls, number):
    monkeypatch.setenv("JAX_COORDINATOR_ADDRESS", "a:1")
    monkeypatch.delenv("JAX_NUM_PROCESSES", raising=False)
    if number is not None:
        monkeypatch.setenv("JAX_NUM_PROCESSES", number)
    with pytest.raises(UserError, match="JAX_NUM_PROCESSES"):
        join_cluster()


def test_the_compile_cache_is_filled_and_turned_off(tmp_path, monkeypatch):
    seconds = jax.config.jax_persistent_cache_min_compile_time_secs
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    monkeypatch.setenv("HOME", str(tmp_path))
    try:
        for number, folder in enumerate(("first", "second")):
            use_compile_cache(f"~/{folder}")
            jax.jit(lambda x, number=number: x * 3 + number)(1.0)
            assert list((tmp_path / folder).iterdir())
    finally:
        jax.config.update("jax_persistent_cache_min_compile_time_secs", seconds)
        use_compile_cache("")
    assert jax.config.jax_compilation_cache_dir is None
