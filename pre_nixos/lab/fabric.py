"""NVMe over TCP within one guest: its kernel offers one of its disks, and is its own customer over the loopback device.

    share(guest, "disk")        # the target: a subsystem with one namespace
    node = connect(guest)       # the initiator: the kernel name of what turned up
    cut(guest)                  # the target goes, and the initiator keeps trying
    restore(guest)
    become(guest, OTHER_UUID)   # while it is cut: another namespace will be where this one was
    rescan(guest)               # the initiator looks what there is, as it does when the target tells it to

Only guests on QEMU: User Mode Linux has no NVMe.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pre_nixos.lab.guest import Guest

MODULES = ("nvmet", "nvmet_tcp", "nvme_tcp")
NQN = "nqn.2014-08.org.nvmexpress:lab"
NGUID = "5ac0ffee-0000-4000-8000-00000000ab1e"
"""As the target takes it; the kernel shows it as `eui.` and its digits."""
UUID = "3e1ccb2b-2f8d-4a19-9a39-6d1f9e8a3a01"
OTHER_UUID = "9d2c1c5e-6f0e-4f43-bb2f-0c6a2f7d1b02"
SERIAL = "LABTARGET01"
_TARGET = "/sys/kernel/config/nvmet"
SUBSYSTEM = f"{_TARGET}/subsystems/{NQN}"
PORT = f"{_TARGET}/ports/1"


def share(guest: Guest, disk: str, *, nguid: str = NGUID, uuid: str = UUID) -> None:
    """Offer a disk of the guest to whoever connects on the loopback device; everybody may."""
    guest.script(
        f"""
modprobe -a {" ".join(MODULES)}
[ -d {_TARGET} ] || mount -t configfs lab /sys/kernel/config
busybox ip link set lo up
mkdir {SUBSYSTEM}
echo 1 > {SUBSYSTEM}/attr_allow_any_host
echo {SERIAL} > {SUBSYSTEM}/attr_serial
echo "LAB TARGET" > {SUBSYSTEM}/attr_model
mkdir {SUBSYSTEM}/namespaces/1
cd {SUBSYSTEM}/namespaces/1
echo {guest.node(disk)} > device_path
echo {nguid} > device_nguid
echo {uuid} > device_uuid
echo 1 > enable
mkdir {PORT}
cd {PORT}
echo tcp > addr_trtype
echo ipv4 > addr_adrfam
echo 127.0.0.1 > addr_traddr
echo 4420 > addr_trsvcid
"""
    )
    restore(guest)


def connect(guest: Guest, *, lost_after: float = 600, retry_every: float = 1) -> str:
    """Connect to what is shared; gives the kernel name of the namespace, such as `nvme0n1`.

    When the target goes, the guest tries again every `retry_every` seconds, and gives up after `lost_after`.
    """
    guest.run(
        [
            *("nvme", "connect", "--transport=tcp", "--traddr=127.0.0.1", "--trsvcid=4420", f"--nqn={NQN}"),
            *(f"--ctrl-loss-tmo={lost_after:g}", f"--reconnect-delay={retry_every:g}", "--keep-alive-tmo=5"),
        ]
    )
    return name_of(guest)


def name_of(guest: Guest) -> str:
    """Wait until there is a namespace of the target, and give its kernel name."""
    found = guest.script(
        f"""
for attempt in $(seq 50); do
  for subsystem in /sys/class/nvme-subsystem/*; do
    [ "$(cat $subsystem/subsysnqn)" = {NQN} ] || continue
    for node in $subsystem/nvme*n*; do
      if [ -e $node/dev ]; then udevadm settle --timeout=30; basename $node; exit 0; fi
    done
  done
  sleep 0.1
done
exit 1
"""
    )
    return found.stdout.strip()


def cut(guest: Guest) -> None:
    """Take the target away under those who are connected, and wait until they have noticed."""
    guest.script(f"rm {PORT}/subsystems/{NQN}")
    await_state(guest, "connecting")


def restore(guest: Guest) -> None:
    """Bring the target back, or up; who was connected will connect again by itself."""
    guest.script(f"ln -s {SUBSYSTEM} {PORT}/subsystems/{NQN}")


def become(guest: Guest, uuid: str, disk: str = "") -> None:
    """Serve another namespace under the same number: with another UUID, of another disk if one is named."""
    namespace = f"{_TARGET}/subsystems/{NQN}/namespaces/1"
    backing = f"echo {guest.node(disk)} > {namespace}/device_path" if disk else ""
    # The NGUID counts as well, and this one is nobody else's.
    guest.script(
        f"""
echo 0 > {namespace}/enable
echo {uuid} > {namespace}/device_uuid
echo {uuid} > {namespace}/device_nguid
{backing}
echo 1 > {namespace}/enable
"""
    )


def rescan(guest: Guest) -> None:
    """Have the initiator look what the target has: what came back with another identity, it has only dropped."""
    guest.script(
        f"""
for controller in /sys/class/nvme/*; do
  [ "$(cat $controller/subsysnqn)" != {NQN} ] || echo 1 > $controller/rescan_controller
done
"""
    )


def disconnect(guest: Guest) -> None:
    """Let go of the target for good."""
    guest.run(["nvme", "disconnect", f"--nqn={NQN}"])


def await_state(guest: Guest, state: str) -> None:
    """Wait until the initiator's controller is `live`, `connecting` or whatever else its kernel calls it."""
    guest.script(
        f"""
for attempt in $(seq 100); do
  for controller in /sys/class/nvme/*; do
    [ "$(cat $controller/subsysnqn)" = {NQN} ] || continue
    [ "$(cat $controller/state)" != {state} ] || exit 0
  done
  sleep 0.1
done
grep -H . /sys/class/nvme/*/state >&2
exit 1
"""
    )
