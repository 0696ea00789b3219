"""The policy `tiered`: a server's disks by medium and size, one volume group for each use.

SSDs carry the system, HDDs what is large, a small pair of HDDs swap. What belongs where is decided in `tiers`, how much
of it in `volumes`, and `stack` writes it down. `docs/policies.md` has the rules with their reasons.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.plugin import InvalidLayout, Options, Policy, hooks, human, implements
from pre_nixos.policies.selection import eligible, is_rotational, size_of
from pre_nixos.policies.tiered.carrying import find_carried
from pre_nixos.policies.tiered.options import TieredOptions, read_sizes
from pre_nixos.policies.tiered.stack import Stack
from pre_nixos.policies.tiered.tiers import Demands, choose
from pre_nixos.policies.tiered.volumes import divide, large_needs, main_needs, swap_needs, swap_size

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pre_nixos.plugin import Disk, Machine, Wanted
    from pre_nixos.policies.tiered.tiers import Choice


@implements(hooks.policies)
def policies() -> Iterable[Policy]:
    """Offer it."""
    summary = "SSDs carry the system, HDDs the data, in arrays of equal disks with a volume group on each"
    return [Policy(name="tiered", summary=summary, options=TieredOptions, propose=propose)]


def propose(machine: Machine, options: Options) -> Wanted:
    """Decide what should be on a machine. Raises InvalidLayout, and NoSuchDisks if there are none to use."""
    if not isinstance(options, TieredOptions):
        raise TypeError(f"the options of tiered are TieredOptions, not {type(options).__name__}")
    sizes = read_sizes(options)
    asked = tuple(machine.all_disks.named(options.disks))
    stack = Stack(machine, options, sizes)
    swap = swap_size(machine.memory, options, sizes)
    demands = Demands(
        careful=options.careful,
        lone=options.lone,
        tolerance=options.tolerance,
        swap_disks=options.swap_disks,
        main_needs=main_needs(options, sizes),
        swap_needs=swap_needs(swap, options, sizes),
        large_needs=large_needs(options, sizes),
        main=options.main_name,
        large=options.large_name,
        swap=options.swap_name,
    )
    disks = asked or eligible(machine)
    carried = find_carried(machine, disks, demands)
    choice = choose(disks, demands, stack.room_if_any, carried)
    _insist(choice, asked)
    rooms = {tier.name: stack.room(tier) for tier in choice.tiers}
    volumes = divide(rooms, swap, options, sizes, swaps=next((name for name in carried if carried[name].swaps), ""))
    return stack.wanted(choice.tiers, volumes, asked)


def _insist(choice: Choice, asked: Sequence[Disk]) -> None:
    """Refuse names that would mean two groups, a system without a disk, and to leave out a disk that was named."""
    names = [tier.name for tier in choice.tiers]
    problems = [
        f"two volume groups would be named {name}; change main_name, large_name or swap_name"
        for name in sorted({name for name in names if names.count(name) > 1})
    ]
    problems += [
        f"option disks: {disk.title} ({human(size_of(disk))}) would be left alone: no other "
        f"{'HDD' if is_rotational(disk) else 'SSD'} that may be used has its size, and carries no volume group yet. "
        "Do not name it, raise the option tolerance, or set lone to use it without redundancy."
        for disk in choice.left
        if disk in asked
    ]
    if not any(tier.boots for tier in choice.tiers):
        problems.append(
            f"no disk is left for the system: those that may be used carry other volume groups already: "
            f"{', '.join(names)}. Add a disk, or clear those first (pre-nixos wipe), which loses what is on them."
        )
    if problems:
        raise InvalidLayout(problems)


__all__ = ["TieredOptions", "policies", "propose"]
