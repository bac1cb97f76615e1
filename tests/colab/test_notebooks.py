"""What can be said of the notebooks without running them."""

import ast
import importlib
import importlib.util
import re

import pytest

from common.config import apply_arg, flatten
from tests.colab.books import METHODS, NAMES, ROOT, python, read, sources

LINES = 25
# Written once for people and tools: empty, or the address that goes into the notebooks' forms, too.
REPOSITORY = re.search(r'^REPOSITORY = "(.*)"$', (ROOT / "setup.py").read_text(), re.M).group(1)
LINK = re.compile(r"\]\((https?://[^)\s]+|[^)#\s]+)[^)]*\)")
FILE = re.compile(r"`([\w/]+/[\w.]+\.(?:md|py|sh))`")

every_notebook = pytest.mark.parametrize("name", NAMES)


@every_notebook
def test_is_stripped_of_what_a_run_leaves(name):
    for cell in read(name).cells:
        assert set(cell.metadata) <= {"id"}, cell.id
        if cell.cell_type == "code":
            assert cell.outputs == []
            assert cell.execution_count is None


@every_notebook
def test_metadata_name_the_kernel_and_the_device(name):
    metadata = read(name).metadata
    assert metadata.kernelspec.name == "python3"
    assert metadata.get("accelerator") == ("TPU" if name in METHODS else None)
    assert metadata.colab.get("gpuType") == ("V5E1" if name in METHODS else None)


@every_notebook
def test_cells_are_short_and_their_ids_say_what_they_are(name):
    book = read(name)
    ids = [cell.id for cell in book.cells]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[a-z-]+", id) for id in ids)
    assert {c.id: n for c in book.cells if (n := len(c.source.splitlines())) > LINES} == {}


@every_notebook
def test_cells_define_nothing(name):
    for source in sources(name).values():
        for node in ast.walk(python(source)):
            assert not isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Lambda | ast.While)


@every_notebook
def test_the_readme_leads_to_this_notebook(name):
    assert f"(colab/{name}.ipynb)" in (ROOT / "README.md").read_text()
    assert sources(name, "markdown")["head"].startswith("# ")


@every_notebook
def test_what_it_names_of_the_repository_are_files(name):
    own = [file for text in sources(name, "markdown").values() for file in FILE.findall(text)]
    assert own
    for file in own:
        assert (ROOT / file).is_file(), file


@every_notebook
def test_links_lead_to_other_places(name):
    """Colab shows a notebook alone, where a path leads nowhere."""
    links = [link for text in sources(name, "markdown").values() for link in LINK.findall(text)]
    assert [link for link in links if not link.startswith("https://")] == []
    assert [link for link in links if "/promptax" in link and not REPOSITORY] == []


def test_all_share_one_setup_cell():
    setups = {sources(name)["setup"] for name in NAMES}
    assert len(setups) == 1
    assert f'repository = "{REPOSITORY}"  #@param' in setups.pop()


@pytest.mark.parametrize("address", ["", "https://example.com/nowhere"])
def test_a_missing_or_wrong_address_is_one_sentence(address, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    setup = sources("mcti")["setup"].replace(f'"{REPOSITORY}"', f'"{address}"', 1)
    with pytest.raises(SystemExit, match=r"^Give the repository's address .* again\.$"):
        exec(compile(python(setup), "setup", "exec"), {})


@every_notebook
def test_installs_in_two_cells_and_leaves_jax(name):
    for id, source in sources(name).items():
        assert ("pip install" in source) == (id in ("setup", "compiler"))
        assert not re.search(r"(-U|--upgrade|jax\[tpu\](?!=={same}))", source)
    assert "--constraint" in sources(name)["setup"]


@pytest.mark.parametrize("name", METHODS)
def test_fields_are_the_config_s(name):
    calls = [
        node
        for node in ast.walk(python(sources(name)["config"]))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "settings"
    ]
    [call] = calls
    config = importlib.import_module(f"configs.{name}").get_config()
    fields, _ = call.args
    assert {key.value for key in fields.keys} <= set(flatten(config))
    [smoke_run] = [keyword.value.value for keyword in call.keywords]
    apply_arg(config, smoke_run)


@every_notebook
def test_form_fields_are_used(name):
    cells = sources(name)
    forms = re.findall(r"^(\w+) = .*#@param", "\n".join(cells.values()), re.M)
    names = [
        node.id
        for source in cells.values()
        for node in ast.walk(python(source))
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
    ]
    assert set(forms) - set(names) == set()
