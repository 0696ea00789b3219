"""The doing half of a host: every step of a plan and every deed of an apply, on the machine this runs on."""

from __future__ import annotations

from pre_nixos.host.doing.hands import Hands

__all__ = ["Hands"]
