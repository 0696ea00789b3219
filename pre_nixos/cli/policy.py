"""A policy's options as flags: the policy says what they are, and nothing about them is written twice."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast, get_args, get_origin

from pre_nixos.cli.complaint import Complaint, Usage, complaint_about
from pre_nixos.cli.layout import add_layout, wanted_by_layout
from pre_nixos.model.data import Data

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pre_nixos.cli.parser import Parser
    from pre_nixos.cli.session import Session
    from pre_nixos.hooks.specs import Policy
    from pre_nixos.model.draft import Wanted
    from pre_nixos.model.machine import Machine

DEFAULT = "tiered"
_DEST = "option of the policy: "


class OptionHelp(Data):
    """One option of a policy."""

    name: str
    flag: str
    takes: str
    """What to write behind it; empty for one that is on or off."""
    default: object
    help: str
    choices: tuple[str, ...] = ()
    many: bool = False
    """Whether it may be given several times."""


def add_choice(parser: Parser) -> None:
    """Add the options that choose a policy, or a layout in its place."""
    parser.add_argument("--policy", metavar="NAME", help=f"who says what should be on the machine (default: {DEFAULT})")
    add_layout(parser)


def add_replace(parser: Parser) -> None:
    """Add the option by which one allows to lose what is wanted and there."""
    parser.add_argument(
        "--replace",
        metavar="ID",
        action="append",
        default=[],
        help="allow that this is made anew although something wanted is lost with it, such as a filesystem on what "
        "cannot be changed in place; a layer's id, its end, or a disk; may be given again",
    )


def replacing(arguments: argparse.Namespace, wanted: Wanted, machine: Machine) -> Wanted:
    """Give what is wanted with what may be made anew. Raises Complaint for what is not there."""
    ids: list[str] = []
    asked: str
    machine = machine.against(wanted)  # the ids that a plan speaks of
    for asked in arguments.replace:
        found = [each.id for each in machine.all_disks if asked in (each.serial, each.wwn)]
        if asked in machine.graph:
            found = [asked]
        elif not found:
            found = [each for each in machine.graph if each.endswith((f"/{asked}", f":{asked}"))]
        if len(found) != 1:
            what = "is several layers" if found else "is on no disk of this machine"
            listed = f": {', '.join(found)}" if found else ""
            raise Complaint(
                f"--replace {asked}: this {what}{listed}. Nothing was changed.",
                advice="Write an id as the plan's objection has it.",
            )
        ids += found
    return wanted.replacing(*ids) if ids else wanted


def chosen(arguments: argparse.Namespace) -> str:
    """Give the name of the policy that was chosen; none if there is a layout."""
    if arguments.layout and arguments.policy:
        raise Usage("Either --policy or --layout says what should be there, not both.")
    return "" if arguments.layout else arguments.policy or DEFAULT


def add_options(parser: Parser, policy: Policy) -> None:
    """Add a flag for every option of the policy."""
    group = parser.add_argument_group(f"options of the policy {policy.name}", policy.summary)
    taken = set(parser.flags())
    for option in options_of(policy):
        flag = option.flag if option.flag not in taken else f"--{policy.name}-{option.flag[2:]}"
        _add(group, option, flag)


def named(name: str, session: Session) -> Policy:
    """Find the policy that was named. Raises Complaint if there is none of this name."""
    from pre_nixos.flow.propose import find_policy
    from pre_nixos.model.draft import InvalidLayout

    try:
        return find_policy(name, registry=session.registry)
    except InvalidLayout as error:
        raise complaint_about(error) from error


def require_values(arguments: argparse.Namespace, policy: Policy, parser: Parser) -> None:
    """Refuse values that an option of the policy does not take, before anything is looked at."""
    from pre_nixos.flow.propose import read_options
    from pre_nixos.model.draft import InvalidLayout

    try:
        read_options(policy, given(arguments))
    except InvalidLayout as error:
        raise Complaint(*error.problems, advice=help_on(parser, policy)) from error


def help_on(parser: Parser, policy: Policy) -> str:
    """Say where the options of a policy are listed."""
    return f"`{parser.prog} --policy {policy.name} --help` lists what there is, and what it takes."


def owners_of(flag: str, session: Session) -> Sequence[str]:
    """List the policies that have an option with this flag."""
    from pre_nixos.hooks.calls import Calls

    plain = flag.replace("--no-", "--", 1) if flag.startswith("--no-") else flag
    there = Calls(session.registry).policies()
    return sorted(each.name for each in there if {flag, plain} & {option.flag for option in options_of(each)})


def given(arguments: argparse.Namespace) -> Mapping[str, object]:
    """Give the policy's options that were on the command line."""
    return {name.removeprefix(_DEST): value for name, value in vars(arguments).items() if name.startswith(_DEST)}


