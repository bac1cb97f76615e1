"""Every notebook from its first cell to its last, as it stands, in smoke mode on CPU."""

import os
import shutil

import nbformat
import pytest

from tests.colab.books import COLAB, METHODS, NAMES, ROOT, read

pytestmark = [pytest.mark.notebook, pytest.mark.timeout(3600)]


@pytest.fixture
def execute(tmp_path):
    """Runs a notebook in an empty folder and gives it with its outputs."""
    nbclient = pytest.importorskip("nbclient")
    environment = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}
    environment |= {
        "HOME": str(tmp_path / "home"),
        "HF_HUB_OFFLINE": "1",
        "PROMPTAX_SMOKE": "1",
        "PYTHONPATH": str(ROOT),
    }

    def run(name: str):
        book = read(name)
        for part in ("home", "work"):
            (tmp_path / part).mkdir()
        for script in COLAB.glob("*.sh"):
            shutil.copy(script, tmp_path / "work")
        where = {"metadata": {"path": str(tmp_path / "work")}}
        client = nbclient.NotebookClient(book, timeout=None, kernel_name="python3", resources=where)
        try:
            client.execute(env=environment)
        finally:  # For people to look at.
            nbformat.write(book, tmp_path / f"{name}.ipynb")
        return book

    return run


def shown(book, id: str) -> dict[str, str]:
    """What a cell put out, by MIME type; text is gathered."""
    [cell] = [cell for cell in book.cells if cell.id == id]
    found = {"text/plain": ""}
    for output in cell.outputs:
        assert output.output_type != "error", output
        if output.output_type == "stream":
            found["text/plain"] += output.text
        else:
            found |= output.data | {"text/plain": found["text/plain"] + output.data["text/plain"]}
    return found


@pytest.mark.parametrize("name", METHODS)
def test_method_runs_to_its_end(execute, tmp_path, name):
    book = execute(name)
    assert "1 x cpu" in shown(book, "setup")["text/plain"]
    assert f"| {name} " in shown(book, "table")["text/markdown"]
    assert "data:image/png" in shown(book, "pictures")["text/html"]
    assert "<svg" in shown(book, "curves")["text/html"]
    assert (tmp_path / "work" / "runs" / name / "result.json").is_file()


def test_the_pod_s_commands_are_shown_and_not_run(execute):
    book = execute("tpu_pod")
    for step in ("create", "install", "check", "run", "watch", "state", "again", "fetch", "delete"):
        assert "gcloud compute tpus" in shown(book, step)["text/plain"], step
    estimate = shown(book, "estimate")
    assert "v5e:2x4" in estimate.get("text/markdown", "") or "Skipped" in estimate["text/plain"]


def test_there_is_no_other_notebook():
    assert {path.stem for path in COLAB.glob("*.ipynb")} == set(NAMES)
