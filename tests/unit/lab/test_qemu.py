from __future__ import annotations

import gzip
import lzma
import os
import struct
from typing import TYPE_CHECKING

import pytest

from pre_nixos.lab import choice, hardware, initramfs, kernel, nvme, qemu
from pre_nixos.lab.choice import Kind, choose
from pre_nixos.lab.description import Attachment, Lab, LabDisk, LabError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

MIB = 1 << 20
NVME, USB, SCSI, PLAIN = Attachment.NVME, Attachment.USB, Attachment.SCSI, Attachment.PLAIN


def disk(name: str = "a", attachment: Attachment = SCSI, size: int = MIB) -> LabDisk:
    return LabDisk(name=name, size=size, attachment=attachment, serial="S1")


@pytest.mark.parametrize(
    ("wish", "devices"),
    [
        (
            LabDisk(name="a", size=MIB, serial="S,1", vendor="ACME", model="SPEEDY", wwn="naa.5000c500a1b2c3d4"),
            [
                (
                    "scsi-hd,drive=disk0,serial=S,,1,vendor=ACME,product=SPEEDY,rotation_rate=1,removable=off,"
                    "logical_block_size=512,physical_block_size=512,wwn=0x5000c500a1b2c3d4,bus=scsi.0,scsi-id=0,lun=0"
                )
            ],
        ),
        (
            LabDisk(name="a", size=MIB, serial="S1", block_size=4096, rotational=True, attachment=USB, removable=True),
            [
                "usb-bot,id=bridge-disk0,bus=usb.0,port=1,serial=S1",
                (
                    "scsi-hd,drive=disk0,serial=S1,vendor=LAB,product=TWIN DISK,rotation_rate=7200,removable=on,"
                    "logical_block_size=4096,physical_block_size=4096,bus=bridge-disk0.0,lun=0"
                ),
            ],
        ),
        (
            LabDisk(name="a", size=MIB, serial="S1", wwn="eui.5000c500a1b2c3d4", attachment=NVME),
            [
                "nvme,id=controller-disk0,serial=S1,addr=0x7",
                (
                    "nvme-ns,drive=disk0,bus=controller-disk0,nsid=1,logical_block_size=512,physical_block_size=512,"
                    "eui64=0x5000c500a1b2c3d4"
                ),
            ],
        ),
        (
            LabDisk(name="a", size=MIB, serial="S1", attachment=PLAIN),
            ["virtio-blk-pci,drive=disk0,serial=S1,addr=0x7,logical_block_size=512,physical_block_size=512"],
        ),
    ],
    ids=["scsi", "usb", "nvme", "plain"],
)
def test_a_disk_in_words_of_qemu(wish: LabDisk, devices: Sequence[str]) -> None:
    (slot,) = hardware.slots(Lab(disks=(wish,)))
    words = slot.arguments("/images/a.img")
    assert words[:2] == [
        "-drive",
        "file=/images/a.img,if=none,id=disk0,format=raw,cache=writeback,discard=unmap,detect-zeroes=unmap",
    ]
    assert words[2:] == [word for device in devices for word in ("-device", device)]
    assert hardware.problems(Lab(disks=(wish,))) == []


def test_every_disk_has_a_place_of_its_own() -> None:
    kinds = (NVME, SCSI, PLAIN, USB, SCSI, NVME, USB)
    lab = Lab(disks=tuple(disk(str(number), kind) for number, kind in enumerate(kinds)))
    places = [slot.where() for slot in hardware.slots(lab)]
    assert places == [
        "pci0000:00/0000:00:07.0/nvme/nvme*/nvme*n*",
        "pci0000:00/0000:00:05.0/virtio*/host*/target*/*:0:0:0/block/*",
        "pci0000:00/0000:00:08.0/virtio*/block/*",
        "pci0000:00/0000:00:06.0/usb*/*-1/*/host*/target*/*/block/*",
        "pci0000:00/0000:00:05.0/virtio*/host*/target*/*:0:0:1/block/*",
        "pci0000:00/0000:00:09.0/nvme/nvme*/nvme*n*",
        "pci0000:00/0000:00:06.0/usb*/*-2/*/host*/target*/*/block/*",
    ]
    assert qemu.drivers_of(lab) == ["nvme", "virtio_scsi", "sd_mod", "virtio_blk", "xhci_pci", "usb_storage"]


