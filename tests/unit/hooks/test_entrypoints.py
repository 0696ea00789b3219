"""Entry points are those `importlib.metadata` finds, however they came to be there."""

from __future__ import annotations

import sys
import zipfile
from importlib import metadata
from typing import TYPE_CHECKING

import pytest

from pre_nixos.hooks.entrypoints import Point, entry_points

if TYPE_CHECKING:
    from pathlib import Path

GROUP = "pre_nixos_trial"


def expected(group: str) -> set[tuple[str, str, str]]:
    found = metadata.entry_points(group=group)
    return {(each.name, each.value, f"{each.dist.name} {each.dist.version}" if each.dist else "") for each in found}


@pytest.mark.parametrize("group", ["pre_nixos", "console_scripts", "pytest11", "distutils.commands", "no such"])
def test_what_is_installed_here(group: str) -> None:
    assert {tuple(each) for each in entry_points(group)} == expected(group)


def install(path: Path, name: str, text: str, metadata_file: str = "METADATA") -> None:
    info = path / name
    info.mkdir(parents=True)
    (info / "entry_points.txt").write_text(text)
    (info / metadata_file).write_text("Metadata-Version: 2.1\nName: Ä-Name\nVersion: 1.0\n\nName: not this\n")


def test_sections_comments_and_twins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    points = f"# none\n[other]\na = b\n\n[{GROUP}]\n one = os.path : join [extra]\n# two = x\nthree=json\n"
    install(tmp_path / "first", "my.dist-1.0.dist-info", points)
    install(tmp_path / "second", "My_Dist-2.0.dist-info", f"[{GROUP}]\nhidden = json\n")
    install(tmp_path / "second", "old-1.0.egg-info", f"[{GROUP}]\nold = json\n", "PKG-INFO")
    monkeypatch.setattr(sys, "path", [str(tmp_path / "first"), str(tmp_path / "second"), *sys.path])
    found = entry_points(GROUP)
    assert {tuple(each) for each in found} == expected(GROUP)
    assert {each.name for each in found} == {"one", "three", "old"}
    assert {each.origin for each in found} == {"Ä-Name 1.0"}
    by_name = {each.name: each.load() for each in found}
    assert by_name["one"] is sys.modules["os"].path.join
    assert by_name["three"] is sys.modules["json"]


def test_those_in_an_archive_are_found_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = tmp_path / "packed.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("packed-1.0.dist-info/entry_points.txt", f"[{GROUP}]\npacked = json\n")
        file.writestr("packed-1.0.dist-info/METADATA", "Name: packed\nVersion: 1.0\n")
    monkeypatch.setattr(sys, "path", [str(archive), *sys.path])
    assert entry_points(GROUP) == [Point("packed", "json", "packed 1.0")]


def test_a_value_that_names_nothing_cannot_be_imported() -> None:
    with pytest.raises(ImportError, match="names no module"):
        Point("x", "not a module!", "").load()
