# services.pre-nixos: finds out what is on this machine's disks, says what would be done, and does it if that was asked for.
{
  config,
  lib,
  pkgs,
  ...
}:

let
  inherit (lib) mkOption types;
  cfg = config.services.pre-nixos;

  policies = builtins.fromJSON (builtins.readFile ./policies.json);
  names = lib.concatStringsSep ", " (builtins.attrNames policies);
  policyOption = (import ./options.nix { inherit lib; }).policy;
  problemOf = import ./keys.nix;
  hardening = import ./hardening.nix;

  # Such as can be written into a unit or a tmpfiles rule without any escaping.
  directory = types.strMatching "(/[A-Za-z0-9._-]+)+" // {
    description = "absolute path of letters, digits and . _ -";
  };
  # Which disks is said once, for whichever policy it will be.
  named = lib.optionalAttrs (cfg.targets != [ ] && cfg.layout == null) { disks = cfg.targets; };
  plain =
    with types;
    nullOr (oneOf [
      bool
      int
      float
      str
      (listOf str)
    ]);

  # The options of a policy as those of the command; what is as the policy has it anyway needs no saying.
  flagsOf =
    name: options:
    let
      known = policies.${name}.options or { };
      said = lib.filterAttrs (option: value: value != null && value != known.${option}.default or null) options;
      flag = option: "--${lib.replaceStrings [ "_" ] [ "-" ] option}";
      words =
        option: value:
        if value == true then
          [ (flag option) ]
        else if value == false then
          [ "--no-${lib.removePrefix "--" (flag option)}" ]
        else
          map (each: "${flag option}=${toString each}") (lib.toList value);
    in
    lib.concatLists (lib.mapAttrsToList words said);

  layoutFile =
    if builtins.isAttrs cfg.layout then
      (pkgs.formats.json { }).generate "layout.json" cfg.layout
    else if cfg.layout == null then
      null
    else
      "${cfg.layout}";
  # A string may be a path of the running system, of which nothing is known yet.
  layoutKnown = cfg.layout != null && !builtins.isString cfg.layout;

  chosen = toString cfg.policy;

  # Lists that are empty where the policy has something: no word of a command says that.
  emptied =
    name: options:
    lib.filter (option: options.${option} == [ ] && (policies.${name}.options.${option}.default or [ ]) != [ ]) (
      builtins.attrNames options
    );

  service = import ./service.nix {
    inherit lib;
    program = lib.getExe cfg.package;
  };
