# What the services are not allowed to do. Whoever adds to it: see what does not work, below.
rec {
  every = {
    LockPersonality = true;
    NoNewPrivileges = true;
    RestrictNamespaces = true;
    RestrictRealtime = true;
    RestrictSUIDSGID = true;
    SystemCallArchitectures = "native";
  };

  # Storage tools need the disks, the kernel's modules, and the mounts of everybody. What gives a service mounts of its own
  # (ProtectSystem, ProtectHome, PrivateTmp, ProtectKernelTunables and their like) would keep what it mounts from the rest of the
  # system; PrivateIPC would keep LVM's semaphores from udev, PrivateNetwork udev's messages from us, and ProtectClock and
  # every DeviceAllow the disks. MemoryDenyWriteExecute is not for what calls libblkid by ctypes.
  storage = every // {
    CapabilityBoundingSet = [
      "CAP_CHOWN"
      "CAP_DAC_OVERRIDE"
      "CAP_DAC_READ_SEARCH"
      "CAP_FOWNER"
      "CAP_FSETID"
      "CAP_IPC_LOCK" # cryptsetup keeps keys out of swap
      "CAP_IPC_OWNER"
      "CAP_KILL"
      "CAP_LINUX_IMMUTABLE" # a file to swap to is made without copy on write
      "CAP_MKNOD"
      "CAP_SYS_ADMIN"
      "CAP_SYS_MODULE" # LVM and mdadm load what they need
      "CAP_SYS_NICE"
      "CAP_SYS_PTRACE" # whose open file is it?
      "CAP_SYS_RAWIO"
      "CAP_SYS_RESOURCE"
    ];
    RestrictAddressFamilies = [
      "AF_ALG" # cryptsetup has the kernel encrypt
      "AF_NETLINK"
      "AF_UNIX"
    ];
    SystemCallErrorNumber = "EPERM";
    SystemCallFilter = [ "~@clock @cpu-emulation @obsolete @raw-io @reboot" ];
  };

  # What has nothing to do with disks does not get near them.
  bystander = every // {
    DevicePolicy = "closed";
    LimitCORE = 0;
    PrivateTmp = true;
    ProtectClock = true;
    ProtectControlGroups = true;
    ProtectHome = true;
    ProtectHostname = true;
    ProtectKernelLogs = true;
    ProtectKernelModules = true;
    ProtectSystem = "strict";
    RestrictAddressFamilies = [
      "AF_INET"
      "AF_INET6"
      "AF_NETLINK"
      "AF_UNIX"
    ];
    SystemCallErrorNumber = "EPERM";
    SystemCallFilter = [ "@system-service" ];
  };
}
