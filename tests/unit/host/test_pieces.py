from __future__ import annotations

from pre_nixos.host.pieces import Pieces, generations


def test_bytes_over_pieces_that_follow_each_other() -> None:
    pieces = Pieces({8: b"ijkl", 0: b"abcd", 4: b"efgh", 20: b"x"})
    assert list(pieces.items()) == [(0, b"abcd"), (4, b"efgh"), (8, b"ijkl"), (20, b"x")]
    assert len(pieces) == 4
    assert pieces.at(2, 8) == b"cdefghij"
    assert pieces.at(10, 100) == b"kl"
    assert pieces.at(0, 2) == b"ab"
    assert pieces.at(12, 4) == b""
    assert pieces.at(18, 4) == b""
    assert Pieces().at(0, 4) == b""


def test_reads_that_overlap_are_one_piece() -> None:
    ((pieces, count),) = generations([(4, b"efgh"), (0, b"abcdef"), (8, b"ij"), (4, b"efgh"), (30, b"z")])
    assert (dict(pieces), count) == ({0: b"abcdefgh", 8: b"ij", 30: b"z"}, 5)


def test_what_changed_between_two_reads_is_told_apart() -> None:
    first, second = generations([(0, b"abcd"), (8, b"ij"), (2, b"XY"), (0, b"abXY")])
    assert (dict(first[0]), first[1]) == ({0: b"abcd", 8: b"ij"}, 2)
    assert (dict(second[0]), second[1]) == ({0: b"abXY", 8: b"ij"}, 2)
    assert not list(generations([]))