in
{
  options.services.pre-nixos = {
    enable = lib.mkEnableOption "provisioning of this machine's disks at boot";

    package = mkOption {
      type = types.package;
      default = pkgs.callPackage ./package.nix { };
      defaultText = lib.literalExpression "pkgs.callPackage ./package.nix { }";
      description = "The package of pre-nixos.";
    };

    policy = mkOption {
      type = types.nullOr types.str;
      default = if cfg.layout == null then "tiered" else null;
      defaultText = lib.literalExpression ''if layout == null then "tiered" else null'';
      example = "single";
      description = ''
        Who says what should be on the disks: one of ${names}. `pre.policy=` on the kernel's command line takes its place,
        and then none of the options count, nor do the targets.
      '';
    };

    policies = mkOption {
      type = types.submodule {
        # Those of plugins, whose options only the plugin knows.
        freeformType = types.attrsOf (types.attrsOf plain);
        options = lib.mapAttrs (_: each: policyOption each named) policies;
      };
      default = { };
      example = {
        tiered.careful = true;
        tiered.slash = "80GiB";
      };
      description = "The options of each policy, as `pre-nixos policies` lists them. Only those of the chosen policy count.";
    };

    layout = mkOption {
      type = types.nullOr (types.either types.path (types.attrsOf types.anything));
      default = null;
      example = lib.literalExpression "./disko-config.json";
      description = ''
        What should be on the disks, instead of a policy: a file in Disko's vocabulary as JSON or TOML, or the same as a
        value. What is known when the system is built is checked then.
      '';
    };

    targets = mkOption {
      type = types.listOf (types.strMatching "[^[:space:]].*");
      default = [ ];
      example = [ "S4X2NX0R" ];
      description = ''
        The disks to use, each by serial number, WWN, link below /dev/disk/by-id or id; no others are touched then. With a
        layout, which disk a name in it means, such as `main=S4X2NX0R`. Empty leaves it to the policy or the layout. A policy
        that the kernel's command line names knows nothing of them.
      '';
    };

    autoApply = mkOption {
      type = types.bool;
      default = false;
      description = ''
        Carry out the plan at boot, without asking anybody, if nothing is lost by it: where something would go, nothing is done,
        and the status says `occupied`. Off, the plan is made and kept, and nothing is changed. On the kernel's command line
        `pre.mode=` (`off`, `plan`, `apply`) takes its place, and `pre.plan.only=1` sees to it that nothing is applied.
      '';
    };

    timeout = mkOption {
      type = types.str;
      default = "1h";
      description = "How long looking, planning and applying may take, as systemd writes time; the running action is finished.";
    };

    rootKeys = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [ "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA... me@desk" ];
      description = "Public SSH keys that let root in. A password never does.";
    };

    ssh = mkOption {
      type = types.bool;
      default = cfg.rootKeys != [ ];
      defaultText = lib.literalExpression "rootKeys != [ ]";
      description = "Run sshd, which lets in those who have a key and nobody with a password.";
    };

    lan = {
      enable = lib.mkEnableOption ''
        naming one network port `lan`, with an address by DHCP: the one with a carrier, the fastest of several'';
      mac = mkOption {
        type = types.nullOr (
          types.strMatching "[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}"
          // {
            description = "MAC address such as 52:54:00:12:34:56";
          }
        );
        default = null;
        example = "52:54:00:12:34:56";
        description = ''
          Take the port with this address, whatever the others have. `pre.lan.mac=` on the kernel's command line takes its place.
        '';
      };
      wait = mkOption {
        type = types.ints.between 0 600;
        default = 30;
        description = "How many seconds to wait for a carrier. Nothing else waits meanwhile.";
      };
    };

    statusDir = mkOption {
      type = directory;
      default = "/run/pre-nixos";
      description = "Where the file `storage-status` is, with its lines STATE= and DETAIL=.";
    };

    logDir = mkOption {
      type = directory;
      default = "/var/log/pre-nixos";
      description = "Where the log of actions, the plan, the report and diagnostics are kept.";
    };

    jobs = mkOption {
      type = types.ints.positive;
      default = 1;
      description = ''
        So many disks at the most are given their tables at a time. Programs run one at a time, whatever this is.
      '';
    };

    serialConsole = mkOption {
      type = types.nullOr (types.strMatching "tty[A-Za-z]+[0-9]+(,[0-9]+[noe]?[5-8]?)?");
      default = if pkgs.stdenv.hostPlatform.isAarch64 then "ttyAMA0,115200n8" else "ttyS0,115200n8";
      defaultText = "ttyS0,115200n8, or ttyAMA0,115200n8 on aarch64";
      description = ''
        The serial port that is a console beside the screen, with a login; null for none. Without flow control, because
        nothing may wait for somebody to plug in a cable.
      '';
    };
  };

  config = lib.mkIf cfg.enable (
    lib.mkMerge [
      {
        assertions = [
          {
            # Also what is said for policies that are not the one is looked at: it may be the next one.
            assertion = builtins.deepSeq cfg.policies ((cfg.policy == null) != (cfg.layout == null));
            message =
              if cfg.layout == null then
                "services.pre-nixos: nothing says what should be on the disks; give services.pre-nixos.policy or services.pre-nixos.layout."
              else
                "services.pre-nixos: either services.pre-nixos.policy (${chosen}) or services.pre-nixos.layout says what should be on the disks, not both.";
          }
          {
            assertion = cfg.policy == null || cfg.policies ? ${chosen};
            message = "services.pre-nixos.policy: there is no policy ${chosen}; there are ${names}. If a plugin brings it, say so: services.pre-nixos.policies.${chosen} = { };";
          }
          {
            assertion = cfg.layout == null || lib.all (each: builtins.match "[^=]+=.+" each != null) cfg.targets;
            message = "services.pre-nixos.targets: with a layout each says which disk a name in it means, such as main=S4X2NX0R; these do not: ${
              lib.concatStringsSep ", " (lib.filter (each: builtins.match "[^=]+=.+" each == null) cfg.targets)
            }.";
          }
        ]
        ++ lib.optional (named != { }) {
          assertion = (cfg.policies.${chosen}.disks or cfg.targets) == cfg.targets;
          message = "services.pre-nixos: services.pre-nixos.targets and services.pre-nixos.policies.${chosen}.disks name different disks; say it once.";
        }
        ++ map (option: {
          assertion = false;
          message = "services.pre-nixos.policies.${chosen}.${option}: an empty list is as good as none said, and then the policy has its own.";
        }) (emptied chosen (cfg.policies.${chosen} or { }))
        ++ lib.imap1 (number: key: {
          assertion = problemOf key == null;
          # Not the key itself: a private one would end in logs.
          message = "services.pre-nixos.rootKeys: entry ${toString number} ${toString (problemOf key)}.";
        }) cfg.rootKeys;

        warnings =
          map (
            name:
            "services.pre-nixos.policies.${name}: no policy of this name comes along (there are ${names}). "
            + "Unless services.pre-nixos.package has a plugin that brings it, it is misspelt."
          ) (builtins.attrNames (removeAttrs cfg.policies (builtins.attrNames policies)));

        environment.systemPackages = [ cfg.package ];

        systemd.tmpfiles.rules = [
          "d ${cfg.statusDir} 0755 root root -"
          "d ${cfg.logDir} 0750 root root -"
        ];

        systemd.services.pre-nixos-storage = service {
          description = "Look at the disks, say what would be done, and do it if that was asked for";
          command = [
            "auto"
            "--status-dir=${cfg.statusDir}"
            "--log-dir=${cfg.logDir}"
          ]
          ++ lib.optional cfg.autoApply "--apply"
          ++ lib.optional (cfg.jobs > 1) "--jobs=${toString cfg.jobs}"
          ++ (
            if cfg.layout != null then
              [ "--layout=${layoutFile}" ] ++ map (each: "--disk=${each}") cfg.targets
            else
              # What a plugin's policy takes is not known here, but that it takes the disks it is told is.
              [ "--policy=${chosen}" ] ++ flagsOf chosen (named // cfg.policies.${chosen} or { })
          );
          serviceConfig = hardening.storage // {
            # What was there at boot is known after this, and no more is promised: a queue that does not become empty
            # stops nobody. It is not systemd-udev-settle.service, which others would then wait for as well.
            ExecStartPre = "-${config.systemd.package}/bin/udevadm settle --timeout=60";
            TimeoutStartSec = cfg.timeout;
            # What is asked to stop finishes the running action; its children are not asked.
            KillMode = "mixed";
            TimeoutStopSec = "10min";
          };
        };
      }

      (lib.mkIf layoutKnown {
        # A layout with a mistake in it makes no system. Which disks there are is not asked here.
        system.checks = [
          (pkgs.runCommand "pre-nixos-layout" { } ''
            ${lib.getExe cfg.package} plan --check-layout ${layoutFile}
            touch $out
          '')
        ];
      })

      (lib.mkIf cfg.lan.enable {
        networking.useNetworkd = lib.mkDefault true;
        networking.useDHCP = lib.mkDefault false;
        # A machine without a cable boots as well.
        systemd.network.wait-online.enable = lib.mkDefault false;
        systemd.tmpfiles.rules = [ "d /run/systemd/network 0755 root root -" ];
        systemd.services.pre-nixos-lan = service {
          description = "Name one network port lan";
          command = [
            "lan"
            "--wait=${toString cfg.lan.wait}"
          ]
          ++ lib.optional (cfg.lan.mac != null) "--mac=${cfg.lan.mac}";
          after = [ "systemd-networkd.service" ];
          serviceConfig = hardening.bystander // {
            CapabilityBoundingSet = [ "CAP_NET_ADMIN" ];
            ReadWritePaths = [ "/run/systemd/network" ];
            TimeoutStartSec = cfg.lan.wait + 60;
          };
        };
      })

      (lib.mkIf cfg.ssh {
        services.openssh = {
          enable = true;
          settings = {
            PasswordAuthentication = false;
            KbdInteractiveAuthentication = false;
            PermitRootLogin = "prohibit-password";
          };
        };
        users.users.root.openssh.authorizedKeys.keys = cfg.rootKeys;
      })

      (lib.mkIf (cfg.lan.enable || cfg.ssh) {
        systemd.services.pre-nixos-announce = service {
          description = "Say on the consoles where this machine can be reached";
          command = [
            "announce"
            "--status-dir=${cfg.statusDir}"
          ];
          after = [
            "pre-nixos-lan.service"
            "sshd.service"
          ];
          serviceConfig = hardening.bystander // {
            CapabilityBoundingSet = [ "" ];
            DeviceAllow = [
              "/dev/console rw"
              "char-tty* rw"
              "char-hvc rw"
            ];
            TimeoutStartSec = "2min";
          };
        };
      })

      (lib.mkIf (cfg.serialConsole != null) {
        # The last one is /dev/console, which programs write to: the screen, which never blocks.
        boot.kernelParams = [
          "console=${cfg.serialConsole}"
          "console=tty0"
        ];
      })
    ]
  );
}
