"""The training loop's own compiled call, for devices that need not exist."""

import tempfile
import time
from pathlib import Path

import jax
from jax.sharding import Mesh, NamedSharding
from jaxtyping import PyTree
from ml_collections import ConfigDict

from common.aot.collectives import collectives
from common.aot.report import Memory, ProgramReport
from common.aot.topology import (
    available_memory,
    refusing_what_does_not_fit,
    topology_devices,
)
from common.aot.traffic import hbm_bytes
from common.flops import count_flops
from common.hosts import REPLICATED
from common.precision import product_precision
from common.progress import say
from common.seeds import random_key
from common.training.mesh import make_mesh
from common.training.method import Method, find_method
from common.training.schedule import Schedule
from common.training.sharding import shardings
from common.training.state import TrainState, init_state, state_shardings
from common.training.step import Feed, feed_shardings, make_call, make_feed


def compile_for(config: ConfigDict, topology: str) -> ProgramReport:
    """Compile the training step of `config` for a TPU topology.

    Raises:
      UserError: The config, the topology or the models it names are not in order.
      DoesNotFit: The program needs more memory than a device has.
    """
    method = find_method(config)
    config = method.config
    devices = topology_devices(topology)
    mesh = make_mesh(config.mesh.data, config.mesh.model, devices)
    steps = Schedule.from_config(config).steps_per_call

    # Everything that may fail comes before the minutes of the compiler.
    available = available_memory(devices[0])
    started = time.perf_counter()
    say(f"{method.name}: tracing…")
    traced = trace(method, mesh)
    flops = count_flops(traced.jaxpr)
    lowered = traced.lower(lowering_platforms=("tpu",))
    lowered_at = time.perf_counter()
    say(f"{method.name}: compiling for {topology}; large models take minutes…")
    with refusing_what_does_not_fit(f"the program for {topology}"):
        compiled, text = compile_lowered(lowered)
    compiled_at = time.perf_counter()

    return ProgramReport(
        method=method.name,
        topology=topology,
        device=devices[0].device_kind,
        mesh=dict(mesh.shape),
        updates_per_call=steps,
        trace_seconds=lowered_at - started,
        compile_seconds=compiled_at - lowered_at,
        memory=Memory.of(compiled.memory_analysis(), available),
        flops=flops // (steps * mesh.size),
        traffic=hbm_bytes(text) // steps,
        collectives=collectives(text, steps),
        config=config.to_dict(),
    )


def trace(method: Method, mesh: Mesh) -> jax.stages.Traced:
    """Trace the call that the loop makes on `mesh`, without weights, data or devices."""
    state, *others = arguments(method, mesh)
    call = make_call(method, jax.tree.map(lambda leaf: leaf.sharding, state), mesh)
    precision = product_precision(method.config.get("dtype", "auto"), mesh.devices.flat[0].platform)
    with jax.set_mesh(mesh), jax.default_matmul_precision(precision):
        return call.trace(state, *others)


def arguments(method: Method, mesh: Mesh) -> tuple[TrainState, PyTree, jax.ShapeDtypeStruct, Feed]:
    """Return the arguments of the loop's call as shapes with the loop's shardings."""
    config, loaded = method.config, method.abstract(mesh)

    def initial(key: jax.Array) -> TrainState:
        return init_state(method.init(key), method.optimizer())

    key = jax.eval_shape(lambda: random_key(config.seed))
    state = jax.eval_shape(initial, key)
    feed = make_feed(loaded.source, range(config.steps_per_call), config.steps_per_call)
    return (
        _laid_out(state, state_shardings(state, method.trainable_rules, mesh)),
        _laid_out(loaded.frozen, shardings(loaded.frozen, method.frozen_rules, mesh)),
        _laid_out(key, NamedSharding(mesh, REPLICATED)),
        _laid_out(feed, feed_shardings(feed, method.batch_rules, mesh)),
    )


def compile_lowered(lowered: jax.stages.Lowered) -> tuple[jax.stages.Compiled, str]:
    """Return the program and its optimised text, which libtpu has to write.

    JAX cannot read every program back: for v6e, libtpu uses instructions that jaxlib refuses.
    """
    with tempfile.TemporaryDirectory() as folder:
        options = {"xla_dump_to": folder, "xla_dump_hlo_as_text": True}
        compiled = lowered.compile(compiler_options=options)
        # The program of the cores and, where they hand work to SparseCores, those of these.
        files = sorted(Path(folder).glob("*after_optimizations.txt"))
        return compiled, "\n".join(file.read_text(encoding="utf-8") for file in files)


def _laid_out(tree: PyTree, shardings: PyTree) -> PyTree:
    return jax.tree.map(
        lambda leaf, sharding: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding),
        tree,
        shardings,
    )
