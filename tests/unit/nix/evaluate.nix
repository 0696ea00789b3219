# What nix/module.nix or nix/iso.nix makes of some settings, as data: with the library of nixpkgs if there is one, else with lib.nix beside this.
{
  module,
  settings, # services.pre-nixos, as a path of a JSON or a Nix file
  nixpkgs ? "", # a directory with lib/ in it
}:
let
  lib = if nixpkgs == "" then import ./lib.nix else import "${nixpkgs}/lib";
  package = name: {
    type = "derivation";
    inherit name;
    outPath = "/nix/store/00000000000000000000000000000000-${name}";
    meta.mainProgram = name;
  };
  pkgs = {
    callPackage = _: _: package "pre-nixos";
    formats.json = _: { generate = name: value: "/nix/store/00000000000000000000000000000000-${name}"; };
    runCommand = name: _: text: { inherit name text; };
    disko = package "disko";
    stdenv.hostPlatform.isAarch64 = false;
  };
  read =
    if builtins.match ".*\\.json" settings != null then
      builtins.fromJSON (builtins.readFile settings)
    else
      import settings;
  inherit
    (lib.evalModules {
      modules = [
        module
        (import ./declarations.nix { inherit lib; })
        {
          services.pre-nixos = read;
          systemd.package = "/nix/store/00000000000000000000000000000000-systemd";
        }
        { _module.args.pkgs = pkgs; }
      ];
      # Where NixOS has its own modules; the one that images build on is as good as empty here.
      specialArgs.modulesPath = toString ./modules;
    })
    config
    ;
  failed = builtins.filter (each: !each.assertion) config.assertions;
in
{
  problems = map (each: each.message) failed;
  inherit (config)
    boot
    isoImage
    networking
    system
    systemd
    users
    warnings
    ;
  inherit (config.services) openssh;
}
