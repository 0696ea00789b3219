"""Guests for tests: whatever is destructive happens in them, never on this machine."""

from __future__ import annotations

import os
from contextlib import ExitStack
from itertools import count
from typing import TYPE_CHECKING, Protocol

import pytest

from pre_nixos.lab.choice import boot
from tests.integration.scenarios import account

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from pre_nixos.lab.choice import Kind
    from pre_nixos.lab.description import Lab
    from pre_nixos.lab.guest import Guest


class BootGuest(Protocol):
    """Boots a guest that goes when the fixture's scope ends; of the kind that fits, unless one is insisted on."""

    def __call__(self, lab: Lab, kind: Kind | None = None, visible: Sequence[str] = ()) -> Guest: ...


_running: list[Guest] = []
_numbers = count(1)


@pytest.fixture(scope="module")
def boot_shared(request: pytest.FixtureRequest) -> Generator[BootGuest]:
    """For guests that all tests of a module use and none spoils."""
    yield from _booting(request)


@pytest.fixture
def boot_fresh(request: pytest.FixtureRequest) -> Generator[BootGuest]:
    """For guests that a test has to itself."""
    yield from _booting(request)


def _booting(request: pytest.FixtureRequest) -> Generator[BootGuest]:
    with ExitStack() as stack:

        def boot_one(lab: Lab, kind: Kind | None = None, visible: Sequence[str] = ()) -> Guest:
            # Tests of one file may run in several processes, which count each for itself.
            place = f"{request.path.stem}-{os.environ.get('PYTEST_XDIST_WORKER', '')}{next(_numbers)}"
            artefacts = os.path.join(request.config.rootpath, "artefacts", place)
            guest = boot(lab, artefacts=artefacts, visible=visible, kind=kind)
            stack.enter_context(guest)
            _running.append(guest)
            stack.callback(_running.remove, guest)
            return guest

        yield boot_one


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(call: pytest.CallInfo[None]) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """When a test fails, leave evidence of every guest that runs, and say where."""
    report = yield
    if call.when == "call" and report.failed:
        for guest in _running:
            report.sections.append(("guest", f"evidence in {guest.keep()}\n{guest.console()}"))
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Tell what the scenarios took; here, because only this is loaded where the files of a run are distributed."""
    reports = [each for outcome in ("passed", "failed") for each in terminalreporter.getreports(outcome)]
    found = account.entries(reports)
    if found:
        terminalreporter.section("scenarios")
        for line in account.table(found):
            terminalreporter.write_line(line)
        terminalreporter.write_line(account.write(found, os.path.join(config.rootpath, "artefacts")))
