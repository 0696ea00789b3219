"""Who may log in to a machine that is being installed: the holders of some keys, and nobody by a password."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from pre_nixos.host.doing.problems import words
from pre_nixos.installer.files import NotDone, below, read, remove, write
from pre_nixos.installer.keys import known, read_keys
from pre_nixos.model.data import Data

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pre_nixos.host.questions import Ran
    from pre_nixos.installer.keys import Key

HOME = "/root"
DROP_IN = "/etc/ssh/sshd_config.d/10-pre-nixos.conf"
KEYS_ONLY = """# Written by pre-nixos: whoever logs in has a key.
PubkeyAuthentication yes
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
"""
EFFECT: Mapping[str, frozenset[str]] = {
    "pubkeyauthentication": frozenset({"yes"}),
    "passwordauthentication": frozenset({"no"}),
    "kbdinteractiveauthentication": frozenset({"no"}),
    "permitrootlogin": frozenset({"prohibit-password", "without-password"}),
}
"""What sshd says of itself, in `sshd -T`, when that is in force."""
LONGEST = 1 << 20


class LetIn(Data):
    """What was done."""

    added: int
    kept: int
    """Keys that were there already."""
    changed: bool
    """Whether anything was written."""
    remarks: tuple[str, ...] = ()


def let_in(texts: Mapping[str, str], root: str = "/") -> LetIn:
    """Let in root by these public keys, texts by where they come from, and nobody by a password.

    Raises NotDone. Keys come first: who forbids passwords before there is a key locks everybody out.
    """
    keys: list[Key] = []
    problems: list[str] = []
    for source, text in texts.items():
        try:
            keys += read_keys(text, source=source)
        except ValueError as error:
            problems.append(str(error))
    if problems:
        raise NotDone("\n".join([*problems, "Nothing was changed."]))
    if not keys:
        raise NotDone(f"There is no key in {', '.join(texts) or 'what was given'}. Nothing was changed.")
    added, remarks = _install(keys, root)
    changed = _forbid_passwords(root)
    # Also if nothing was written: whoever wrote it may have been stopped before sshd was told.
    remarks += _reload()
    return LetIn(
        added=added,
        kept=len({each.blob for each in keys}) - added,
        changed=changed or bool(added),
        remarks=tuple(remarks),
    )


def _install(keys: Sequence[Key], root: str) -> tuple[int, list[str]]:
    """Add the keys that are not there, and keep everything that is."""
    home = below(root, HOME)
    directory = f"{home}/.ssh"
    path = f"{directory}/authorized_keys"
    remarks: list[str] = []
    _own_directory(home, 0o700, make_mode=0o700, remarks=remarks, tighten=False)
    _own_directory(directory, 0o700, make_mode=0o700, remarks=remarks, tighten=True)
    before = _own_file(path)
    there = {each.blob: each for each in known(before)}
    missing: dict[str, Key] = {}
    for each in keys:
        old = there.get(each.blob)
        if old is None:
            missing.setdefault(each.blob, each)
        elif old.options != each.options:
            remarks.append(f"A {each.type} key is there with other options, which were left as they are.")
    lines = before if not before or before.endswith("\n") else f"{before}\n"
    lines += "".join(f"{each.line}\n" for each in missing.values())
    write(path, lines, mode=0o600)
    return len(missing), remarks


def _own_directory(path: str, mode: int, *, make_mode: int, remarks: list[str], tighten: bool) -> None:
    """See to it that a directory is there, is ours and is no link; sshd trusts no keys below any other."""
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        try:
            os.makedirs(path, make_mode)
        except OSError as error:
            raise NotDone(f"Making {path}: {words(error)}. Nothing was changed.") from error
        return
    if not stat.S_ISDIR(status.st_mode):
        raise NotDone(f"{path} is {_kind(path, status)}, and no directory. Nothing was changed.")
    if status.st_uid != os.geteuid():
        raise NotDone(f"{path} belongs to user {status.st_uid}, so sshd trusts nothing in it. Nothing was changed.")
    if tighten and stat.S_IMODE(status.st_mode) != mode:
        os.chmod(path, mode)
    elif status.st_mode & 0o022:
        remarks.append(f"Others than root may write to {path}, and so sshd will not trust keys below it.")


def _own_file(path: str) -> str:
    """Give what is in a file of ours, if there is one; whoever put a link there meant another file."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise NotDone(f"{path} is {_kind(path, os.lstat(path))}: {words(error)}. It was left as it is.") from error
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise NotDone(f"{path} is {_kind(path, status)}. It was left as it is.")
    with open(descriptor, "rb") as file:
        content = file.read(LONGEST + 1)
    if len(content) > LONGEST:
        raise NotDone(f"{path} is longer than {LONGEST} bytes; that is no list of keys. It was left as it is.")
    return content.decode("utf-8", "surrogateescape")


