{
  lib,
  python3Packages,
  bash,
  bcache-tools,
  btrfs-progs,
  coreutils,
  cryptsetup,
  dosfstools,
  e2fsprogs,
  iproute2,
  lvm2,
  mdadm,
  openssh,
  systemd,
  thin-provisioning-tools,
  util-linux,
  xfsprogs,
}:

let
  tools = [
    bash # for the scripts of layouts
    bcache-tools
    btrfs-progs
    coreutils
    cryptsetup
    dosfstools
    e2fsprogs
    iproute2
    lvm2
    mdadm
    openssh
    systemd
    thin-provisioning-tools
    util-linux
    xfsprogs
  ];
in
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

  # Programs are looked for in a list of directories of our own and started with no other environment, and the library that
  # knows signatures is loaded by name, also in a child: what a wrapper would set reaches neither.
  postPatch = ''
    substituteInPlace pre_nixos/host/processes.py \
      --replace-fail 'SEARCH_PATH = "' 'SEARCH_PATH = "${lib.makeBinPath tools}:'
    substituteInPlace pre_nixos/host/blkid.py \
      --replace-fail 'LIBRARY = "libblkid.so.1"' 'LIBRARY = "${lib.getLib util-linux}/lib/libblkid.so.1"'
  '';

  pythonImportsCheck = [ "pre_nixos" ];

  meta = {
    description = "Takes a machine's disks from whatever is on them to exactly what was asked for, safely";
    license = lib.licenses.mit;
    mainProgram = "pre-nixos";
    platforms = lib.platforms.linux;
  };
}