def wanted_by(arguments: argparse.Namespace, machine: Machine, session: Session) -> Wanted:
    """Ask the chosen policy what should be on the machine, or read it in the layout."""
    policy = chosen(arguments)
    if not policy:
        return wanted_by_layout(arguments, machine, session)
    if arguments.disk:
        raise Usage("--disk says which disk a name in a layout means, and there is no --layout.")
    if arguments.allow_hooks:
        raise Usage("--allow-hooks is about the scripts in a layout, and there is no --layout.")
    from pre_nixos.flow.propose import propose

    return at_root(arguments, propose(machine, policy, given(arguments), registry=session.registry))


def at_root(arguments: argparse.Namespace, wanted: Wanted) -> Wanted:
    """Give what is wanted for the root that was said, if one was."""
    return wanted.rooted(arguments.root) if arguments.root else wanted


def options_of(policy: Policy) -> Sequence[OptionHelp]:
    """List a policy's options, in the order they were written."""
    import msgspec

    found: list[OptionHelp] = []
    for field in msgspec.structs.fields(policy.options):
        type_, said = _without_notes(field.type)
        default = field.default
        if default is msgspec.NODEFAULT:
            default = field.default_factory() if field.default_factory is not msgspec.NODEFAULT else None
        choices = tuple(str(each) for each in get_args(type_)) if get_origin(type_) is Literal else ()
        many = get_origin(type_) in {tuple, list}
        found.append(
            OptionHelp(
                name=field.encode_name,
                flag="--" + field.encode_name.replace("_", "-"),
                takes="" if type_ is bool else _placeholder(type_, choices),
                default=default,
                help=said,
                choices=choices,
                many=many,
            )
        )
    return found


def default_in_words(option: OptionHelp) -> str:
    """Say what an option is if it is not given."""
    if not option.takes:
        return "on" if option.default else "off"
    if option.many:
        return ", ".join(map(str, cast("Sequence[object]", option.default or ())))
    return "" if option.default in {None, ""} else str(option.default)


def _add(group: Any, option: OptionHelp, flag: str) -> None:  # noqa: ANN401 - argparse's groups have no public type
    default = default_in_words(option)
    said = (option.help + (f" (default: {default})" if default else "")).strip().replace("%", "%%")
    common: dict[str, Any] = {"dest": _DEST + option.name, "default": argparse.SUPPRESS}
    if not option.takes:
        group.add_argument(flag, action="store_true", help=said, **common)
        group.add_argument(f"--no-{flag[2:]}", action="store_false", help=argparse.SUPPRESS, **common)
    elif option.many:
        group.add_argument(flag, action="append", metavar=option.takes, help=f"{said}; may be given again", **common)
    else:
        group.add_argument(flag, metavar=option.takes, help=said, **common)


def _without_notes(type_: Any) -> tuple[Any, str]:  # noqa: ANN401 - a type of any form
    """Take a field's type apart: the type itself, without None, and its description."""
    said = ""
    if get_origin(type_) is Annotated:
        type_, *notes = get_args(type_)
        said = next((text for each in notes if (text := getattr(each, "description", None))), "")
    inner = [each for each in get_args(type_) if each is not type(None)]
    if type(None) in get_args(type_) and len(inner) == 1:
        type_, more = _without_notes(inner[0])
        said = said or more
    return type_, said


def _placeholder(type_: Any, choices: Sequence[str]) -> str:  # noqa: ANN401 - a type of any form
    if choices:
        return "{" + ",".join(choices) + "}"
    return {int: "N", float: "X"}.get(type_, "TEXT")
