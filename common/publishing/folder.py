"""The folder of a published run: what it learned, its config, its figures and the model card."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from common.config import PLACES, flatten
from common.errors import UserError
from common.files import atomic_write, write_json
from common.paths import AnyPath, on_disk, within
from common.progress import say
from common.publishing.card import model_card
from common.publishing.portable import model_names, portable, require_portable
from common.training.method import Method
from common.training.results import read_result
from common.training.workdir import evaluation_settings
from common.weights.files import write_tensors
from common.weights.safetensors_file import read_safetensors

REMEDY = "train the run to its end first"
RESULT = ("method", "dataset", "model", "seed", "updates", "metrics", "baselines", "versions")
"""What is given away of a result; details may name photos and folders."""


def write_publication(
    method: type[Method],
    config: ConfigDict,
    workdir: AnyPath,
    out: Path,
    *,
    repository: str,
    models: Mapping[str, str],
    license: str = "",
) -> list[Path]:
    """Write what is given away of a finished run and return the files.

    Checkpoints, logs, pictures and tables of photos stay behind.

    Args:
      method: The run's.
      config: The run's.
      workdir: The run's folder.
      out: A new or empty folder.
      repository: What the card says that the run is called, USER/NAME.
      models: Hub ids of models that the config names by a path.
      license: For the card.

    Raises:
      UserError: The run is not finished, names a model that others do not have, or a file would
        tell a path of this machine.
    """
    if not (workdir / "result.json").exists():
        raise UserError(f"{workdir} holds no finished run: {REMEDY}.")
    names = model_names(flatten(config), models)
    settings = evaluation_settings(config, method.evaluation_fields)
    results = [_shared(result, names) for result in _results(workdir, settings)]
    card = method.publish(config, workdir, out)
    for name in method.writes:
        _copy_tensors(workdir, name, out, names)
    for file in out.glob("*.safetensors"):  # What the method has just written.
        _rewrite(file, file, names)
    write_json(out / "config.json", _config(config, names))
    write_json(out / "result.json", results[0])
    usage = card.usage
    for path, name in names.items():
        usage = usage.replace(path, name)
    text = model_card(
        replace(card, usage=usage),
        results,
        models=_bases(config, names),
        repository=repository,
        license=license,
    )
    with atomic_write(out / "README.md") as temporary:
        temporary.write_text(text, encoding="utf-8")
    files = sorted(file for file in out.rglob("*") if file.is_file())
    for file in files:
        require_portable(readable(file), str(file.relative_to(out)))
    return files


def _results(workdir: AnyPath, settings: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the run's own result, then what `evaluate` measured with the settings of today."""
    yield read_result(within(workdir, "result.json"), REMEDY)
    for file in sorted(within(workdir, "eval").glob("*.json")):
        result = read_result(file, REMEDY)
        # Files of older versions do not say.
        if result.get("settings", settings) == settings:
            yield result
        else:
            say(f"{file} was measured with other settings and is left out: evaluate it again.")


def _shared(result: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    return portable({name: result[name] for name in RESULT if name in result}, names)


def _config(config: ConfigDict, names: Mapping[str, str]) -> dict[str, Any]:
    """Return the config without places, which are the reader's to say."""
    return {**portable(config.to_dict(), names), **{x: "" for x in PLACES if x in config}}


def _bases(config: ConfigDict, names: Mapping[str, str]) -> list[str]:
    """Return the hub ids of the models that the run learned with."""
    fields = flatten(config)
    models = [names.get(fields[x], fields[x]) for x in ("model", "lm.model") if fields.get(x)]
    return [model for model in dict.fromkeys(models) if "/" in model]


def _copy_tensors(workdir: AnyPath, name: str, out: Path, names: Mapping[str, str]) -> None:
    """Copy a safetensors file of the run, or those of one of its folders."""
    source = within(workdir, name)
    files = sorted(source.glob("*.safetensors")) if source.is_dir() else [source]
    for file in files:
        if file.suffix == ".safetensors" and file.exists():
            target = out / file.relative_to(workdir)
            with on_disk(within(file.parent, file.name)) as copy:
                _rewrite(copy, target, names)


def _rewrite(source: Path, target: Path, names: Mapping[str, str]) -> None:
    """Write tensors once more, with what their header says made portable."""
    arrays, metadata = read_safetensors(source)
    write_tensors(target, arrays, portable(metadata, names))


def readable(file: Path) -> str:
    """Return the texts of a file: of tensors what the header says."""
    if file.suffix == ".safetensors":
        return "\n".join(f"{key} {text}" for key, text in read_safetensors(file)[1].items())
    return file.read_text(encoding="utf-8")
