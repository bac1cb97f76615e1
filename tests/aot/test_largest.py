import pytest

from common.aot import DoesNotFit
from common.aot import largest as module
from common.aot.largest import largest
from common.errors import UserError
from tests.aot import toy


@pytest.fixture
def tried(monkeypatch):
    """Compiles nothing: a program needs `needs(value of "size")` GiB of ten, and `flops(value)`."""

    def use(needs, flops=lambda size: 100):
        values = []

        def compile_for(config, topology):
            values.append(config.size)
            if (needed := needs(config.size)) > 10:
                raise DoesNotFit("too large", float(needed), 10.0)
            peak, work = round(needed * 2**30), flops(config.size)
            return toy.report(peak=peak, flops=work, config=config.to_dict())

        monkeypatch.setattr(module, "compile_for", compile_for)
        return values

    return use


def config(**fields):
    found = toy.get_config()
    found.update(size=1, **fields)
    return found.lock()


def search(size):
    own = config()
    own.size = size
    report = largest(own, "v5e:1x1", "size")
    assert own.size == size  # The caller's stays as it is.
    return report.config["size"]


@pytest.mark.parametrize("limit", range(1, 40))
def test_the_largest_of_all(tried, limit):
    values = tried(lambda size: 9 + size / limit)
    assert search(1) == limit
    assert len(values) == len(set(values)) <= 12


@pytest.mark.parametrize(
    ("start", "found"), [(8, 40), (7, 42), (32, 32), (64, 32), (100, 25), (45, 22)]
)
def test_multiples_of_the_start_or_its_halves(tried, start, found):
    values = tried(lambda size: 10 * size / 43)
    assert search(start) == found
    assert values[0] == start


@pytest.mark.parametrize(("start", "limit", "found"), [(100, 24, 24), (3, 2, 2), (7, 6, 6)])
def test_between_a_half_and_an_odd_start(tried, start, limit, found):
    tried(lambda size: 10 * size / limit)
    assert search(start) == found


def test_a_field_that_no_longer_matters(tried, capsys):
    values = tried(lambda size: min(size, 6))
    assert search(2) == 8 and values == [2, 4, 8, 16]
    assert "size=16 is the same program as size=8" in capsys.readouterr().out


def test_more_work_in_the_same_memory_goes_on(tried):
    tried(lambda size: 6 if size < 32 else 11, flops=lambda size: 100 * size)
    assert search(1) == 31


def test_nothing_fits(tried):
    values = tried(lambda size: 11)
    with pytest.raises(DoesNotFit):
        search(4)
    assert values == [4, 2, 1]


def test_another_error_ends_the_search(tried):
    def needs(size):
        if size == 4:
            raise UserError("size=4 is odd enough")
        return 1 + size / 100

    tried(needs)
    with pytest.raises(UserError, match="odd enough"):
        search(1)


@pytest.mark.parametrize("field", ["absent", "mesh", "progress", "model", "eval_every"])
def test_a_field_that_is_no_count(field):
    with pytest.raises(UserError, match=f"--largest={field} is not a field"):
        largest(config(), "v5e:1x1", field)


@pytest.mark.tpu_backend
def test_the_compiler_says_what_fits(capsys):
    own = toy.get_config("Sized")
    own.gib = 4
    report = largest(own.lock(), "v5e:1x1", "gib")
    assert report.config["gib"] == 12  # of 15.75
    printed = capsys.readouterr().out
    assert [printed.count(f"gib={gib} ") for gib in (4, 8, 16, 12)] == [1, 1, 1, 1]
    assert "gib=16 would need 16." in printed
