"""auto, where what is there is closed: it is opened first, by which nothing can be lost, and decided about then."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from tests.unit.cli.test_installing import on, stands
from tests.unit.cli.test_layouts import RIGHT, written
from tests.unit.flow.test_apply import asleep

if TYPE_CHECKING:
    from pathlib import Path

    from pre_nixos.host.api import Outcome


@pytest.mark.parametrize(("label", "state"), [("precious", "auto-applied"), ("somebody else's", "refused")])
def test_what_is_closed_is_opened_and_only_then_is_it_decided(tmp_path: Path, label: str, state: str) -> None:
    there, _ = asleep(label=label)
    assert on(tmp_path, there, "auto").status == 0
    assert there.did == []
    ran = on(tmp_path, there, "auto", "--apply", "--json")
    assert ran.status == (state == "refused")
    assert ran.json()["format"] in {"pre-nixos report", "pre-nixos auto"}  # one document, whatever was done for it
    assert there.did[0] == "activate toy.pool:new"
    assert not [each for each in there.did if each.startswith(("format", "teardown", "modify"))]
    assert stands(tmp_path)[0] == state


def test_a_stop_that_is_asked_for_while_something_is_opened_is_heard(tmp_path: Path) -> None:
    there, _ = asleep(label="precious")
    opened = there.broken["activate toy.pool:new"]

    def open_and_be_stopped() -> Outcome | None:
        os.kill(os.getpid(), signal.SIGTERM)
        return opened()

    there.broken["activate toy.pool:new"] = open_and_be_stopped
    assert on(tmp_path, there, "auto", "--apply").status == 1
    assert there.did == ["activate toy.pool:new"]
    assert stands(tmp_path)[:2] == (
        "planned",
        "stopped, as asked; what is there may have been opened, and nothing was changed",
    )


def test_scripts_take_a_person_also_where_something_is_closed(tmp_path: Path) -> None:
    there, _ = asleep(label="precious")
    pool = {**RIGHT["pool"]["new"], "preMountHook": "true"}
    words = ("--layout", written(tmp_path, {**RIGHT, "pool": {"new": pool}}), "--allow-hooks")
    assert on(tmp_path, there, "auto", "--apply", *words).status == 0
    assert there.did == []
    state, detail, _ = stands(tmp_path)
    assert (state, "it runs scripts, which takes a person" in detail) == ("planned", True)
