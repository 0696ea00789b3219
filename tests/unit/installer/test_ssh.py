"""ssh: who is let in, what is kept, and that a configuration sshd cannot live with is taken back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pre_nixos.installer.files import NotDone
from pre_nixos.installer.ssh import host_keys, let_in
from tests.unit.installer.bench import KEY, OTHER, called, only_stand_ins, program

if TYPE_CHECKING:
    from pathlib import Path

DROP_IN = "etc/ssh/sshd_config.d/10-pre-nixos.conf"
KEYS = "root/.ssh/authorized_keys"
IN_FORCE = """permitrootlogin without-password
pubkeyauthentication yes
passwordauthentication no
kbdinteractiveauthentication no"""
GOES_BY_IT = f'[ "$1" = -t ] || cat <<END\n{IN_FORCE}\nEND'
RELOAD = "systemctl reload-or-restart --no-block sshd"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    only_stand_ins(tmp_path, monkeypatch)
    program(tmp_path, "sshd", f"PATH=/usr/bin:/bin\n{GOES_BY_IT}")
    program(tmp_path, "systemctl", "exit 0")
    (tmp_path / "root").mkdir(mode=0o700)
    return tmp_path


def mode(path: Path) -> int:
    return path.lstat().st_mode & 0o777


def test_a_key_is_installed_passwords_are_forbidden_and_sshd_is_told_without_waiting(root: Path) -> None:
    done = let_in({"k": f"{KEY} me\n"}, str(root))
    assert (done.added, done.kept, done.changed, done.remarks) == (1, 0, True, ())
    assert (root / KEYS).read_text() == f"{KEY} me\n"
    assert (mode(root / "root/.ssh"), mode(root / KEYS)) == (0o700, 0o600)
    drop_in = (root / DROP_IN).read_text()
    assert "PasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin prohibit-password\n" in drop_in
    assert called(root) == ["sshd -t", "sshd -T -C user=root,host=localhost,addr=127.0.0.1", RELOAD]


def test_a_second_run_changes_no_file_and_tells_sshd_again(root: Path) -> None:
    let_in({"k": KEY}, str(root))
    before = [(root / each).stat().st_mtime_ns for each in (KEYS, DROP_IN)]
    done = let_in({"k": f"{KEY} another comment"}, str(root))
    assert (done.added, done.kept, done.changed) == (0, 1, False)
    assert [(root / each).stat().st_mtime_ns for each in (KEYS, DROP_IN)] == before
    assert called(root)[-1] == RELOAD


def test_what_is_there_is_kept_to_the_byte_and_modes_are_put_right(root: Path) -> None:
    folder = root / "root/.ssh"
    folder.mkdir(mode=0o755)
    there = f'# mine\nfrom="10.0.0.1" {OTHER} a\nnonsense \xe9\n\n'.encode("latin-1")
    (folder / "authorized_keys").write_bytes(there.rstrip(b"\n"))
    (folder / "authorized_keys").chmod(0o644)
    done = let_in({"k": f"{KEY}\n{OTHER}\n{KEY}\n"}, str(root))
    assert (done.added, done.kept) == (1, 1)
    assert (root / KEYS).read_bytes() == there.rstrip(b"\n") + b"\n" + KEY.encode() + b"\n"
    assert any("other options" in each for each in done.remarks)
    assert (mode(folder), mode(root / KEYS)) == (0o700, 0o600)


@pytest.mark.parametrize(
    "text",
    ["-----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl\n", "nonsense", "", "# nothing\n", f"{KEY}\nssh-rsa AAAA\n"],
)
def test_what_is_no_key_changes_nothing(root: Path, text: str) -> None:
    with pytest.raises(NotDone, match="Nothing was changed"):
        let_in({"good": KEY, "bad": text} if "A" in text else {"bad": text}, str(root))
    assert not (root / "root/.ssh").exists()
    assert not (root / DROP_IN).exists()
    assert called(root) == []


def test_keys_are_not_written_through_a_link(root: Path) -> None:
    folder = root / "root/.ssh"
    folder.mkdir(mode=0o700)
    victim = root / "victim"
    victim.write_text("precious")
    (folder / "authorized_keys").symlink_to(victim)
    with pytest.raises(NotDone, match=r"is a link to .*victim"):
        let_in({"k": KEY}, str(root))
    assert victim.read_text() == "precious"
    assert (root / KEYS).is_symlink()
    assert not (root / DROP_IN).exists()


def test_nor_into_a_directory_behind_a_link(root: Path) -> None:
    elsewhere = root / "elsewhere"
    elsewhere.mkdir()
    (root / "root/.ssh").symlink_to(elsewhere)
    with pytest.raises(NotDone, match=r"is a link to .*elsewhere, and no directory"):
        let_in({"k": KEY}, str(root))
    assert list(elsewhere.iterdir()) == []


@pytest.mark.parametrize("what", ["fifo", "directory"])
def test_nor_to_anything_but_a_file(root: Path, what: str) -> None:
    import os

    folder = root / "root/.ssh"
    folder.mkdir(mode=0o700)
    path = folder / "authorized_keys"
    os.mkfifo(path) if what == "fifo" else path.mkdir()
    with pytest.raises(NotDone, match="left as it is"):
        let_in({"k": KEY}, str(root))


def test_a_home_that_others_may_write_to_is_said(root: Path) -> None:
    (root / "root").chmod(0o777)
    assert any("sshd will not trust" in each for each in let_in({"k": KEY}, str(root)).remarks)


REFUSES = f'echo "line 3: Bad option" >&2\n[ "$1" = -t ] && [ -e {{}}/{DROP_IN} ] && exit 255\nexit 0'


def test_a_drop_in_that_sshd_refuses_is_taken_back(root: Path) -> None:
    program(root, "sshd", REFUSES.format(root))
    with pytest.raises(NotDone, match=r"line 3: Bad option\. The drop-in was taken back; the keys are installed"):
        let_in({"k": KEY}, str(root))
    assert not (root / DROP_IN).exists()
    assert (root / KEYS).exists()
    assert RELOAD not in called(root)


def test_what_was_there_comes_back(root: Path) -> None:
    (root / "etc/ssh/sshd_config.d").mkdir(parents=True)
    (root / DROP_IN).write_text("X11Forwarding no\n")
    program(root, "sshd", "exit 255")
    with pytest.raises(NotDone, match="no more so without it"):
        let_in({"k": KEY}, str(root))
    assert (root / DROP_IN).read_text() == "X11Forwarding no\n"


def test_without_sshd_nothing_is_left_half_done(root: Path) -> None:
    (root / "bin/sshd").unlink()
    with pytest.raises(NotDone, match=r"missing\. The drop-in was taken back"):
        let_in({"k": KEY}, str(root))
    assert not (root / DROP_IN).exists()


def test_an_sshd_that_reads_no_drop_ins_is_found_out(root: Path) -> None:
    program(
        root,
        "sshd",
        f"PATH=/usr/bin:/bin\n{GOES_BY_IT.replace('passwordauthentication no', 'passwordauthentication yes')}",
    )
    done = let_in({"k": KEY}, str(root))
    assert any("passwordauthentication yes" in each for each in done.remarks)
    assert called(root)[-1] == RELOAD


def test_an_sshd_that_cannot_be_told_is_said(root: Path) -> None:
    program(root, "systemctl", "echo no such unit >&2; exit 5")
    (remark,) = let_in({"k": KEY}, str(root)).remarks
    assert "sshd was not told to read its configuration again: no such unit" in remark


def test_a_host_key_is_known_by_what_ssh_shows(root: Path) -> None:
    import subprocess

    folder = root / "etc/ssh"
    folder.mkdir(parents=True)
    for kind in ("rsa", "ed25519"):
        path = folder / f"ssh_host_{kind}_key"
        subprocess.run(["ssh-keygen", "-q", "-N", "", "-t", kind, "-f", str(path)], check=True)
    (folder / "ssh_host_ecdsa_key.pub").write_text("torn")
    (first, fingerprint), (second, _) = host_keys(str(root))
    assert (first, second) == ("ed25519", "rsa")
    shown = subprocess.run(
        ["ssh-keygen", "-lf", str(folder / "ssh_host_ed25519_key.pub")], capture_output=True, check=True
    )
    assert fingerprint in shown.stdout.decode()