def _kind(path: str, status: os.stat_result) -> str:
    if stat.S_ISLNK(status.st_mode):
        return f"a link to {os.readlink(path)}"
    return "no ordinary file" if not stat.S_ISREG(status.st_mode) else "a file"


def _forbid_passwords(root: str) -> bool:
    """Write the drop-in, and take it back if sshd cannot live with it. Raises NotDone."""
    path = below(root, DROP_IN)
    try:
        before: str | None = _own_file(path) if os.path.lexists(path) else None
        changed = write(path, KEYS_ONLY)
    except NotDone as error:
        raise NotDone(f"The keys are installed, but passwords are not forbidden: {error}") from error
    ran = _sshd("-t")
    if ran.status != 0:
        why = _said(ran)
        done = "The drop-in, which was there before, was left"
        if changed:
            done = "The drop-in was taken back"
            if before is None:
                remove(path)
            else:
                write(path, before)
            if not ran.error and _sshd("-t").status != 0:
                why += " (and no more so without it)"
        raise NotDone(
            f"sshd does not take its configuration with {DROP_IN}: {why}. {done}; the keys are installed, and sshd was "
            "told nothing."
        )
    return changed


def _reload() -> list[str]:
    """Have sshd read its configuration, without waiting: sshd may be waiting for us."""
    from pre_nixos.host.processes import run

    remarks = _not_in_force()
    ran = run(("systemctl", "reload-or-restart", "--no-block", "sshd"), timeout=20.0)
    if ran.status != 0:
        remarks.append(f"sshd was not told to read its configuration again: {_said(ran)}.")
    return remarks


def _not_in_force() -> list[str]:
    """Ask sshd what it would do: a drop-in that no configuration includes is read by nobody."""
    ran = _sshd("-T", "-C", "user=root,host=localhost,addr=127.0.0.1")
    if ran.status != 0:
        return [f"It could not be found out whether sshd goes by {DROP_IN}: {_said(ran)}."]
    says = {key: value for key, _, value in (each.lower().partition(" ") for each in ran.stdout.splitlines())}
    wrong = [f"{key} {says[key]}" for key, good in EFFECT.items() if key in says and says[key] not in good]
    if not wrong:
        return []
    why = "Its configuration does not include that directory, or says something else before it does."
    return [f"sshd does not go by {DROP_IN}: it says {', '.join(wrong)}. {why}"]


def _sshd(*words_: str) -> Ran:
    from pre_nixos.host.processes import run

    return run(("sshd", *words_), timeout=20.0)


def _said(ran: Ran) -> str:
    return ran.error or " ".join(ran.stderr.split()) or f"exit status {ran.status}"


def host_keys(root: str = "/") -> Sequence[tuple[str, str]]:
    """Give the type and the fingerprint of each host key, as ssh shows them to who logs in; Ed25519 first."""
    import hashlib
    from base64 import b64decode, b64encode

    directory = below(root, "/etc/ssh")
    try:
        names = os.listdir(directory)
    except OSError:
        return ()
    found: list[tuple[str, str]] = []
    for name in sorted(names, key=lambda each: ("ed25519" not in each, each)):
        if not (name.startswith("ssh_host_") and name.endswith("_key.pub")):
            continue
        for key in known(read(f"{directory}/{name}")):
            digest = hashlib.sha256(b64decode(key.blob)).digest()
            found.append((key.type.removeprefix("ssh-"), "SHA256:" + b64encode(digest).decode().rstrip("=")))
    return found
