"""Virtual machines with real kernels and disposable disks, for tests and rehearsals; no root needed on the host.

from pre_nixos.lab.choice import boot
from pre_nixos.lab.description import Lab, LabDisk

with boot(Lab(disks=(LabDisk(name="a", size=1 << 30),)), artefacts="artefacts/try") as guest:
    guest.host.ask(ReadBlockNodes())       # the guest as a `Host`
    guest.run(["lsblk"]).stdout            # anything else, as root in there
    guest.power_cut()
    guest.boot()                           # the same disks again
"""
