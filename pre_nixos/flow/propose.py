"""propose: ask a policy what should be on a machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.hooks.calls import Calls
from pre_nixos.hooks.registry import installed
from pre_nixos.model.draft import InvalidLayout
from pre_nixos.model.machine import NoSuchDisks

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from msgspec.inspect import FloatType, IntType, Type

    from pre_nixos.hooks.registry import Registry
    from pre_nixos.hooks.specs import Options, Policy
    from pre_nixos.model.draft import Wanted
    from pre_nixos.model.machine import Machine


def propose(
    machine: Machine, policy: str, options: Mapping[str, object] = {}, *, registry: Registry | None = None
) -> Wanted:
    """Ask the policy of this name. Raises InvalidLayout if there is no such policy or option, or too few disks."""
    registry = registry or installed()
    chosen = find_policy(policy, registry=registry)
    try:
        return Calls(registry).propose(chosen, machine, read_options(chosen, options))
    except NoSuchDisks as error:
        raise InvalidLayout([f"policy {policy}: {error}"]) from error


def find_policy(name: str, *, registry: Registry | None = None) -> Policy:
    """Find a policy by name. Raises InvalidLayout, with the names there are."""
    there = {each.name: each for each in Calls(registry or installed()).policies()}
    if name not in there:
        raise InvalidLayout([f"there is no policy {name!r}{did_you_mean(name, there)}"])
    return there[name]


def read_options(policy: Policy, given: Mapping[str, object]) -> Options:
    """Read a policy's options from plain values. Raises InvalidLayout with everything that is wrong."""
    import msgspec

    known = {field.encode_name: field for field in msgspec.structs.fields(policy.options)}
    problems = [
        f"policy {policy.name} has no option {name!r}{did_you_mean(name, known)}" for name in given if name not in known
    ]
    for name, value in given.items():
        if name in known:
            try:
                msgspec.convert(value, known[name].type, strict=False)
            except msgspec.ValidationError as error:
                takes = in_words(known[name].type)
                said = f"{value!r} is not {takes}" if takes else str(error)
                problems.append(f"policy {policy.name}, option {name}: {said}")
    if problems:
        raise InvalidLayout(problems)
    try:
        return msgspec.convert(dict(given), policy.options, strict=False)
    except msgspec.ValidationError as error:
        raise InvalidLayout([f"policy {policy.name}: {error}"]) from error


def in_words(type_: object) -> str:
    """Say what an option of this type takes; empty for what only code can give."""
    import msgspec.inspect

    return _takes(msgspec.inspect.type_info(type_))


def _takes(info: Type) -> str:
    from msgspec import inspect

    match info:
        case inspect.Metadata():
            return _takes(info.type)
        case inspect.LiteralType():
            return f"one of {', '.join(map(str, info.values))}"
        case inspect.BoolType():
            return "true or false"
        case inspect.IntType() | inspect.FloatType():
            return f"a {'whole ' if isinstance(info, inspect.IntType) else ''}number{_bounds(info)}"
        case inspect.StrType():
            return "text" if info.pattern is None else f"text like {info.pattern}"
        case inspect.VarTupleType() | inspect.ListType():
            each = _takes(info.item_type)
            return f"a list, each of it {each}" if each else ""
        case inspect.UnionType():
            said = [_takes(each) for each in info.types if not isinstance(each, inspect.NoneType)]
            return " or ".join(said) if all(said) else ""
        case _:
            return ""


def _bounds(info: IntType | FloatType) -> str:
    if info.ge is not None and info.le is not None:
        return f" from {info.ge:g} to {info.le:g}"
    said = ((" from {:g} on", info.ge), (" above {:g}", info.gt), (" up to {:g}", info.le), (" below {:g}", info.lt))
    return "".join(text.format(bound) for text, bound in said if bound is not None)


def did_you_mean(name: str, there: Iterable[str]) -> str:
    """End a sentence about an unknown name with the likely one, or with all there are."""
    from difflib import get_close_matches

    names = sorted(there)
    close = get_close_matches(name, names, n=1)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; there are: {', '.join(names)}" if names else "; there are none"
