"""The one base of everything that can be written down and read back."""

from __future__ import annotations

from typing import Any, dataclass_transform

import msgspec


class _DataMeta(msgspec.StructMeta):
    """Makes every subclass keyword-only and frozen; msgspec inherits the second but not the first."""

    def __new__(
        mcs,
        name: str,
        bases: tuple[type, ...],
        namespace: dict[str, Any],
        **options: Any,  # noqa: ANN401 - msgspec's
    ) -> _DataMeta:
        options.setdefault("kw_only", True)
        options.setdefault("frozen", True)
        # What cannot be changed cannot be made to refer to itself, so the collector need not look into it.
        options.setdefault("gc", False)
        return super().__new__(mcs, name, bases, namespace, **options)


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(msgspec.field,))
class Data(
    msgspec.Struct, metaclass=_DataMeta, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """A frozen record: keyword arguments only, compared by value, unknown fields refused when read from JSON."""
