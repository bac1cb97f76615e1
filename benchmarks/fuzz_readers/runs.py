"""Folders of runs and of the cache, and settings."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from benchmarks.fuzz_readers.reader import Reader, write
from common.paths import as_path

_KEY = {"what": "a test", "rows": [0, 2]}
_ARRAYS = {"x": np.arange(6, dtype=np.float32).reshape(2, 3)}


def _make_cache(folder: Path) -> None:
    from common.data.cache import cached

    cached(folder, _KEY, lambda: _ARRAYS)


def _cache(folder: Path) -> None:
    from common.data.cache import ExpectedArrays, cached

    arrays = cached(folder, _KEY, lambda: _ARRAYS, ExpectedArrays(frozenset({"x"}), 2, {"x": (3,)}))
    if set(arrays) != {"x"}:
        raise AssertionError("a damaged entry of the cache was read")


def _make_run(folder: Path) -> None:
    result = {
        **{"method": "mcti", "dataset": "pocket", "model": "pocket", "seed": 0, "updates": 4},
        **{"seconds": 1.5, "devices": "1 CPU", "metrics": {"accuracy": 50.0, "train/loss": 1.0}},
        "baselines": {"zero_shot": {"accuracy": 40.0}},
        **{"details": {"tokens": [{"class": "a"}]}, "versions": {"jax": "0.10"}},
    }
    write(folder / "run/result.json", result)
    write(folder / "run/config.json", {"data": "pocket", "seed": 0, "generate": {"steps": 5}})
    lines = [{"step": step, "loss": 1 / (step + 1)} for step in range(4)]
    (folder / "run/metrics.jsonl").write_text("".join(f"{json.dumps(x)}\n" for x in lines))


def _run_folder(folder: Path) -> Any:
    from common.page.page import write_page
    from common.report import report
    from common.runs import read_run

    run = read_run(as_path(str(folder / "run")))
    report([run])
    write_page(run.folder, run.result, run.config)


def _config() -> ConfigDict:
    values = {
        "method": "mcti",
        "data": "pocket",
        "model": "pocket",
        "seed": 0,
        "rate": 0.1,
        "names": ("a", "b"),
    }
    config = ConfigDict(values)
    config.mesh = ConfigDict({"data": 1, "fast": False})
    return config


def _make_setting(folder: Path) -> None:
    text = "data=folder:a/b,seed=3,rate=1e-3,mesh.data=2,mesh.fast,names=(a,b)"
    (folder / "config.txt").write_text(text)


def _setting(folder: Path) -> Any:
    from common.config import apply_arg

    return apply_arg(_config(), (folder / "config.txt").read_bytes().decode("utf-8", "replace"))


def _make_written_config(folder: Path) -> None:
    write(folder / "config.json", json.loads(_config().to_json()))


def _written_config(folder: Path) -> Any:
    from common.config import read_config

    return read_config(as_path(str(folder)), _config())


def _make_template(folder: Path) -> None:
    (folder / "template.txt").write_text("a photo of {}, nice.")


def _template(folder: Path) -> Any:
    from common.data.templates import fill
    from mcti_jax.options import check_template

    text = (folder / "template.txt").read_bytes().decode("utf-8", "replace")
    check_template("generate.prompt", text)
    return fill(text, name="a dog", phrase="which barks")


READERS = {
    "cache": Reader(_make_cache, _cache),
    "run_folder": Reader(_make_run, _run_folder),
    "config_string": Reader(_make_setting, _setting),
    "config_file": Reader(_make_written_config, _written_config),
    "template": Reader(_make_template, _template),
}
