"""What can be said of the notebooks without running them."""

import ast
import importlib
import re

import pytest

from common.config import apply_arg, flatten
from tests.colab.books import METHODS, NAMES, ROOT, python, read, sources

LINES = 25
# Written once for people and tools; `YOUR_NAME`, which cannot be an account's name, is to be
# replaced here and in the notebooks together.
REPOSITORY = re.search(r'^    url="(.+)",$', (ROOT / "setup.py").read_text(), re.M).group(1)
LINK = re.compile(r"\]\((https?://[^)\s]+|[^)#\s]+)[^)]*\)")

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
def test_the_badge_opens_this_notebook(name):
    account = REPOSITORY.removeprefix("https://github.com/")
    where = f"https://colab.research.google.com/github/{account}/blob/main/colab/{name}.ipynb"
    assert f"({where})" in sources(name, "markdown")["head"].splitlines()[0]
    assert where in (ROOT / "README.md").read_text()


@every_notebook
def test_links_into_the_repository_lead_to_files(name):
    links = [link for text in sources(name, "markdown").values() for link in LINK.findall(text)]
    own = [link for link in links if link.startswith(REPOSITORY)]
    assert own
    for link in own:
        assert (ROOT / link.removeprefix(f"{REPOSITORY}/blob/main/")).is_file(), link
    assert [link for link in links if not link.startswith("https://")] == []


def test_all_share_one_setup_cell():
    setups = {sources(name)["setup"] for name in NAMES}
    assert len(setups) == 1
    assert f'REPOSITORY = "{REPOSITORY}"' in setups.pop()


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
    # The setup cell gives its only field to a shell.
    assert set(forms) - set(names) == {"REPOSITORY"}
