# A machine with two disks on which an old installation is: plan at boot, apply the policy tiered, reboot, mount.
{ lib, ... }:

let
  serials = [
    "PRENIXOS1"
    "PRENIXOS2"
  ];
in
{
  name = "pre-nixos-tiered";

  nodes.machine =
    { pkgs, ... }:
    {
      imports = [ ./module.nix ];

      virtualisation.memorySize = 2048;
      virtualisation.emptyDiskImages = map (serial: {
        size = 8192;
        driveConfig.deviceExtraOpts = { inherit serial; };
      }) serials;

      boot.swraid.enable = true;
      boot.swraid.mdadmConf = "PROGRAM ${pkgs.coreutils}/bin/true";
      environment.systemPackages = [
        pkgs.mdadm
        pkgs.lvm2
      ];

      services.pre-nixos = {
        enable = true;
        targets = serials;
        policies.tiered = {
          slash = "2GiB";
          home_cap = "512MiB";
          swap_cap = "512MiB";
        };
      };
    };

  testScript =
    let
      disk = serial: "/dev/disk/by-id/virtio-${serial}";
      choice = "--policy tiered ${lib.concatMapStringsSep " " (serial: "--disks ${serial}") serials} --slash 2GiB --home-cap 512MiB --swap-cap 512MiB";
    in
    ''
      start_all()
      machine.wait_for_unit("multi-user.target")

      with subtest("what was found at boot was planned, and nothing was changed"):
          machine.wait_for_unit("pre-nixos-storage.service")
          machine.succeed("grep '^STATE=planned' /run/pre-nixos/storage-status")
          machine.fail("test -e /dev/md/main")

      with subtest("an old array with a volume group in use is in the way"):
          machine.succeed(
              "mdadm --create /dev/md/swap --run --level=1 --raid-devices=2 --metadata=1.2"
              " ${lib.concatMapStringsSep " " disk serials}",
              "vgcreate old /dev/md/swap",
              "lvcreate --yes --name swap --size 256M old",
              "mkswap /dev/old/swap",
              "swapon /dev/old/swap",
          )

      with subtest("a plan names what is lost, and loses nothing"):
          plan = machine.succeed("pre-nixos plan ${choice}")
          assert "group old" in plan, plan
          machine.succeed("grep -q dm- /proc/swaps")

      with subtest("apply makes what was asked for"):
          machine.succeed("pre-nixos apply --yes ${choice} >&2")
          machine.succeed("pre-nixos verify ${choice} >&2")
          machine.succeed("mountpoint /mnt && touch /mnt/witness")
          machine.fail("vgs old")

      with subtest("a second run does nothing"):
          machine.succeed("pre-nixos plan --check ${choice} >&2")

      with subtest("it is there after a reboot"):
          machine.succeed("pre-nixos unmount ${choice} >&2")
          machine.shutdown()
          machine.start()
          machine.wait_for_unit("multi-user.target")
          machine.succeed("pre-nixos mount ${choice} >&2")
          machine.succeed("mountpoint /mnt && test -e /mnt/witness")
          machine.succeed("pre-nixos verify ${choice} >&2")
    '';
}
