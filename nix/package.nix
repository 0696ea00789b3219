{
  lib,
  python3Packages,
  bcache-tools,
  btrfs-progs,
  cryptsetup,
  dosfstools,
  e2fsprogs,
  lvm2,
  mdadm,
  systemd,
  thin-provisioning-tools,
  util-linux,
  xfsprogs,
}:

python3Packages.buildPythonApplication {
  pname = "pre-nixos";
  version = (lib.importTOML ../pyproject.toml).project.version;
  pyproject = true;

  src = lib.fileset.toSource {
    root = ../.;
    fileset = lib.fileset.unions [
      ../pre_nixos
      ../pyproject.toml
      ../README.md
      ../LICENSE
    ];
  };

  build-system = [ python3Packages.hatchling ];

  dependencies = with python3Packages; [
    msgspec
    pluggy
    pyparted
    rich
    structlog
    typing-extensions
  ];

  # The tools the plans run, and the library that is loaded by name to look for signatures.
  makeWrapperArgs = [
    "--prefix PATH : ${
      lib.makeBinPath [
        bcache-tools
        btrfs-progs
        cryptsetup
        dosfstools
        e2fsprogs
        lvm2
        mdadm
        systemd
        thin-provisioning-tools
        util-linux
        xfsprogs
      ]
    }"
    "--prefix LD_LIBRARY_PATH : ${lib.makeLibraryPath [ util-linux ]}"
  ];

  pythonImportsCheck = [ "pre_nixos" ];

  meta = {
    description = "Takes a machine's disks from whatever is on them to exactly what was asked for, safely";
    license = lib.licenses.mit;
    mainProgram = "pre-nixos";
    platforms = lib.platforms.linux;
  };
}
