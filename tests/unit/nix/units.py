"""Nix, run without a store; and services of the module as the files that NixOS would write."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any, cast

HERE = Path(__file__).parent
MODULE = HERE.parents[2] / "nix/module.nix"


def nix(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    words = ("nix-instantiate", "--store", "dummy://", *words)
    # Nix wants a home, and a group of builders, neither of which evaluation needs.
    surroundings = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "NIX_CONFIG": "build-users-group ="}
    return subprocess.run(
        words, capture_output=True, text=True, check=False, env=surroundings | environment, timeout=60
    )


def evaluated(settings: object, tmp_path: Path, module: Path = MODULE, library: str = "", **environment: str) -> Any:
    """What the module makes of settings; the error message, as text, if Nix refuses them."""
    file = tmp_path / "settings.json"
    file.write_text(json.dumps(settings))
    named = {"module": str(module), "settings": str(file), "nixpkgs": library}
    words = [word for name, value in named.items() for word in ("--argstr", name, value)]
    ran = nix("--eval", "--strict", "--json", str(HERE / "evaluate.nix"), *words, **environment)
    return json.loads(ran.stdout) if ran.returncode == 0 else ran.stderr


def unit(service: Any, program: str) -> str:
    """A service as the file that NixOS would write, with programs that are here: `program` is ours."""
    lines = ["[Unit]", f"Description={service['description']}"]
    lines += [f"{name.title()}={' '.join(service[name])}" for name in ("after", "before", "conflicts")]
    lines += _settings(service["unitConfig"])
    lines += ["[Service]", *_settings(service["serviceConfig"])]
    text = "\n".join(lines) + "\n"
    store = "/nix/store/" + "0" * 32
    return text.replace(f"{store}-pre-nixos/bin/pre-nixos", program).replace(f"{store}-systemd", "")


def _settings(said: dict[str, Any]) -> list[str]:
    lines: list[str] = []
    for name, value in said.items():
        values = cast("list[object]", value if isinstance(value, list) else [value])
        lines += [f"{name}={str(each).lower() if isinstance(each, bool) else each}" for each in values]
    return lines
