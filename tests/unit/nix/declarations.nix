# The options of NixOS that nix/module.nix sets, declared no stricter than NixOS does: whoever reads the result sees what was set.
{ lib }:
let
  inherit (lib) mkOption types;
  free = mkOption {
    type = types.attrsOf types.anything;
    default = { };
  };
  list = mkOption {
    type = types.listOf types.anything;
    default = [ ];
  };
  value = mkOption {
    type = types.anything;
    default = null;
  };
in
{
  options = {
    assertions = list;
    warnings = list;
    boot.kernelParams = list;
    environment.systemPackages = list;
    isoImage.edition = value;
    networking.networkmanager.enable = value;
    networking.useDHCP = value;
    networking.useNetworkd = value;
    networking.wireless.enable = value;
    services.openssh = free;
    system.checks = list;
    systemd.network.wait-online.enable = value;
    systemd.package = value;
    systemd.services = free;
    systemd.tmpfiles.rules = list;
    users.users = free;
  };
}
