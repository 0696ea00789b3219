# An installer image: the minimal one of NixOS, on which the disks are looked at, one port is `lan`, and root's key is let in.
{
  config,
  lib,
  modulesPath,
  pkgs,
  ...
}:

let
  cfg = config.services.pre-nixos;

  # The key, or the file it is in. Only `nix build --impure` has an environment.
  given = builtins.getEnv "PRE_NIXOS_ROOT_KEY";
  text = if lib.hasPrefix "/" given then builtins.readFile given else given;
  keys = lib.filter (line: line != "" && !lib.hasPrefix "#" line) (lib.splitString "\n" text);
in
{
  imports = [
    "${modulesPath}/installer/cd-dvd/installation-cd-minimal.nix"
    ./module.nix
  ];

  services.pre-nixos = {
    enable = true;
    lan.enable = true;
    ssh = true;
    rootKeys = keys;
  };

  warnings =
    lib.optional (cfg.rootKeys == [ ])
      "pre-nixos: this image has no root key, so nobody gets into it over the network. Set PRE_NIXOS_ROOT_KEY to a public key or the path of its file and build with --impure, or set services.pre-nixos.rootKeys.";

  isoImage.edition = lib.mkForce "pre-nixos";

  # One thing gives out addresses.
  networking.networkmanager.enable = lib.mkForce false;
  networking.wireless.enable = lib.mkForce false;
  networking.useNetworkd = true;
  networking.useDHCP = false;

  # For `pre-nixos apply --engine disko`.
  environment.systemPackages = [ pkgs.disko ];
}
