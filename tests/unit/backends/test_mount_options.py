"""What the kernel shows of the options it was given, type by type, as it was seen to."""

from __future__ import annotations

import pytest

from pre_nixos.backends.mounts import Mount
from pre_nixos.backends.mounts.options import overruled
from pre_nixos.plugin import Replace
from tests.unit.backends.test_mounts import remounted

EXT4 = "rw,relatime"
XFS = "rw,relatime,attr2,inode64,logbufs=8,logbsize=32k,noquota"
BTRFS = "rw,relatime,ssd,space_cache=v2,subvolid=5,subvol=/"
VFAT = "rw,relatime,fmask=0022,dmask=0022,codepage=437,iocharset=iso8859-1,shortname=mixed,errors=remount-ro"


@pytest.mark.parametrize(
    ("type_", "shown", "wanted"),
    [
        (
            "ext4",
            EXT4,
            "commit=5 journal_checksum dioread_lock i_version iversion max_batch_time=15000 noquota",
        ),
        ("ext4", EXT4, "resuid=0 inode_readahead_blks=32 bsddf nogrpid sysvgroups sb=1 init_itable=10 oldalloc orlov"),
        ("ext4", EXT4, "nomand norelatime reservation acl user_xattr errors=remount-ro unheard_of unheard_of=1"),
        ("ext4", "rw,nobarrier,norecovery,grpid", "barrier=0 noload bsdgroups"),
        ("xfs", XFS.replace("noquota", "prjquota"), "pquota prjquota"),
        ("xfs", XFS.replace("noquota", "usrquota"), "uquota quota usrquota"),
        ("xfs", XFS.replace("noquota", "grpquota"), "gquota"),
        ("xfs", XFS.replace("noquota", "uqnoenforce"), "qnoenforce"),
        ("xfs", f"{XFS},allocsize=65536k", "allocsize=64m logbsize=32768 discard nogrpid sunit=0 swidth=0"),
        ("btrfs", BTRFS, "compress=no compress=none compress-force=none nossd_spread commit=30 max_inline=2k"),
        ("btrfs", BTRFS, "metadata_ratio=0 clear_cache usebackuproot noenospc_debug fatal_errors=bug inode_cache"),
        ("btrfs", f"{BTRFS},discard,max_inline=4096", "discard=sync discard max_inline=4k max_inline=8k"),
        ("btrfs", f"{BTRFS},rescue=nologreplay", "nologreplay norecovery"),
        ("btrfs", f"{BTRFS},compress=zstd:3", "compress=zstd compress=zstd:3"),
        ("btrfs", f"{BTRFS},compress-force=zstd:15", "compress-force=zstd:19"),
        ("btrfs", f"{BTRFS},compress=zlib:3", "compress compress=zlib"),
        ("btrfs", f"{BTRFS},compress=lzo", "compress=lzo"),
        ("vfat", VFAT, "utf8=0 check=n debug nonumtail=0"),
        ("vfat", f"{VFAT},utf8,check=s,nonumtail,allow_utime=0022", "utf8=1 check=strict nonumtail=1 allow_utime=022"),
        ("tmpfs", "rw,nr_inodes=1048576,size=1073741824k", "nr_inodes=1m size=1T huge=never inode32 mode=1777 uid=0"),
        ("tmpfs", "rw,size=1024k", "size=0x100000 size=1048570 size=1M size=10%"),
        ("f2fs", "rw,relatime", "compress=zstd commit=60 size=1"),
    ],
)
def test_what_the_kernel_took_is_as_wanted(type_: str, shown: str, wanted: str) -> None:
    there = Mount(at="/a", type=type_, options=tuple(shown.split(",")))
    assert [each for each in wanted.split() if Mount(at="/a", options=(each,)).mismatches(there)] == []


@pytest.mark.parametrize(
    ("type_", "shown", "wanted"),
    [
        ("ext4", EXT4, "ro noexec noatime nosuid commit=60 commit=30 discard barrier=0"),
        ("ext4", "rw,grpid,commit=60,errors=panic,inode_readahead_blks=64", "nogrpid commit=5 inode_readahead_blks=32"),
        ("xfs", XFS, "logbsize=256k logbufs=4 quota"),
        ("btrfs", f"{BTRFS},compress=zstd:1", "compress=zstd compress=no compress=lzo"),
        ("btrfs", f"{BTRFS},compress-force=zstd:3", "compress=zstd"),
        ("btrfs", BTRFS, "compress=zstd commit=60 commit=5 nodatacow autodefrag discard nossd"),
        ("vfat", VFAT, "umask=0077 fmask=0133 uid=1000 codepage=850"),
        ("tmpfs", "rw,size=1024k,mode=700,nr_inodes=10", "size=2M mode=755 mode=1777 nr_inodes=1k uid=5"),
    ],
)
def test_what_is_visibly_otherwise_is_not(type_: str, shown: str, wanted: str) -> None:
    there = Mount(at="/a", type=type_, options=tuple(shown.split(",")))
    assert [each for each in wanted.split() if not Mount(at="/a", options=(each,)).mismatches(there)] == []


def test_what_a_type_does_not_take_while_it_is_mounted_is_not_tried() -> None:
    for type_, shown, wanted in (("tmpfs", "mode=700", "mode=755"), ("xfs", "logbufs=8", "logbufs=4")):
        there = Mount(at="/mnt", root="/", type=type_, options=("rw", shown))
        assert isinstance(remounted(there, Mount(at="/", options=(wanted,))), Replace)


@pytest.mark.parametrize(
    ("options", "earlier", "lost"),
    [
        ("nodatacow,noatime", "compress=zstd,relatime", "nodatacow"),
        ("compress=zstd:1", "compress=zstd", "compress=zstd:1"),
        ("compress=zstd:3,autodefrag,ro", "compress=zstd,discard,rw", ""),
        ("compress-force=zstd,nodiscard", "compress=zstd,discard", "compress-force=zstd,nodiscard"),
        ("nodatacow,nodatasum", "compress=no,nodatasum", ""),
    ],
)
def test_what_one_filesystem_cannot_have_at_once(options: str, earlier: str, lost: str) -> None:
    assert ",".join(overruled(options.split(","), earlier.split(","))) == lost


def test_what_is_overruled_is_not_compared() -> None:
    there = Mount(at="/swap", type="btrfs", options=("rw", "compress=zstd:3"))
    swap = Mount(at="/swap", options=("nodatacow", "noexec"), overruled=("nodatacow",))
    assert swap.lacking(there) == ("noexec",)
