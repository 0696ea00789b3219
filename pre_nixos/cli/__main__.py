"""`python -m pre_nixos.cli` is `pre-nixos`."""

from pre_nixos.cli.main import run

run()
