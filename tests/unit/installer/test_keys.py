"""Public keys: those that sshd takes, and everything else that people paste."""

from __future__ import annotations

import subprocess
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as some

from pre_nixos.installer.keys import NoKey, read_key, read_keys
from tests.unit.installer.bench import KEY, OTHER

if TYPE_CHECKING:
    from pathlib import Path

RSA = (
    "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQDiFDegCwEqW+Jt+Lhmp5WKGZzef0d0oJQ4UXDYmOrgdjOX12L6nqFY9qqmn13X"
    "VoOhE0RXEUOAKQkb9YrIUY7+6G1tqe1GVk/65jc/kt6BxShYwr7w/8lJqN7EL9P6scsYOae/ONmhVKL7vkDnyS4q447aILTTsGq3"
    "yO2YkcnCxfuysbqdyDKsqiHznLivM7cK9AGcGAwW0hUR1lDeEsLj9NBZY9R0YOynfOGYgkdW7UIlBSceuGErCG/wcU02jZECeVbV"
    "0cGOc6dXo+CFL1876yDjn+I+4PhWt867JCBOjAr3cTmrhvumJvWWXf8YfU+JlM9PErJ/7HYn6zMKWqfv"
)
ECDSA = (
    "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBMsqMiZt+hfsqrOhz3FEV+W9SE0B"
    "EQDAIwDizy1pdD1OTA9OUhyHTSJYMV/Kg0bANcHTVhZ3XmVL4Hh5cXVgHWE="
)
SHORT_RSA = (
    "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQDRxj5fHoJ8dZDo+kxQJAnkOIKC6DDQa6NLkJ/Zh/Nb00oVgwH7x0QJMC5xeCK0"
    "C4dtErkDvZ12uarxK74GhybOT7MsTSkK4DK7Kt2njSdCqPQTUqs0Dgqx8tWNCbdwImccd+UphP9Mmj89JWJ+9oh3Jagc2RfPXoVW"
    "RwQRY6OANQ=="
)

GOOD = [
    KEY,
    RSA,
    ECDSA,
    f"{KEY} somebody@some.where with spaces",
    f"  {KEY}\t",
    f'from="10.0.0.0/8,!10.1.2.3" {KEY} x',
    f'restrict,pty,command="echo \\"a b\\", c" {KEY}',
    f'environment="A=b c",no-pty {KEY}',
    f"cert-authority {KEY}",
]
BAD = [
    ("hello", "no public key"),
    ("ssh-ed25519", "key itself is missing"),
    ("ssh-ed25519 AAAA", "not whole"),
    ("ssh-ed25519 !!!!", "not whole"),
    (KEY[:-8], "not whole"),
    (KEY.replace("ssh-ed25519 ", "ssh-rsa "), "not what a ssh-rsa key looks like"),
    (KEY.replace(" ", "", 1), "no public key"),
    ("ssh-dss AAAAB3NzaC1kc3MAAACB", "no public key"),
    (SHORT_RSA, "1024 bits"),
    (f'frm="10.0.0.1" {KEY}', "'frm' is no option"),
    (f"AGE-SECRET-KEY-1QQQ,pty {KEY}", "what stands in front of the key is no option"),
    (f"from=10.0.0.1 {KEY}", "takes a value in double quotes"),
    (f'restrict="x" {KEY}', "takes no value"),
    (f'from="10.0.0.1 {KEY}', "value in double quotes|neither"),
    (f'from="10.0.0.1"{KEY}', "no public key"),
    (f'from="10.0.0.1"{KEY} ssh-rsa', "options end"),
    ('from="10.0.0.1" ', "options end|no public key"),
    (f"{KEY} a\x1b[2Jb", "nobody can see"),
    ("-----BEGIN CERTIFICATE-----", "no public key"),
    ("<html>", "no public key"),
]


@pytest.mark.parametrize("line", GOOD)
def test_a_key_is_a_key(line: str) -> None:
    key = read_key(line)
    assert f"{key.type} {key.blob}" in {KEY, RSA, ECDSA}
    assert key.line == line.strip()


@pytest.mark.parametrize(("line", "why"), BAD)
def test_what_is_no_key_is_refused_with_its_line_and_the_reason(line: str, why: str) -> None:
    with pytest.raises(NoKey, match=rf"^keys, line 2: .*({why})"):
        read_keys(f"# mine\n{line}\n", source="keys")


def test_everything_that_is_wrong_is_said_at_once_and_no_key_is_repeated() -> None:
    with pytest.raises(NoKey) as caught:
        read_keys(f"{KEY}\nnonsense\n{KEY[:-8]}\n", source="keys")
    assert [each.partition(":")[0] for each in str(caught.value).splitlines()] == ["keys, line 2", "keys, line 3"]
    assert KEY[20:40] not in str(caught.value)


@pytest.mark.parametrize(
    "kind", [("ed25519",), ("rsa", "-b", "2048"), ("rsa", "-b", "2048", "-m", "PEM"), ("ecdsa", "-m", "PKCS8")]
)
def test_a_private_key_is_refused_and_not_repeated(kind: tuple[str, ...], tmp_path: Path) -> None:
    path = tmp_path / "id"
    subprocess.run(["ssh-keygen", "-q", "-N", "", "-f", str(path), "-t", *kind], check=True, stdin=subprocess.DEVNULL)
    private = path.read_text()
    for text in (private, f"{KEY}\n{private}", private.splitlines()[1] if kind == ("ed25519",) else private):
        with pytest.raises(NoKey, match="holds a private key") as caught:
            read_keys(text, source="id")
        assert private.splitlines()[1][:20] not in str(caught.value)
    assert read_keys(path.with_suffix(".pub").read_text(), source="id.pub")


def test_comments_empty_lines_and_foreign_line_ends_are_no_keys() -> None:
    found = read_keys(f"\r\n# {OTHER}\r\n\r\n{KEY}\r\n   \n", source="x")
    assert [each.line for each in found] == [KEY]


@given(some.text())
def test_garbage_is_a_complaint_or_nothing(text: str) -> None:
    with suppress(NoKey):
        assert read_keys(text, source="x") == []
