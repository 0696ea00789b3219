# A service of the program: run once at boot, with nobody waiting for it.
{ lib, program }:

let
  # A word of a command as systemd reads it: neither its specifiers nor its variables are meant.
  word = text: lib.replaceStrings [ "%" "$" ] [ "%%" "$$" ] (builtins.toJSON text);
  call =
    words: lib.concatStringsSep " " ([ program ] ++ map (each: word (toString each)) words);
in
{
  description,
  command,
  after ? [ ],
  serviceConfig,
}:
{
  inherit description;
  wantedBy = [ "multi-user.target" ];
  # A target waits for the one-shot services it wants, unless these have no default dependencies: nobody waits for these,
  # neither a login nor the network, and nothing of the boot fails with them.
  unitConfig.DefaultDependencies = false;
  after = [
    "sysinit.target"
    "systemd-udev-trigger.service"
  ]
  ++ after;
  before = [ "shutdown.target" ];
  conflicts = [ "shutdown.target" ];
  # Not by a `nixos-rebuild switch`, which is no boot. As one that remains it is not begun again either.
  restartIfChanged = false;
  serviceConfig = {
    Type = "oneshot";
    RemainAfterExit = true;
    ExecStart = call command;
    # Never the console: a serial one that nobody reads may block whoever writes to it.
    StandardOutput = "journal";
    StandardError = "journal";
  }
  // serviceConfig;
}
