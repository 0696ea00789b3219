"""The demonstration where it cannot be given."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pre_nixos.lab import demo, requirements
from pre_nixos.lab.description import Lab, LabError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PRE_NIXOS_ARTEFACTS", str(tmp_path))
    monkeypatch.setattr(requirements, "missing", lambda: ())


def said(capsys: pytest.CaptureFixture[str]) -> str:
    return " ".join(capsys.readouterr().out.split())


def test_without_its_programs_it_says_what_to_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(requirements, "missing", lambda: ("linux.uml", "mdadm"))
    assert demo.run() == 1
    assert capsys.readouterr().out == (
        "This needs programs that are not here: linux.uml, mdadm. As root, run:\n\n"
        "  apt-get install --no-install-recommends mdadm user-mode-linux\n"
    )


def test_a_server_that_does_not_start_is_told_in_words(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def boot(lab: Lab, *, artefacts: str) -> None:
        raise LabError(f"the guest with {len(lab.disks)} disks did not come up, see {artefacts}")

    monkeypatch.setattr(demo, "boot", boot)
    assert demo.run() == 1
    assert "NOT AS IT SHOULD BE: the guest with 5 disks did not come up" in said(capsys)


def test_whoever_stops_it_is_told_that_nothing_is_left(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def boot(lab: Lab, *, artefacts: str) -> None:
        raise KeyboardInterrupt(lab, artefacts)

    monkeypatch.setattr(demo, "boot", boot)
    assert demo.run() == 130
    assert said(capsys).endswith("Stopped. The virtual server is gone, and nothing of this machine was touched.")
