"""Devices and settings."""

from types import SimpleNamespace

import jax
import pytest

from common.errors import UserError
from common.notebook import device_line, missing, settings, shell, smoke
from common.notebook.runtime import SMOKE
from configs.mcti import get_config


@pytest.fixture
def devices(monkeypatch):
    """Returns a function that pretends that there are other devices."""

    def pretend(platform: str, kind: str, count: int, memory: dict | None) -> None:
        device = SimpleNamespace(platform=platform, device_kind=kind, memory_stats=lambda: memory)
        monkeypatch.setattr(jax, "devices", lambda: [device] * count)
        monkeypatch.setattr(jax, "device_count", lambda: count)

    return pretend


@pytest.mark.parametrize(
    ("platform", "kind", "count", "gib"),
    [
        ("tpu", "TPU v5 lite", 1, 15.75),
        ("tpu", "TPU v6 lite", 1, 31.25),
        ("tpu", "TPU v2", 8, 7.48),
        ("gpu", "Tesla T4", 1, 11.0),
    ],
)
def test_devices_are_told(devices, platform, kind, count, gib):
    devices(platform, kind, count, {"bytes_limit": int(gib * 2**30)})
    assert device_line().startswith(f"{count} x {kind}; {gib:.1f} GiB each; jax {jax.__version__}")
    assert "no accelerator" not in device_line()


def test_a_cpu_is_told_what_it_can_do():
    assert "GiB" not in device_line()
    assert "no accelerator" in device_line()


def test_settings_are_what_stands_behind_the_colon(monkeypatch):
    monkeypatch.delenv(SMOKE, raising=False)
    text = settings({"data": "folder:a b", "model": "", "mesh.data": 1}, "shots=3", "updates=2")
    assert text == "data=folder:a b,mesh.data=1,shots=3"
    config = get_config(text)
    assert (config.data, config.model, config.shots) == ("folder:a b", "pocket", 3)


def test_a_smoke_run_wins(monkeypatch):
    monkeypatch.setenv(SMOKE, "1")
    assert smoke()
    assert get_config(settings({"updates": 9}, "updates=8", "updates=2")).updates == 2
    monkeypatch.setenv(SMOKE, "0")
    assert not smoke()
    assert get_config(settings({"updates": 9}, "updates=8", "updates=2")).updates == 8


def test_a_comma_is_refused():
    with pytest.raises(UserError, match=r"data='folder:a,b'"):
        settings({"data": "folder:a,b"})


def test_missing_packages_are_named():
    assert missing("json", "os") == ""
    assert missing("json", "no_such_package") == "Skipped: this cell needs no_such_package."


def test_a_program_s_words_are_shown_and_its_failure_stops(capsys):
    shell("bash", "-c", "echo out; echo err >&2")
    assert capsys.readouterr().out.splitlines() == ["out", "err"]
    with pytest.raises(UserError, match="status 3"):
        shell("bash", "-c", "echo last; exit 3")
    assert capsys.readouterr().out == "last\n"