@pytest.mark.parametrize(
    ("wish", "complaint"),
    [
        (LabDisk(name="d", size=MIB + 1), "not a whole number of blocks of 512"),
        (LabDisk(name="d", size=MIB, serial="x" * 21, attachment=NVME), "at most 20 characters, not 21"),
        (LabDisk(name="d", size=MIB, rotational=True, attachment=NVME), "nvme does not rotate"),
        (LabDisk(name="d", size=MIB, removable=True, attachment=PLAIN), "plain is not removable"),
        (LabDisk(name="d", size=MIB, model="SPEEDY", attachment=NVME), "its model is always"),
        (LabDisk(name="d", size=MIB, model="x" * 17), "a model 16"),
        (LabDisk(name="d", size=MIB, wwn="naa.6" + 31 * "0"), "naa. and 16 hexadecimal digits here, not naa.6000"),
        (LabDisk(name="d", size=MIB, wwn="eui." + 32 * "a", attachment=NVME), "cannot set an NGUID"),
        (LabDisk(name="d", size=MIB, wwn="naa.5000c500a1b2c3d4", attachment=NVME), "eui. and 16 hexadecimal digits or"),
        (LabDisk(name="d", size=MIB, wwn="naa.5000c500a1b2c3d4", attachment=USB), "no WWN can be set on usb"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_a_disk_cannot_be_is_refused_by_name(wish: LabDisk, complaint: str) -> None:
    (problem,) = hardware.problems(Lab(disks=(wish,)))
    assert problem.startswith("disk 'd': ")
    assert complaint in problem


def test_what_a_machine_cannot_be_is_refused() -> None:
    crowd = (*(disk(f"n{number}", NVME) for number in range(26)), *(disk(f"u{number}", USB) for number in range(16)))
    assert hardware.problems(Lab(disks=(*crowd, crowd[0]))) == [
        "27 NVMe and plain disks are more than 25",
        "16 USB disks are more than 15",
        "two disks have one name",
    ]
    assert hardware.problems(Lab(disks=crowd[:25], ports=("52:54:00:00:00:0a", "53:54:00:00:00:0b"))) == [
        "25 NVMe and plain disks and 2 network ports do not fit on one bus",
        "'53:54:00:00:00:0b' is no MAC address of a network port",
    ]


def test_a_port_has_a_slot_of_its_own_and_a_cable_that_leads_nowhere_else() -> None:
    words = hardware.networks(Lab(ports=("52:54:00:00:00:0a", "52:54:00:00:00:0b")))
    assert words[:2] == ["-netdev", "user,id=net0,restrict=on"]
    assert [each for each in words if "addr=0x1f" in each or "addr=0x1e" in each] == words[3::4]
    assert choose(Lab(ports=("52:54:00:00:00:0a",))) is Kind.QEMU


@pytest.mark.parametrize(
    ("wish", "kind"),
    [
        (disk(), Kind.UML),
        (disk(attachment=PLAIN), Kind.UML),
        (disk(attachment=NVME), Kind.QEMU),
        (disk(attachment=USB), Kind.QEMU),
        (LabDisk(name="a", size=MIB, removable=True), Kind.QEMU),
        (LabDisk(name="a", size=MIB, wwn="naa.5000c500a1b2c3d4"), Kind.QEMU),
    ],
)
def test_a_machine_gets_the_kind_of_guest_that_can_be_it(wish: LabDisk, kind: Kind) -> None:
    assert choose(Lab(disks=(wish,))) is kind


def test_what_no_kind_can_be_is_told_for_each() -> None:
    with pytest.raises(LabError, match="uml: disk 'a': no nvme here\nqemu: disk 'a': nvme does not rotate"):
        choice.boot(Lab(disks=(LabDisk(name="a", size=MIB, rotational=True, attachment=NVME),)), artefacts="/nowhere")


@pytest.mark.parametrize(
    ("flags", "can"),
    [("flags\t\t: fpu svm sse", True), ("flags : vmx", True), ("flags : fpu svm_lock", False), ("Features : x", False)],
)
def test_hardware_virtualization_takes_a_processor_that_has_it(tmp_path: Path, flags: str, can: bool) -> None:  # noqa: FBT001 - a column
    device, processor = tmp_path / "kvm", tmp_path / "cpuinfo"
    processor.write_text(f"processor : 0\n{flags}\n")
    assert not qemu.can_accelerate(str(device), str(processor))
    device.touch()
    assert qemu.can_accelerate(str(device), str(processor)) is can


def test_what_is_shared_may_have_commas_and_is_read_only_unless_told() -> None:
    assert qemu.shared("/a,b", "tag", slot=3, writable=False) == [
        "-fsdev",
        "local,id=tag,path=/a,,b,security_model=none,multidevs=remap,readonly=on",
        "-device",
        "virtio-9p-pci,fsdev=tag,mount_tag=tag,addr=0x3",
    ]
    assert "readonly" not in qemu.shared("/", "tag", slot=3, writable=True)[1]


def installed(place: Path, release: str, *, image: bytes = b"", dependencies: str = "") -> kernel.Kernel:
    (place / "boot").mkdir(exist_ok=True)
    modules = place / "modules" / release
    modules.mkdir(parents=True)
    (place / "boot" / f"vmlinuz-{release}").write_bytes(image)
    (modules / "modules.dep").write_text(dependencies)
    (modules / "modules.builtin").write_text("kernel/lib/in-itself.ko\n")
    return kernel.Kernel(
        release=release, image=str(place / "boot" / f"vmlinuz-{release}"), modules=str(place / "modules" / release)
    )


def test_the_newest_kernel_with_what_is_needed_is_found(tmp_path: Path) -> None:
    needed = "kernel/a-b.ko.xz:\n"
    for release in ("6.1.0-9-amd64", "6.1.0-10-amd64", "6.1.0-2-amd64"):
        installed(tmp_path, release, dependencies=needed)
    installed(tmp_path, "6.9.0-cloud-amd64")
    (tmp_path / "boot" / "vmlinuz-7").touch()

    def find(*needs: str) -> str:
        return kernel.find_kernel(str(tmp_path / "boot"), str(tmp_path / "modules"), needs).release

    assert find("a_b", "in_itself") == "6.1.0-10-amd64"
    assert find("in_itself") == "6.9.0-cloud-amd64"
    with pytest.raises(LabError, match=r"6\.9\.0-cloud-amd64 has no nvme; .*apt-get install .*linux-image-amd64"):
        find("nvme")


def test_modules_are_loaded_after_what_they_need_and_once(tmp_path: Path) -> None:
    dependencies = "k/top.ko: k/middle.ko k/base.ko\nk/middle.ko: k/base.ko\nk/base.ko:\nk/other.ko: k/base.ko\n"
    found = installed(tmp_path, "6", dependencies=dependencies)
    assert kernel.load_order(found, ["top", "other", "in_itself", "base"]) == [
        "k/base.ko",
        "k/middle.ko",
        "k/top.ko",
        "k/other.ko",
    ]
    with pytest.raises(LabError, match="kernel 6 has no module missing"):
        kernel.load_order(found, ["missing"])


def packed(content: bytes, packing: str) -> bytes:
    """Make what looks like a kernel as a boot loader takes it."""
    payload = {
        "xz": lambda: lzma.compress(content),
        "gzip": lambda: gzip.compress(content) + struct.pack("<I", len(content)),
        "unknown": lambda: b"?" + content,
    }[packing]()
    image = bytearray(3 * 512 + 100)
    image[0x1F1] = 2
    image[0x202:0x206] = b"HdrS"
    struct.pack_into("<II", image, 0x248, 100, len(payload))
    return bytes(image) + payload + b"the rest"


ELF = b"\x7fELF" + bytes(1000)


@pytest.mark.parametrize(("packing", "content"), [("xz", ELF), ("gzip", ELF), ("unknown", b"")])
def test_a_kernel_is_unpacked_by_what_its_header_says(packing: str, content: bytes) -> None:
    assert kernel.unpack(packed(ELF, packing)) == content
    assert kernel.unpack(packed(b"no program", packing)) == b""
    assert kernel.unpack(b"something else" * 100) == b""


def test_an_unpacked_kernel_is_kept_by_what_it_was_made_of(tmp_path: Path) -> None:
    found = installed(tmp_path, "6.1", image=packed(ELF, "xz"))
    (tmp_path / "blocked").touch()
    places = [str(tmp_path / "blocked" / "cache"), str(tmp_path / "cache")]
    path = kernel.unpacked(found, places)
    assert os.path.dirname(path) == places[1]
    assert os.path.basename(path).startswith("vmlinux-6.1-")
    before = os.stat(path)
    assert kernel.unpacked(found, places) == path
    assert os.stat(path) == before
    with open(found.image, "wb") as file:
        file.write(packed(ELF + b"new", "xz"))
    assert kernel.unpacked(found, places) != path
    assert len(os.listdir(places[1])) == 2
    with open(found.image, "wb") as file:
        file.write(b"unknown")
    assert kernel.unpacked(found, places) == found.image


def test_an_archive_has_what_was_put_in() -> None:
    data = initramfs.entry("bin/x", 0o100755, b"12345")
    assert len(data) % 4 == 0
    assert data[:6] == b"070701"
    fields = [int(data[start : start + 8], 16) for start in range(6, 110, 8)]
    assert (fields[1], fields[6], fields[11]) == (0o100755, 5, 6)
    assert data[110:116] == b"bin/x\0"
    assert data[116:121] == b"12345"


def test_the_first_process_loads_mounts_and_goes_over() -> None:
    script = initramfs.init_script(2, ["/usr/bin/python3", "/a b/inside.py"])
    lines = [line.removeprefix("$b ").removeprefix("exec $b ").split()[0] for line in script.splitlines()[3:]]
    assert lines == ["insmod", "insmod", "mount", "switch_root"]
    assert script.endswith("switch_root /root /usr/bin/python3 '/a b/inside.py'\n")


def test_the_kernel_learns_to_believe_qemu() -> None:
    def driver(quirks: int) -> bytes:
        entry = struct.pack("<6IQ", 0x1B36, 0x0010, 0xFFFFFFFF, 0xFFFFFFFF, 0, 0, quirks)
        return b"before" + entry + b"after"

    signed = b"~Module signature appended~\n"
    assert nvme.believed(driver(1 << 18 | 2) + signed) == driver(2)
    assert nvme.believed(driver(2) + signed) == driver(2) + signed
    assert nvme.believed(b"another" + signed) == b"another" + signed
