"""Arrays: of every level and metadata, whole and in pieces."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING

import pytest

from tests.integration.scenarios.scenario import Scenario

if TYPE_CHECKING:
    from collections.abc import Callable

SCENARIOS = (
    Scenario(
        name="old_swap_group_on_an_array_of_another_name",
        story="An installation that failed half-way left a mirror with the volume group `swap`; udev brought it back"
        " as md127, and the live system switched the swap on.",
        on=("a", "b"),
        script="""
for disk; do gpt "$disk" "size=256MiB, type=raid"; done
array swap --level=1 --raid-devices=2 --metadata=1.2 --assume-clean "${1}1" "${2}1"
array=$(readlink -f /dev/md/swap)
group swap "$array"
volume --name swap --extents 100%FREE swap
mkswap -q /dev/swap/swap
vgchange -qq --activate n swap
mdadm --stop --quiet "$array"
udevadm settle
[ -e /dev/md127 ] || mdadm --assemble --quiet --run /dev/md127 "${1}1" "${2}1"
udevadm settle
vgchange -qq --activate y swap
udevadm settle
swapon /dev/swap/swap
""",
    ),
    Scenario(
        name="table_zapped_but_contents_left",
        story="Somebody zapped both copies of the table; the mirror that was on the only partition is still there.",
        on=("a", "b"),
        script="""
for disk; do gpt "$disk" "size=100MiB, type=raid"; keep_table "$disk"; done
array back --level=1 --raid-devices=2 --metadata=1.2 --assume-clean "${1}1" "${2}1"
group back /dev/md/back
mdadm --stop --quiet /dev/md/back
udevadm settle
for disk; do sgdisk --zap-all "$disk" > /dev/null; done
udevadm settle
""",
    ),
)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=attrgetter("name"))
def test_arrays(play: Callable[[Scenario], None], scenario: Scenario) -> None:
    play(scenario)
