"""What the cards of the bundled models say."""

from common.files import read_json


def figures_on_card(folder):
    """Return the figures beside the models of a folder, each of which its card shows."""
    figures, card = read_json(folder / "figures.json"), (folder / "README.md").read_text()
    for name, value in figures.items():
        assert f"{name} " in card and f"{value:.3f}" in card, name
    return figures
