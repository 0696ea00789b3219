# What Disko makes of a layout: the scripts it would run. With its own types, and the library of nixpkgs.
{
  disko, # a directory with Disko's sources
  nixpkgs, # a directory with lib/ in it
  file,
}:
let
  lib = import "${nixpkgs}/lib";
  diskoLib = import "${disko}/lib" {
    inherit lib;
    rootMountPoint = "/mnt";
  };
  inherit
    (lib.evalModules {
      modules = [
        { options.disko.devices = lib.mkOption { type = diskoLib.toplevel; }; }
        (import file)
      ];
    })
    config
    ;
in
{
  create = config.disko.devices._create;
  mount = config.disko.devices._mount;
  destroy = config.disko.devices._destroy;
}
