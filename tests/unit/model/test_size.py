from __future__ import annotations

import pytest

from pre_nixos.model.size import Exact, Rest, Share, as_size, exact_bytes, human, parse_bytes, parse_size


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("50GiB", Exact(bytes=50 * 2**30)),
        ("50G", Exact(bytes=50 * 2**30)),
        ("400GB", Exact(bytes=400 * 10**9)),
        ("512", Exact(bytes=512)),
        ("1.5 TiB", Exact(bytes=3 * 2**39)),
        ("20%", Share(percent=20)),
        ("100%", Rest()),
        ("rest", Rest()),
    ],
)
def test_sizes_as_people_write_them(text: str, size: object) -> None:
    assert parse_size(text) == size
    assert as_size(text) == size


@pytest.mark.parametrize("text", ["", "big", "-1G", "0%", "101%", "5 bananas", "1e9"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(ValueError, match="is not a"):
        parse_size(text)


@pytest.mark.parametrize(
    ("count", "said"), [(0, "0 B"), (2**30, "1 GiB"), (500107862016, "465.8 GiB"), (2**51, "2 PiB")]
)
def test_sizes_as_people_say_them(count: int, said: str) -> None:
    assert human(count) == said
    assert parse_bytes("1G") == 2**30


def test_an_unresolved_size_has_no_bytes() -> None:
    assert exact_bytes(Exact(bytes=7)) == 7
    with pytest.raises(TypeError, match="never resolved"):
        exact_bytes(Rest())
