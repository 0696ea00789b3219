#!/usr/bin/env bash
# Makes this checkout ready to run: Debian packages by name, then the project and its tools in .venv.
# Safe to call every time; with nothing to do it only looks. PYTHON=/path/to/python3 chooses the interpreter.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

packages=(
  git make
  python3 python3-venv python3-dev gcc pkg-config libparted-dev          # pyparted is built from source
  user-mode-linux                                                        # the lab's guests: their kernel,
  qemu-system-x86 linux-image-amd64 busybox-static nvme-cli              # and what those with NVMe or USB need
  udev systemd iproute2 openssh-client kmod mount util-linux fdisk
  mdadm lvm2 dmsetup thin-provisioning-tools cryptsetup-bin bcache-tools # what the guests and the host are driven with
  e2fsprogs xfsprogs btrfs-progs dosfstools
  gdisk parted                                                           # what the bench is measured against calls
  nix-bin libwrap0                                                       # what reads the files in nix/; sshd's library
)
# Installing it would start it here, and what the tests want is its files, in their guests.
unpacked=openssh-server
stamp=.venv/.ready
# The examples are distributions of their own, and the tests use them as anyone's plugin would be used: installed.
projects=(.)
for project in examples/*/pyproject.toml; do
  [ ! -e "$project" ] || projects+=("${project%/pyproject.toml}")
done

fail() {
  printf 'setup: %s\n' "$1" >&2
  [ $# -eq 1 ] || printf '%s\n' "${@:2}" >&2
  exit 1
}

missing_packages() {
  local present
  present=$(dpkg-query --show --showformat '${db:Status-Status} ${Package}\n' "${packages[@]}" 2>/dev/null || true)
  comm -23 <(printf '%s\n' "${packages[@]}" | sort) <(sed -n 's/^installed //p' <<<"$present" | sort -u) | tr '\n' ' '
}

fetch_packages() {
  apt-get update -o DPkg::Lock::Timeout=300 &&
    # shellcheck disable=SC2086 # one word for each package
    apt-get install -y --no-install-recommends -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 $missing
}

install_packages() {
  local missing line
  if ! command -v dpkg-query >/dev/null; then
    echo "setup: this is not Debian, so its packages cannot be checked; see 'packages' in tools/setup.sh" >&2
    return
  fi
  missing=$(missing_packages)
  [ -n "$missing" ] || return 0
  line="apt-get install -y --no-install-recommends ${missing% }"
  if [ "$(id -u)" -ne 0 ]; then
    fail "these Debian packages are missing, and installing them needs root. Nothing was changed. Run:" "" \
      "  sudo $line" "" "and then the same make command again."
  fi
  echo "setup: $line"
  mkdir -p .cache
  if ! DEBIAN_FRONTEND=noninteractive fetch_packages >.cache/apt.log 2>&1 </dev/null; then
    tail -n 20 .cache/apt.log >&2
    fail "apt-get failed; its last words are above, the rest is in .cache/apt.log."
  fi
  missing=$(missing_packages)
  [ -z "$missing" ] || fail "apt-get succeeded, yet these packages are not installed: $missing"
}

unpack_package() {
  local into=.cache/unpacked
  ! command -v dpkg-query >/dev/null || [ -e "$into/.$unpacked" ] || (
    echo "setup: unpacking $unpacked into $into"
    rm -rf "$into" "$into.new"
    mkdir -p "$into.new"
    cd "$into.new"
    for attempt in 1 2; do
      # Unless its lists are there, and those of today.
      [ "$attempt" = 1 ] || [ "$(id -u)" -ne 0 ] || apt-get update -o DPkg::Lock::Timeout=300
      ! apt-get download "$unpacked" || break
    done >../apt.log 2>&1 </dev/null
    dpkg-deb --extract "$unpacked"_*.deb . && rm "$unpacked"_*.deb && touch ".$unpacked"
    mv "../${into##*/}.new" "../${into##*/}"
  ) || fail "the package $unpacked could not be had from apt; what it said is in .cache/apt.log."
}

# An interpreter will do if it is new enough and can both make a virtual environment and build an extension.
usable() {
  "$1" - 2>/dev/null <<'CHECK'
import ensurepip, os, sys, sysconfig, venv
header = os.path.join(sysconfig.get_path("include"), "Python.h")
sys.exit(sys.version_info < (3, 11) or not os.path.exists(header))
CHECK
}

choose_python() {
  local candidate
  for candidate in ${PYTHON:-python3 /usr/bin/python3}; do
    if usable "$candidate"; then
      command -v "$candidate"
      return
    fi
  done
  fail "no usable Python: need 3.11 or newer, with venv, ensurepip and Python.h. Tried: ${PYTHON:-python3 /usr/bin/python3}" \
    "On Debian: apt-get install python3-venv python3-dev, or name another one with PYTHON=/path/to/python3."
}

# The directory counts: a virtual environment does not survive being moved.
fingerprint() {
  { pwd && cat tools/setup.sh "${projects[@]/%//pyproject.toml}"; } | sha256sum
}

ready() {
  local found python
  [ -x .venv/bin/python ] && [ -r "$stamp" ] || return 1
  { read -r found && read -r python; } <"$stamp" || return 1
  [ "$found" = "$(fingerprint)" ] && { [ -z "${PYTHON:-}" ] || [ "$python" = "$(command -v "$PYTHON")" ]; }
}

make_environment() {
  local python known=""
  python=$(choose_python)
  [ ! -r "$stamp" ] || known=$(sed -n 2p "$stamp")
  # Half an environment, another interpreter's or one that was moved here is not worth mending.
  if [ "$known" != "$python" ] || [ "$(sed -n 3p "$stamp")" != "$PWD" ] || [ ! -x .venv/bin/python ]; then
    rm -rf .venv
    "$python" -m venv .venv
  fi
  rm -f "$stamp"
  echo "setup: installing the project and its tools into .venv ($python)"
  # Dependency groups need pip 25.1; Debian 12 brings 23.0.
  .venv/bin/python -m pip --disable-pip-version-check install --quiet --upgrade 'pip>=25.1'
  .venv/bin/python -m pip --disable-pip-version-check install --quiet --group dev "${projects[@]/#/--editable=./}"
  printf '%s\n' "$(fingerprint)" "$python" "$PWD" >"$stamp.new"
  mv "$stamp.new" "$stamp"
}

install_packages
unpack_package
if ! ready; then
  mkdir -p .cache
  exec 9>.cache/setup.lock
  flock 9 # two makes at once: the second waits, then finds it done
  ready || make_environment
fi
