{
  description = "Takes a machine's disks from whatever is on them to exactly what was asked for, safely, and proves it";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs =
    { self, nixpkgs }:
    let
      systems = [
        "x86_64-linux"
        "aarch64-linux"
      ];
      each = make: nixpkgs.lib.genAttrs systems (system: make nixpkgs.legacyPackages.${system});
      image =
        system:
        nixpkgs.lib.nixosSystem {
          modules = [
            ./nix/iso.nix
            { nixpkgs.hostPlatform = system; }
          ];
        };
    in
    {
      packages = each (pkgs: {
        default = pkgs.callPackage ./nix/package.nix { };
        # PRE_NIXOS_ROOT_KEY="$(cat ~/.ssh/id_ed25519.pub)" nix build --impure .#iso
        iso = (image pkgs.stdenv.hostPlatform.system).config.system.build.isoImage;
      });

      nixosModules.default = ./nix/module.nix;

      # `extendModules` makes another image of it, with keys and options of its own.
      nixosConfigurations = {
        iso = image "x86_64-linux";
        iso-aarch64 = image "aarch64-linux";
      };

      checks = each (pkgs: {
        package = self.packages.${pkgs.stdenv.hostPlatform.system}.default;
        tiered = pkgs.testers.runNixOSTest ./nix/test.nix;
      });

      devShells = each (pkgs: {
        default = pkgs.mkShell {
          inputsFrom = [ self.packages.${pkgs.stdenv.hostPlatform.system}.default ];
          # For `make setup`, which builds pyparted; Debian's packages are none of its business here.
          packages = [
            pkgs.python3
            pkgs.gnumake
            pkgs.gcc
            pkgs.pkg-config
            pkgs.parted
          ];
          # The library is found by name at run time.
          LD_LIBRARY_PATH = pkgs.lib.makeLibraryPath [ pkgs.util-linux ];
        };
      });
    };
}
