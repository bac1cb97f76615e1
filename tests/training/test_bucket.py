"""Runs whose folder lies in a bucket, kept by an emulator of Google Cloud Storage.

Everything else is what a run on Cloud TPU has: etils' paths on gcsfs, and Orbax on tensorstore.
"""

import json
import sys
import time

import jax
import pytest

from common.config import read_config
from common.errors import UserError
from common.files import atomic_write, read_json, write_json
from common.page import write_page
from common.paths import as_path, in_bucket, on_disk, require_bucket
from common.runs import read_run
from common.training import lock
from common.training.growing import GrowingFiles
from common.training.mesh import use_compile_cache
from common.training.profiling import Profile


@pytest.fixture
def bucket(storage, request):
    """A folder in the bucket, one for each test."""
    return storage / request.node.name


def forget_listings():
    """What other processes wrote meanwhile is seen."""
    import gcsfs

    for filesystem in gcsfs.GCSFileSystem._cache.values():
        filesystem.invalidate_cache()


@pytest.fixture(scope="module")
def finished(runs, storage):
    """A finished run in the bucket."""
    workdir = storage / "finished"
    runs.train(workdir)
    return workdir


def test_a_run_in_a_bucket_is_the_run_on_a_disk(runs, undisturbed, same_run, finished):
    same_run(finished, undisturbed)
    assert len(list((finished / "checkpoints").iterdir())) == 3
    assert any(path.name.startswith("events") for path in finished.iterdir())
    assert runs.train(finished)["updates"] == 30


@pytest.mark.multiprocess
def test_a_killed_run_in_a_bucket_resumes(runs, same_run, bucket, tmp_path, monkeypatch):
    """Without evaluations only checkpoints bring the lines ahead of them to the bucket."""
    monkeypatch.setattr(lock, "PATIENCE", 2.0)
    arg = "log_every=5,eval_every=0"
    runs.train(tmp_path, arg)
    process = runs.start(bucket, f"{arg},sleep=0.05")
    deadline = time.monotonic() + 120
    while not (bucket / "checkpoints" / "00000010" / "commit_success.txt").exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)
        forget_listings()
    process.kill()
    process.communicate()
    forget_listings()
    assert not (bucket / "result.json").exists()
    runs.train(bucket, f"{arg},sleep=0.05")
    same_run(bucket, tmp_path)


def test_a_damaged_checkpoint_in_a_bucket_is_set_aside(runs, bucket, capsys, monkeypatch):
    # The emulator cannot move. gcsfs would ask again for half a minute, then copy.
    monkeypatch.setattr("gcsfs.retry.is_retriable", lambda error: False)
    runs.train(bucket, "updates=10")
    tokens = (bucket / "tokens.npy").read_bytes()
    for name in ("result.json", "tokens.npy"):
        (bucket / name).unlink()
    (bucket / "checkpoints" / "00000010" / "position" / "metadata").write_text("{")
    runs.train(bucket, "updates=10")
    assert "The checkpoint of step 10 cannot be read" in capsys.readouterr().out
    assert (bucket / "unreadable" / "00000010" / "position" / "metadata").read_text() == "{"
    assert (bucket / "tokens.npy").read_bytes() == tokens


def test_a_page_of_a_run_in_a_bucket(finished):
    run = read_run(finished)
    page = write_page(run.folder, run.result, run.config)
    assert "<svg" in page.read_text()


def test_another_config_in_a_bucket_is_refused(runs, finished):
    with pytest.raises(UserError, match=r"gs://.*holds a run with updates=30, but now updates=5"):
        runs.train(finished, "updates=5")


def test_a_save_may_be_written_in_several_goes(bucket):
    """As Orbax's are where tensorstore's first go does not wait for all arrays."""
    import tensorstore

    for name in "ab":  # A context of its own has read nothing yet.
        spec, context = {"driver": "ocdbt", "base": f"{bucket}/"}, tensorstore.Context()
        store = tensorstore.KvStore.open(spec, context=context).result()
        store.write(name, b"array").result()
    assert store.list().result() == [b"a", b"b"]


def test_compiled_programs_may_lie_in_a_bucket(storage):
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    use_compile_cache(f"{storage}/xla")
    try:
        jax.jit(lambda x: 3 * x + 5)(1.0)
        assert any(path.name.endswith("-cache") for path in (storage / "xla").iterdir())
    finally:
        use_compile_cache("")
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 1.0)


def test_a_cache_of_features_in_a_bucket_is_refused(runs, tmp_path):
    config = runs.toy.get_config()
    config.cache = "gs://mine/features"
    with pytest.raises(UserError, match="cache='gs://mine/features' is not a folder of a disk"):
        runs.toy.train(runs.toy.Toy(config), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("workdir", ["gs://nobodys", "gs://nobodys/run"])
def test_a_bucket_that_is_not_there_is_refused(runs, storage, workdir):
    with pytest.raises(UserError, match="there is no bucket gs://nobodys"):
        runs.train(workdir)
    for read in (read_config, read_run):
        with pytest.raises(UserError, match="there is no bucket gs://nobodys"):
            read(as_path(workdir))


def test_a_bucket_that_cannot_be_reached_is_one_sentence(storage, monkeypatch):
    def fail(self):
        raise OSError("no way\nto it")

    monkeypatch.setattr(type(storage), "exists", fail)
    with pytest.raises(
        UserError, match=r"gs://mine/run cannot be reached \(no way to it\): log in"
    ):
        require_bucket(storage / "run")


def test_what_fails_half_way_leaves_the_object_as_it_was(bucket):
    write_json(bucket / "a.json", {"one": 1})
    with pytest.raises(ZeroDivisionError), atomic_write(bucket / "a.json") as path:
        path.write_text("half")
        raise ZeroDivisionError
    assert read_json(bucket / "a.json") == {"one": 1}
    with on_disk(bucket / "a.json") as copy:
        assert not in_bucket(copy) and json.loads(copy.read_text()) == {"one": 1}
    assert not copy.exists()


def test_growing_files_are_sent_when_something_counts_on_them(bucket, monkeypatch):
    files = GrowingFiles(bucket)
    path = files.fetch("lines")
    path.write_text("one\n")
    assert not files.due() and not (bucket / "lines").exists()
    files.send()
    assert (bucket / "lines").read_text() == "one\n"
    monkeypatch.setattr("common.training.growing.PAUSE", -1.0)
    assert files.due()
    path.write_text("one\ntwo\n")
    files.close()
    assert (bucket / "lines").read_text() == "one\ntwo\n"
    again = GrowingFiles(bucket)
    assert again.fetch("lines").read_text() == "one\ntwo\n"
    again.close()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("s3://mine/run", "'s3://mine/run' is not a folder: give a path, or gs://BUCKET/FOLDER."),
        ("gs://", "'gs://' names no bucket"),
    ],
)
def test_other_urls_are_refused(name, message):
    with pytest.raises(UserError, match=message):
        as_path(name)


def test_without_the_package_buckets_are_refused(monkeypatch):
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    with pytest.raises(UserError, match="pip install gcsfs"):
        as_path("gs://mine/run")


@pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")  # of aiohttp
def test_a_trace_lies_in_the_bucket(bucket):
    with Profile(range(5), bucket) as profile:
        profile.start()
    assert list(bucket.glob("profile/plugins/profile/*/*.xplane.pb"))
