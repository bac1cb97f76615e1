"""What is saved comes back, or is refused with a reason."""

import json
import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import NamedSharding

from common.errors import UserError
from common.hosts import to_host
from common.training.checkpoints import Checkpoints, Position
from common.training.mesh import make_mesh
from common.training.state import TrainState, init_state

PRINTS = {"weights": "aaaa", "data": "bbbb"}


def make_state(axis: str | None = "data", devices: int = 8, step: int = 0) -> TrainState:
    tokens = jnp.arange(16, dtype=jnp.float32).reshape(8, 2) + step
    state = init_state({"tokens": tokens, "scale": jnp.bfloat16(3.5)}, optax.adam(1e-3))
    mesh = make_mesh(devices, 1)
    where = jax.tree.map(
        lambda leaf: NamedSharding(mesh, jax.P(axis) if leaf.shape == (8, 2) else jax.P()),
        state,
    )
    return jax.device_put(state, where)


def save(directory, *steps: int, keep: int = 3, prints=PRINTS) -> None:
    with Checkpoints(directory, keep, prints) as checkpoints:
        for step in steps:
            position = Position(step, 1.5, 100 * step, {"loss": 0.1}, 7)
            checkpoints.save(make_state(step=step), position)


def equal(state: TrainState, other: TrainState) -> None:
    jax.tree.map(np.testing.assert_array_equal, to_host(state), to_host(other))


def test_state_and_position_come_back(tmp_path):
    save(tmp_path / "c", 4)
    with Checkpoints(tmp_path / "c", 3, PRINTS) as checkpoints:
        restored = checkpoints.restore(make_state())
    assert restored.position == Position(4, 1.5, 400, {"loss": 0.1}, 7)
    equal(restored.state, make_state(step=4))
    assert jax.tree.structure(restored.state) == jax.tree.structure(make_state())


@pytest.mark.parametrize(("axis", "devices"), [(None, 8), ("data", 2)])
def test_state_comes_back_on_another_mesh(tmp_path, axis, devices):
    save(tmp_path / "c", 4)
    like = make_state(axis, devices)
    with Checkpoints(tmp_path / "c", 3, PRINTS) as checkpoints:
        restored = checkpoints.restore(like)
    equal(restored.state, make_state(step=4))
    assert restored.state.trainable["tokens"].sharding == like.trainable["tokens"].sharding


@pytest.mark.parametrize("rows", [5, 6, 16])
def test_rows_that_fill_up_a_mesh_are_not_saved(tmp_path, rows):
    """Five are real; eight devices take eight, others as many as suit them."""
    real = {".*tokens": 5}
    with Checkpoints(tmp_path / "c", 3, PRINTS, real) as checkpoints:
        checkpoints.save(make_state(step=4), Position(4))
    like = init_state(
        {"tokens": jnp.full((rows, 2), -1.0), "scale": jnp.bfloat16(0)}, optax.adam(1e-3)
    )
    like = jax.device_put(like, NamedSharding(make_mesh(1, 1), jax.P()))
    with Checkpoints(tmp_path / "c", 3, PRINTS, real) as checkpoints:
        restored = checkpoints.restore(like).state
    found, saved = (to_host(state).trainable for state in (restored, make_state(step=4)))
    np.testing.assert_array_equal(found["tokens"][:5], saved["tokens"][:5])
    assert (found["tokens"][5:] == -1).all() and found["tokens"].shape == (rows, 2)
    assert found["scale"] == saved["scale"]
    assert restored.opt_state[0].mu["tokens"].shape == (rows, 2)


def test_only_the_newest_are_kept(tmp_path):
    save(tmp_path / "c", 1, 2, 3, 4, keep=2)
    assert sorted(path.name for path in (tmp_path / "c").iterdir()) == ["00000003", "00000004"]


def test_nothing_to_restore(tmp_path):
    with Checkpoints(tmp_path / "c", 3, PRINTS) as checkpoints:
        assert checkpoints.restore(make_state()) is None


