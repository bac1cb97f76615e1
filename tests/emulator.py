"""Google Cloud Storage in this process; a download says the object's generation, as Google's do."""

from contextlib import suppress
from typing import Any

import pytest
from gcp_storage_emulator import server
from gcp_storage_emulator.exceptions import NotFound
from gcp_storage_emulator.handlers import objects

_download = objects.download


def _with_generation(request: Any, response: Any, storage: Any) -> None:
    place = request.params["bucket_name"], request.params["object_id"]
    with suppress(NotFound):  # The answer says so.
        response["X-Goog-Generation"] = storage.get_file_obj(*place)["generation"]
    _download(request, response, storage)


def make_server(port: int, bucket: str, patch: pytest.MonkeyPatch) -> server.Server:
    """Return a server of one empty bucket, in memory.

    Without a generation tensorstore cannot replace what it has read: Orbax's saves would fail
    wherever they are written in more than one go, as on a busy machine.
    """
    patch.setattr(objects, "download", _with_generation)
    for _, handlers in server.HANDLERS:
        for method, handler in handlers.items():
            if handler is _download:
                patch.setitem(handlers, method, _with_generation)
    return server.create_server("localhost", port, in_memory=True, default_bucket=bucket)
