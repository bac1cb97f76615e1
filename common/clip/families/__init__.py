"""The registry of published families of models; a new one is a module beside this and a line."""

from pathlib import Path

from common.clip.config import CLIPConfig
from common.clip.families import clipa, hugging_face, metaclip2, open_clip, siglip
from common.clip.families.family import Family as Family
from common.errors import UserError
from common.files import read_json

FAMILIES: tuple[Family, ...] = (
    hugging_face.HUGGING_FACE,
    siglip.SIGLIP,
    metaclip2.METACLIP2,
    clipa.CLIPA,
    open_clip.VIT,
    open_clip.RESNET,
)
"""Where a directory could be of several families, the first of them reads it."""


def find_family(directory: Path) -> Family:
    """Return the family of a directory's model.

    Raises:
      UserError: There is no configuration.
    """
    present = [x for x in FAMILIES if (directory / x.config_file).is_file()]
    for family in present:
        # Beside an open_clip model, config.json may be that of another library.
        if family.claims(read_json(directory / family.config_file)):
            return family
    if present:
        return present[0]  # Its reader says what it misses.
    names = " nor ".join(dict.fromkeys(family.config_file for family in FAMILIES))
    raise UserError(f"{str(directory)!r} is not a CLIP directory: it holds neither {names}.")


def family_of(config: CLIPConfig) -> Family:
    """Return the family that a configuration belongs to: the first with towers of its types."""
    kinds = (type(config.text), type(config.vision))
    return next(family for family in FAMILIES if family.configs == kinds)


def small_files() -> tuple[str, ...]:
    """Return the names of all files but the weights, of any family."""
    configs = [family.config_file for family in FAMILIES]
    others = [name for family in FAMILIES for name in family.small_files]
    return tuple(dict.fromkeys([*configs, *others]))
