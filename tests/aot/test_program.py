import jax
import pytest

from common.aot import DoesNotFit, compile_for
from common.aot.program import arguments, trace
from common.aot.topology import refusing_what_does_not_fit
from common.errors import UserError
from common.hosts import place
from common.training.mesh import make_mesh
from common.training.method import find_method
from common.training.sharding import shardings
from common.training.start import initial_state
from common.training.step import feed_shardings, make_call, make_feed
from tests.aot import toy

GRADIENT = toy.WIDTH * toy.WIDTH * 4


@pytest.mark.parametrize("name", ["ByRow", "Shared"])
def test_the_program_is_the_loops_own(name):
    config = toy.get_config(name)
    method, mesh = find_method(config), make_mesh(-1, 1)
    compiled_ahead = trace(method, mesh).lower().as_text()

    loaded = method.load(mesh)
    frozen = place(loaded.frozen, shardings(loaded.frozen, method.frozen_rules, mesh))
    state, key = initial_state(method, config.seed, mesh)
    feed = make_feed(loaded.source, range(5), config.steps_per_call)
    feed = place(feed, feed_shardings(feed, method.batch_rules, mesh))
    with jax.set_mesh(mesh):
        call = make_call(method, jax.tree.map(lambda leaf: leaf.sharding, state), mesh)
        assert call.lower(state, frozen, key, feed).as_text() == compiled_ahead


def test_nothing_is_computed():
    config = toy.get_config()
    leaves = jax.tree.leaves(arguments(find_method(config), make_mesh(-1, 1)))
    assert {type(leaf) for leaf in leaves} == {jax.ShapeDtypeStruct}


@pytest.mark.tpu_backend
def test_a_report():
    report = compile_for(toy.get_config("Shared"), "v5e:1x1")
    assert (report.method, report.device, report.mesh) == (
        "shared",
        "TPU v5 lite",
        {"data": 1, "model": 1},
    )
    # Of one update, although five are in the program: forward and one gradient.
    assert report.flops == 2 * 2 * toy.ROWS * toy.WIDTH * toy.WIDTH
    assert report.updates_per_call == 5
    memory = report.memory
    arguments = 3 * GRADIENT + toy.ROWS * toy.WIDTH * 4 * 6  # state, target and five batches
    assert memory.arguments == pytest.approx(arguments, rel=0.05)
    assert memory.reused >= 3 * GRADIENT  # the state is donated
    assert 0 < memory.peak < memory.available
    assert 15 < memory.available / 2**30 < 16
    assert report.collectives == ()
    assert report.compile_seconds > 0


@pytest.mark.tpu_backend
@pytest.mark.parametrize("topology", ["v5e:2x4", "v6e:2x2"])
@pytest.mark.parametrize(("name", "shares"), [("ByRow", False), ("Shared", True)])
def test_only_a_shared_gradient_is_sent(name, shares, topology):
    sent = compile_for(toy.get_config(name), topology).collectives
    assert {each.kind for each in sent} == {"all-reduce"}  # of the metrics at least
    assert (max(each.largest for each in sent) >= GRADIENT) is shares


@pytest.mark.tpu_backend
def test_a_program_that_does_not_fit():
    with pytest.raises(DoesNotFit, match=r"v5e:1x1 does not fit: .* GiB of HBM and has 15\.") as e:
        compile_for(toy.get_config("Sized"), "v5e:1x1")
    assert 64 <= e.value.needed < 65
    assert e.value.exit_status == 1


@pytest.mark.parametrize(
    "told",
    [
        "the total memory required for HLO temporaries (64.00G) exceeds available HBM (15.75G).",
        "Used 64.00G of 15.75G hbm. Exceeded hbm capacity by 48.25G.",  # with jax 0.7.2
    ],
)
def test_what_compilers_say_of_too_little_memory(told):
    sentence = r"^It does not fit: .* 64\.00 GiB of HBM and has 15\.75;"
    with pytest.raises(DoesNotFit, match=sentence), refusing_what_does_not_fit("It"):
        raise jax.errors.JaxRuntimeError(f"RESOURCE_EXHAUSTED: {told}")


@pytest.mark.tpu_backend
@pytest.mark.parametrize("name", ["v5litepod-8", "v5e:3x5", "nonsense"])
def test_an_unknown_topology(name):
    with pytest.raises(UserError, match=f"--topology={name} .*v5e:2x4"):
        compile_for(toy.get_config(), name)


@pytest.mark.tpu_backend
@pytest.mark.parametrize(
    ("data", "model", "sentence"),
    [
        (4, 1, "leaves some of the 8 devices idle"),
        (-1, 3, "does not divide the number of devices, 8"),
    ],
)
def test_a_mesh_of_other_devices(data, model, sentence):
    config = toy.get_config()
    config.mesh.update(data=data, model=model)
    with pytest.raises(UserError, match=sentence):
        compile_for(config, "v5e:2x4")


@pytest.mark.tpu_backend
def test_both_cores_of_a_v4_chip_are_one_device():
    assert compile_for(toy.get_config(), "v4:2x2x1").mesh == {"data": 4, "model": 1}


def test_without_libtpu(monkeypatch):
    monkeypatch.setattr("common.aot.topology.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install -e '\.\[tpu\]'"):
        compile_for(toy.get_config(), "v5e:1x1")


@pytest.mark.parametrize("where", ["", "tests.aot.toy", "tests.aot.toy:Absent", "no_module:ByRow"])
def test_a_method_that_does_not_exist(where):
    config = toy.get_config()
    config.method = where
    with pytest.raises(UserError, match="must say module:class"):
        find_method(config)
