"""The machines in this folder, as they were made: `python -m tests.unit.machines.made` writes them again."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from uuid import NAMESPACE_OID, uuid5

from msgspec.structs import replace

import pre_nixos as pn
from pre_nixos.backends.filesystems import Filesystem
from pre_nixos.backends.gpt import Partition, Table
from pre_nixos.backends.lvm import Group, Volume
from pre_nixos.backends.mdraid import Array
from pre_nixos.backends.mounts import Mount
from pre_nixos.backends.swap import Area, Use
from pre_nixos.model.identity import Found, Ref, resolve
from pre_nixos.plugin import BlockDevice, Disk, Exact, Health, Layer, Machine, State

MIB, GIB, GB, TB = 1024**2, 1024**3, 1000**3, 1000**4
FOLDER = Path(__file__).parent
ACTIVE = State.ACTIVE


def uuid_of(name: str) -> str:
    """Give a UUID that is always the same for the same name."""
    return str(uuid5(NAMESPACE_OID, name))


def as_md(uuid: str) -> str:
    """Write a UUID as mdadm does."""
    digits = uuid.replace("-", "")
    return ":".join(digits[start : start + 8] for start in range(0, 32, 8))


def as_lvm(uuid: str) -> str:
    """Write a UUID as LVM does."""
    digits = uuid.replace("-", "")
    ends = (0, 6, 10, 14, 18, 22, 26, 32)
    return "-".join(digits[start:end] for start, end in pairwise(ends))


class Rack:
    """A machine being put together."""

    def __init__(self) -> None:
        self.found: list[Found] = []
        self._minor = 0

    def put(self, layer: Layer, *on: Ref | str) -> None:
        self.found.append(Found(layer, on=on))

    def device(self, name: str, size: int, **more: object) -> BlockDevice:
        self._minor += 1
        return BlockDevice(name=name, number=f"259:{self._minor}", size=size, **more)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] - fields by name

    def disk(self, name: str, size: int, model: str, serial: str, *, rotational: bool) -> str:
        links = (f"/dev/disk/by-id/ata-{model.replace(' ', '_')}_{serial}",)
        device = self.device(
            name, size // 4096 * 4096, rotational=rotational, transport="sata", model=model, serial=serial, links=links
        )
        self.put(Disk(serial=serial, model=model, size=device.size, device=device, state=ACTIVE))
        return device.number

    def table(self, disk: str, name: str, *sizes: tuple[int, str]) -> list[str]:
        self.put(Table(uuid=uuid_of(f"table {name}"), state=ACTIVE), disk)
        numbers: list[str] = []
        for number, (size, type_) in enumerate(sizes, 1):
            device = self.device(f"{name}{number}", size)
            partition = Partition(
                number=number,
                size=Exact(bytes=size),
                type=type_,
                uuid=uuid_of(f"{name}{number}"),
                device=device,
                state=ACTIVE,
            )
            self.put(partition, Ref(kind="gpt", uuid=uuid_of(f"table {name}")))
            numbers.append(device.number)
        return numbers

    def array(self, name: str, node: str, level: str, size: int, *on: str, **more: object) -> str:
        device = self.device(node, size)
        array = Array(
            name=name, level=level, members=len(on), uuid=as_md(uuid_of(f"array {name}")), device=device, state=ACTIVE
        )
        self.put(replace(array, **more), *on)
        return device.number

    def volume(self, group: str, name: str, size: int) -> str:
        device = self.device(f"dm-{self._minor}", size)
        volume = Volume(
            name=name,
            size=Exact(bytes=size),
            type="linear",
            group=group,
            uuid=as_lvm(uuid_of(f"volume {name}")),
            device=device,
            state=ACTIVE,
        )
        self.put(volume, Ref(kind="lvm.group", uuid=as_lvm(uuid_of(f"group {group}"))))
        return device.number

    def group(self, name: str, *on: str) -> None:
        self.put(Group(name=name, extent_size=4 * MIB, uuid=as_lvm(uuid_of(f"group {name}")), state=ACTIVE), *on)

    def filesystem(self, on: str, label: str, at: str = "") -> None:
        self.put(Filesystem(type="ext4", label=label, uuid=uuid_of(f"fs {label}"), state=ACTIVE), on)
        if at:
            mount = Mount(at=at, root="/", type="ext4", options=("rw", "relatime"), state=ACTIVE)
            self.put(mount, Ref(kind="filesystem", uuid=uuid_of(f"fs {label}")))

    def machine(self, memory: int) -> Machine:
        tools = ("lvm", "mdadm", "mkfs.ext4", "mkfs.vfat", "mkswap", "swapoff", "udevadm")
        return Machine(
            graph=resolve(self.found),
            memory=memory,
            firmware="uefi",
            architecture="x86_64",
            tools={each: f"/usr/sbin/{each}" for each in tools},
        )


def dirty_server() -> Machine:
    """Two SSDs and two HDDs with the remains of an earlier install, still in use."""
    rack = Rack()
    ssd = [
        rack.disk(f"sd{each}", 480 * GB, "SAMSUNG MZ7LH480", f"S45PNA0M51234{each}", rotational=False) for each in "ab"
    ]
    hdd = [rack.disk(f"sd{each}", 4 * TB, "TOSHIBA MG04ACA400E", f"58A0K1{each}F", rotational=True) for each in "cd"]
    esp, root = rack.table(ssd[0], "sda", (GIB, "esp"), (446 * GIB, "linux"))
    rack.put(Filesystem(type="vfat", label="ESP", uuid="6A1C-22F0", state=ACTIVE), esp)
    rack.filesystem(root, "old root")
    members = [rack.table(disk, f"sd{name}", (3725 * GIB, "raid"))[0] for disk, name in zip(hdd, "cd", strict=True)]
    old = rack.array(
        "swap", "md127", "raid1", 3724 * GIB, *members, health=Health.DEGRADED, remark="one of 2 members is missing"
    )
    rack.group("swap", old)
    rack.put(Area(label="swap", uuid=uuid_of("area"), state=ACTIVE), rack.volume("swap", "swap", 64 * GIB))
    rack.put(Use(state=ACTIVE), Ref(kind="swap", uuid=uuid_of("area")))
    rack.filesystem(rack.volume("swap", "var_log", 16 * GIB), "var_log", at="/var/log/old")
    rack.filesystem(rack.volume("swap", "var_tmp", 32 * GIB), "var_tmp")
    return rack.machine(64 * GIB)


def twelve_disks() -> Machine:
    """Four SSDs and eight HDDs, all in use by an earlier install."""
    rack = Rack()
    main: list[str] = []
    for each in "abcd":
        disk = rack.disk(f"sd{each}", 960 * GB, "SAMSUNG MZ7LH960", f"S46PNA0M51234{each}", rotational=False)
        esp, member = rack.table(disk, f"sd{each}", (GIB, "esp"), (892 * GIB, "raid"))
        rack.put(Filesystem(type="vfat", label="ESP", uuid=f"6A1C-220{each.upper()}", state=ACTIVE), esp)
        main.append(member)
    large: list[str] = []
    for each in "efghijkl":
        disk = rack.disk(f"sd{each}", 8 * TB, "ST8000NM0055", f"ZA1AB2C{each}", rotational=True)
        large += rack.table(disk, f"sd{each}", (7451 * GIB, "raid"))
    rack.group("vg0", rack.array("root", "md126", "raid10", 1783 * GIB, *main))
    for name, size in (("root", 40), ("home", 200), ("swap", 32), ("docker", 300)):
        rack.filesystem(rack.volume("vg0", name, size * GIB), name, at=f"/mnt/{name}" if name == "home" else "")
    rack.group("bulk", rack.array("bulk", "md127", "raid6", 44705 * GIB, *large))
    for name in ("archive", "backup", "media"):
        rack.filesystem(rack.volume("bulk", name, 4096 * GIB), name)
    return rack.machine(256 * GIB)


MADE = {"dirty-server.json": dirty_server, "twelve-disks.json": twelve_disks}


if __name__ == "__main__":
    for name, make in MADE.items():
        (FOLDER / name).write_bytes(pn.dump_machine(make()) + b"\n")
