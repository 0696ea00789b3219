"""What holds for every test: none is left out without the run failing, and none is judged by the clock."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from collections.abc import Generator

    Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)

# Guests and checkers share the processors with the tests; a slow example is not a wrong one.
settings.register_profile("unhurried", deadline=None, print_blob=True)
settings.load_profile("unhurried")


def _insist(report: Report) -> Report:
    """A skipped or expected failure counts as a failure: what is not tested here is tested nowhere."""
    if report.outcome == "skipped" or hasattr(report, "wasxfail"):
        report.outcome = "failed"
        # pytest tells an expected failure apart by this attribute, whatever the outcome says.
        reason = report.__dict__.pop("wasxfail", "")
        where = report.longrepr
        report.longrepr = f"left out: {where[2] if isinstance(where, tuple) else reason or where}"
    return report


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    return _insist((yield))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    return _insist((yield))