def truncate(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


def array_files(checkpoint):
    return [path for path in (checkpoint / "state").rglob("*") if path.parent.name == "d"]


# A read that fails leaves the reads beside it without the event loop that they report to.
@pytest.mark.filterwarnings("ignore:Exception ignored in. None")
@pytest.mark.parametrize("damage", [truncate, flip, lambda path: path.unlink()])
def test_a_damaged_checkpoint_falls_back(tmp_path, capsys, damage):
    save(tmp_path / "c", 4, 8)
    for path in array_files(tmp_path / "c" / "00000008"):
        damage(path)
    with Checkpoints(tmp_path / "c", 3, PRINTS) as checkpoints:
        restored = checkpoints.restore(make_state())
        assert restored.position.step == 4
        equal(restored.state, make_state(step=4))
        assert "checkpoint of step 8 cannot be read" in capsys.readouterr().out
        assert (tmp_path / "unreadable" / "00000008").is_dir()
        # The run that goes on comes past step 8 again, and saves it again.
        checkpoints.save(make_state(step=8), Position(8))
        checkpoints.wait()
        equal(checkpoints.restore(make_state()).state, make_state(step=8))


def test_a_damaged_position_falls_back(tmp_path, capsys):
    save(tmp_path / "c", 4, 8)
    truncate(tmp_path / "c" / "00000008" / "position" / "metadata")
    with Checkpoints(tmp_path / "c", 3, PRINTS) as checkpoints:
        assert checkpoints.restore(make_state()).position.step == 4
    assert "checkpoint of step 8 cannot be read" in capsys.readouterr().out


def test_values_that_changed_on_disk_are_not_taken(tmp_path, capsys):
    save(tmp_path / "c", 4, 8)
    note = tmp_path / "c" / "00000008" / "position" / "metadata"
    written = json.loads(note.read_text())
    note.write_text(json.dumps(written | {"checksum": "0" * 64}))
    with Checkpoints(tmp_path / "c", 3, PRINTS) as checkpoints:
        assert checkpoints.restore(make_state()).position.step == 4
    assert "not those that were saved" in capsys.readouterr().out


def test_no_readable_checkpoint_is_an_error(tmp_path, capsys):
    save(tmp_path / "c", 4, 8)
    for path in (tmp_path / "c").rglob("metadata"):
        path.write_text("{")
    with (
        Checkpoints(tmp_path / "c", 3, PRINTS) as checkpoints,
        pytest.raises(UserError, match="none of the 2 checkpoints"),
    ):
        checkpoints.restore(make_state())


@pytest.mark.parametrize("name", ["weights", "data"])
def test_a_checkpoint_of_something_else_is_refused(tmp_path, name):
    save(tmp_path / "c", 4)
    message = f"made with other {name} (fingerprint {PRINTS[name]}, now ffff)"
    with (
        Checkpoints(tmp_path / "c", 3, PRINTS | {name: "ffff"}) as checkpoints,
        pytest.raises(UserError, match=re.escape(message)),
    ):
        checkpoints.restore(make_state())
    assert (tmp_path / "c" / "00000004").is_dir()


@pytest.mark.parametrize(
    ("trainable", "message"),
    [
        (
            {"tokens": jnp.zeros((8, 2)), "scale": jnp.bfloat16(0), "more": jnp.zeros(3)},
            r"opt_state.0.mu.more of the shape none, and this run \(3,\)",
        ),
        (
            {"tokens": jnp.zeros((8, 3)), "scale": jnp.bfloat16(0)},
            r"tokens of the shape \(8, 2\), and this run \(8, 3\)",
        ),
    ],
)
def test_a_whole_checkpoint_of_another_state_is_refused_and_stays(tmp_path, trainable, message):
    save(tmp_path / "c", 4)
    like = init_state(trainable, optax.adam(1e-3))
    like = jax.device_put(like, NamedSharding(make_mesh(1, 1), jax.P()))
    with (
        Checkpoints(tmp_path / "c", 3, PRINTS) as checkpoints,
        pytest.raises(UserError, match=message),
    ):
        checkpoints.restore(like)
    assert (tmp_path / "c" / "00000004").is_dir()
    assert not (tmp_path / "unreadable").exists()
