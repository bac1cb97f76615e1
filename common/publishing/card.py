"""The model card: what the hub shows of a published run."""

from collections.abc import Mapping, Sequence
from typing import Any

from common.evaluation.tables import escaped, markdown_table, metrics_tables, value_rows
from common.strict_json import dump
from common.training.types import Card

LIBRARY = "promptax"


def model_card(
    card: Card,
    results: Sequence[Mapping[str, Any]],
    *,
    models: Sequence[str],
    repository: str,
    license: str = "",
) -> str:
    """Return `README.md`, in Markdown behind its YAML front matter.

    Args:
      card: What the method says.
      results: What was measured, the run's own result first.
      models: Hub ids of the models that the run learned with.
      repository: Where the run will be, USER/NAME.
      license: Of what was learned, as the hub calls it; "" leaves that to the user.
    """
    result = results[0]
    facts = {
        "method": result["method"],
        "data set": result["dataset"],
        "classes": str(len(card.classnames)) if card.classnames else "",
        **card.facts,
        "base model": ", ".join(models) or result["model"],
        "updates": str(result.get("updates", "")),
        "seed": str(result["seed"]),
    }
    front = {
        "license": license,
        "library_name": card.library or LIBRARY,
        "base_model": list(models),
        "tags": [LIBRARY, *card.tags],
    }
    parts = [
        "---\n" + "".join(f"{key}: {dump(x)}\n" for key, x in front.items() if x) + "---",
        f"# {card.title or result['method']}",
        "## What was learned from",
        _table(facts),
        "## Figures",
        *(_figures(measured) for measured in results),
        "## How to load it",
        card.usage.replace("{repository}", repository),
    ]
    if card.classnames:
        parts += ["## Classes", ", ".join(map(escaped, card.classnames))]
    return "\n\n".join(part for part in parts if part.strip()) + "\n"


def _table(facts: Mapping[str, str]) -> str:
    rows = [[name, escaped(value)] for name, value in facts.items() if value]
    return markdown_table(["", ""], rows)


def _figures(result: Mapping[str, Any]) -> str:
    tables = metrics_tables(value_rows(result))
    return f"On {escaped(result['dataset'])}:\n\n{tables.strip()}"
