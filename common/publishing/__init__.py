"""What is given away of a run: its learned files and a model card, without this machine's paths."""

from common.publishing.folder import write_publication

__all__ = ["write_publication"]
