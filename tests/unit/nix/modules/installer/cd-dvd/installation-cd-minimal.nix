# What NixOS's own module of this name says that nix/iso.nix must have its own way with.
{ lib, ... }:
{
  isoImage.edition = "minimal";
  networking.networkmanager.enable = true;
  networking.wireless.enable = lib.mkDefault true;
}
