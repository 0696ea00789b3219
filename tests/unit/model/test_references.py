"""What a reference to the content of a device means."""

from __future__ import annotations

from pre_nixos.model.device import BlockDevice
from pre_nixos.model.identity import Found, Ref, resolve
from pre_nixos.model.layer import Disk, Layer, Name


class Content(Layer, tag="test.content"):
    type: str
    uuid: str = ""

    @property
    def segment(self) -> str:
        return self.type

    def explains(self) -> frozenset[str]:
        return frozenset({self.type})


class Part(Layer, tag="test.part"):
    part_of = "test.content"
    name: Name[str]


class Use(Layer, tag="test.use"):
    ephemeral = True


def disk(number: str) -> Found:
    return Found(Disk(device=BlockDevice(name=number, number=number, size=1, wwn=f"wwn-{number}")))


A, B = disk("8:0"), disk("8:16")
EXT4 = Found(Content(type="ext4"), on=["8:0"])
SWAP = Found(Content(type="swap"), on=["8:0"])
TREE = Found(Content(type="btrfs", uuid="u-1"), on=["8:0", "8:16"])


def supports(*found: Found, ref: Ref) -> tuple[str, ...]:
    """What a use that refers so stands on; the order of what was found must not matter."""
    use = Found(Use(), on=[ref])
    answers = {graph.on(graph.of(Use)[0].id) for graph in (resolve([use, *found]), resolve([*reversed(found), use]))}
    assert len(answers) == 1
    return answers.pop()


def test_content_is_known_by_its_signature() -> None:
    assert supports(A, EXT4, SWAP, ref=Ref(number="8:0", content="swap")) == ("disk:wwn-8:0/swap",)


def test_a_device_without_content_is_meant_itself() -> None:
    assert supports(A, B, EXT4, ref=Ref(number="8:16", content="ext4")) == ("disk:wwn-8:16",)


def test_the_only_content_is_meant_whatever_the_kernel_calls_it() -> None:
    assert supports(A, EXT4, ref=Ref(number="8:0", content="ext3")) == ("disk:wwn-8:0/ext4",)


def test_of_several_that_do_not_fit_none_is_guessed() -> None:
    assert supports(A, EXT4, SWAP, ref=Ref(number="8:0", content="xfs")) == ("disk:wwn-8:0",)


def test_content_over_several_devices_is_found_from_each() -> None:
    assert supports(A, B, TREE, ref=Ref(number="8:16", content="btrfs")) == ("test.content:btrfs",)


def test_a_part_is_found_by_its_name_however_it_refers_to_its_container() -> None:
    for on in (Ref(kind="test.content", uuid="u-1"), Ref(number="8:0", content="btrfs")):
        part = Found(Part(name="@home"), on=[on])
        wanted = Ref(number="8:16", content="btrfs", name="@home")
        assert supports(A, B, TREE, part, ref=wanted) == ("test.content:btrfs/@home",)


def test_a_name_that_no_part_has_means_the_whole() -> None:
    part = Found(Part(name="@home"), on=[Ref(kind="test.content", uuid="u-1")])
    wanted = Ref(number="8:0", content="btrfs", name="@")
    assert supports(A, B, TREE, part, ref=wanted) == ("test.content:btrfs",)


def test_a_use_is_no_content() -> None:
    other = Found(Use(), on=["8:0"])
    graph = resolve([A, other, EXT4, Found(Use(), on=[Ref(number="8:0", content="ext4")])])
    assert graph.standing_on("disk:wwn-8:0/ext4") == ["disk:wwn-8:0/ext4/test.use"]
