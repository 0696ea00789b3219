"""Public keys as authorized_keys has them: which lines are keys that sshd will take, and which are anything else."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pre_nixos.model.data import Data

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

FIELDS = {
    "ssh-ed25519": 1,
    "ssh-rsa": 2,
    "ecdsa-sha2-nistp256": 2,
    "ecdsa-sha2-nistp384": 2,
    "ecdsa-sha2-nistp521": 2,
    "sk-ssh-ed25519@openssh.com": 2,
    "sk-ecdsa-sha2-nistp256@openssh.com": 3,
}
"""The types of key sshd takes, each with how many fields follow its name inside."""
SHORTEST_RSA = 2048
"""Bits; sshd itself draws its line at 1024, or where it is told to."""
_FLAGS = """agent-forwarding cert-authority no-agent-forwarding no-port-forwarding no-pty no-touch-required no-user-rc
no-x11-forwarding port-forwarding pty restrict user-rc verify-required x11-forwarding"""
FLAGS = frozenset(_FLAGS.split())
VALUES = frozenset(
    ["command", "environment", "expiry-time", "from", "permitlisten", "permitopen", "principals", "tunnel"]
)
_OPTION = re.compile(r'([A-Za-z0-9-]+)(="((?:[^"\\]|\\.)*)")?')
_PRIVATE = re.compile(r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY|PuTTY-User-Key-File|^b3BlbnNzaC1rZXktdjE", re.MULTILINE)


class NoKey(ValueError):
    """Text that is no public key; says why, and never what it is."""


class Key(Data):
    """One public key, with the line it was given in."""

    type: str
    blob: str
    """The key itself, in base64: what tells one from another."""
    options: str = ""
    line: str


def read_keys(text: str, *, source: str) -> Sequence[Key]:
    """Read every key in a file's text. Raises NoKey with all that is wrong, by line.

    A private key is refused whole: whoever gave one made a mistake that a second look is worth.
    """
    if _PRIVATE.search(text):
        raise NoKey(
            f"{source} holds a private key, which belongs to whoever logs in and to nobody else. Give the public one: "
            "the file beside it that ends with .pub. If others have seen it, make a new pair."
        )
    found: list[Key] = []
    problems: list[str] = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        try:
            found.append(read_key(line))
        except NoKey as error:
            problems.append(f"{source}, line {number}: {error}")
    if problems:
        raise NoKey("\n".join(problems))
    return found


def read_key(line: str) -> Key:
    """Read one line. Raises NoKey."""
    line = line.strip()
    if not line.replace("\t", " ").isprintable():
        raise NoKey("there are characters in it that nobody can see")
    if not FIELDS.keys() & set(line.split()):
        raise NoKey(f"this is no public key of a type that sshd takes ({', '.join(FIELDS)})")
    options, rest = "", line
    if line.split(None, 1)[0] not in FIELDS:
        options, rest = _options(line)
    words = rest.split(None, 2)
    if not words or words[0] not in FIELDS:
        raise NoKey("its options end where no key follows")
    if len(words) < 2:
        raise NoKey(f"the {words[0]} key itself is missing")
    _check_blob(words[0], words[1])
    return Key(type=words[0], blob=words[1], options=options, line=line)


def known(content: str) -> Iterator[Key]:
    """Give the keys in a file that is there already; what is no key in it is nobody's business here."""
    for line in content.split("\n"):
        try:
            yield read_key(line)
        except (NoKey, IndexError):
            continue


def _shown(word: str) -> str:
    """Quote a word that is meant for an option, if it looks like one; any other may be what nobody is to see."""
    return repr(word) if re.fullmatch(r"[a-z0-9-]{1,20}", word) else "what stands in front of the key"


def _options(line: str) -> tuple[str, str]:
    """Split off the options in front of a key. Raises NoKey for what sshd would not take."""
    place = 0
    while True:
        match = _OPTION.match(line, place)
        if match is None:
            raise NoKey("this is neither a public key nor the options of one")
        name, value = match[1].lower(), match[2]
        if name not in (FLAGS if value is None else VALUES):
            raise NoKey(
                f"{_shown(match[1])} is no option of a key that sshd knows"
                if name not in FLAGS | VALUES
                else f"the option {match[1]!r} takes {'no value' if value else 'a value in double quotes'}"
            )
        place = match.end()
        following = line[place : place + 1]
        if following in {" ", "\t"}:
            return line[:place], line[place:].lstrip()
        if following != ",":
            raise NoKey("its options end where no key follows")
        place += 1


def _check_blob(kind: str, text: str) -> None:
    from base64 import b64decode

    try:
        fields = _fields(b64decode(text, validate=True))
    except ValueError:
        raise NoKey(f"the {kind} key is not whole: was a part of it cut off, or a line broken?") from None
    if fields[:1] != [kind.encode()] or len(fields) != FIELDS[kind] + 1 or not all(fields):
        raise NoKey(f"this is not what a {kind} key looks like inside")
    if kind == "ssh-ed25519" and len(fields[1]) != 32:
        raise NoKey(f"this is not what a {kind} key looks like inside")
    if kind == "ssh-rsa" and (bits := int.from_bytes(fields[2], "big").bit_length()) < SHORTEST_RSA:
        raise NoKey(f"an RSA key of {bits} bits keeps nobody out; {SHORTEST_RSA} is the least")


def _fields(data: bytes) -> list[bytes]:
    """Take apart what is written as lengths with content. Raises ValueError."""
    fields: list[bytes] = []
    while data:
        length = int.from_bytes(data[:4], "big")
        if len(data) < 4 + length:
            raise ValueError("cut off")
        fields.append(data[4 : 4 + length])
        data = data[4 + length :]
    return fields
