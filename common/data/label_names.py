"""Class names in parquet files: the library `datasets` keeps those of a single file."""

from collections.abc import Sequence
from types import ModuleType

from common.data.places import is_file
from common.errors import UserError
from common.text import quoted


def require_same_names(
    datasets: ModuleType, folder: str, config: str, label: str, classnames: Sequence[str]
) -> None:
    """Refuse files whose labels count other classes, for the library takes their numbers over.

    Args:
      datasets: The library.
      folder: Of the files.
      config: One of its configurations, or nothing.
      label: The column of the labels.
      classnames: What the labels of the data set count.

    Raises:
      UserError: It names the file, and the first number that means two classes.
    """
    import pyarrow.parquet

    parts = datasets.load_dataset_builder(folder, config or None).config.data_files or {}
    files = (file for part in parts.values() for file in part)
    for file in filter(is_file, (file for file in files if file.endswith(".parquet"))):
        schema = pyarrow.parquet.read_schema(file)
        kind = datasets.Features.from_arrow_schema(schema).get(label)
        names = kind.names if isinstance(kind, datasets.ClassLabel) else ()
        for number, (own, name) in enumerate(zip(names, classnames, strict=False)):
            if own != name:
                raise UserError(
                    f"the {label} {number} is {quoted(own)} in {file} and {quoted(name)} in the "
                    f"data set: cast {label!r} to one ClassLabel in all files."
                )
