"""The README says which models and chips a run needs as the compiled rows and configs have it."""

import pytest

from benchmarks.before_you_start import JOBS, PAIRS, PLACE, ROOT, least_time, tables
from benchmarks.pages import renewed
from common.clip import known as clips
from common.diffusion import known as diffusions
from common.errors import UserError

README = (ROOT / "README.md").read_text("utf-8")


def test_the_readme_holds_what_the_script_prints():
    """If this fails: python -m benchmarks.before_you_start --update=README.md."""
    assert f"<!-- {PLACE} -->\n\n{tables()}\n\n<!-- end -->" in README
    assert renewed(README, PLACE, tables()) == README


def test_a_pair_shares_the_width_of_its_tokens():
    assert set(PAIRS) == set(diffusions.KNOWN)
    for model, clip in PAIRS.items():
        *_, text = diffusions.KNOWN[model].texts.values()
        assert text.width == clips.KNOWN[clip].text.width


def test_every_job_has_a_row_for_each_slice():
    assert all([case.slice for case in job.cases()] == list(job.slices) for job in JOBS)


def test_time_is_the_roofline_over_the_share_of_the_peak():
    row = {"roofline": {"seconds": 3.6}}
    assert [least_time(row, 3000, share) for share in (1.0, 0.3)] == ["3 h", "10 h"]
    assert [least_time(row, count, 1.0) for count in (0, 1, 100)] == ["0 s", "3.6 s", "6 min"]


def test_a_page_without_a_place_is_refused():
    with pytest.raises(UserError, match="the page has no"):
        renewed("# Another page", PLACE, "")
