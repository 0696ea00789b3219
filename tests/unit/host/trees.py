"""Canned sysfs trees, in miniature but with the kernel's own links."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.host.sysfs import Sysfs

if TYPE_CHECKING:
    from pathlib import Path


class Tree:
    """A sysfs and a udev database under a temporary directory."""

    def __init__(self, root: Path) -> None:
        self.root = root / "sys"
        self.udev = root / "udev"
        self.udev.mkdir(parents=True)
        self._paths: dict[str, Path] = {}

    @property
    def sysfs(self) -> Sysfs:
        return Sysfs(root=str(self.root), udev=str(self.udev))

    def add(self, name: str, number: str, *, on: str = "", below: str = "virtual/block", **attributes: str) -> Path:
        """Add a device; `on` makes it a partition of another, an attribute's `__` stands for a slash."""
        place = self._paths[on] if on else self.root / "devices" / below
        path = place / name
        (path / "holders").mkdir(parents=True)
        (path / "slaves").mkdir()
        self._paths[name] = path
        self.write(path / "dev", number)
        for attribute, value in attributes.items():
            self.write(path / attribute.replace("__", "/"), value)
        for link in (self.root / "class/block" / name, self.root / "dev/block" / number):
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(path)
        return path

    def stack(self, upper: str, *lower: str) -> None:
        """Let one device stand on others."""
        for name in lower:
            (self._paths[name] / "holders" / upper).symlink_to(self._paths[upper])
            (self._paths[upper] / "slaves" / name).symlink_to(self._paths[name])

    def note(self, number: str, *lines: str) -> None:
        """Let udev have written something down."""
        (self.udev / f"b{number}").write_text("\n".join(lines) + "\n")

    @staticmethod
    def write(path: Path, text: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
