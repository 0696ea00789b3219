# What the flake gives, with something that only looks like nixpkgs: which names there are, and that each of them leads somewhere.
let
  lib = import ./lib.nix;
  nixpkgs = {
    lib = {
      genAttrs =
        names: make:
        builtins.listToAttrs (
          map (name: {
            inherit name;
            value = make name;
          }) names
        );
      # The modules are read, and not evaluated.
      nixosSystem =
        { modules }:
        {
          config.system.build.isoImage = map (each: if builtins.isAttrs each then each else builtins.isFunction (import each)) modules;
        };
    };
    legacyPackages = builtins.listToAttrs (
      map
        (system: {
          name = system;
          value = rec {
            callPackage = path: given: builtins.attrNames (builtins.functionArgs (import path));
            stdenv.hostPlatform = { inherit system; };
            testers.runNixOSTest = path: { inherit (import path { inherit lib; }) name testScript; };
            mkShell = _: "shell";
          };
        })
        [
          "x86_64-linux"
          "aarch64-linux"
        ]
    );
  };
  outputs = (import ../../../flake.nix).outputs {
    self = outputs;
    inherit nixpkgs;
  };
in
outputs
// {
  nixosModules = builtins.mapAttrs (_: each: builtins.attrNames (builtins.functionArgs (import each))) outputs.nixosModules;
  nixosConfigurations = builtins.mapAttrs (_: each: each.config.system.build.isoImage) outputs.nixosConfigurations;
}
