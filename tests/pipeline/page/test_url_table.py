"""Membership by hash is membership: every entry is found, and nothing else."""

import pytest

from decant.pipeline.page.blocklist import HashedSet, key_bytes


def halves(key: bytes) -> tuple[int, int]:
    return int.from_bytes(key[:8], "big"), int.from_bytes(key[8:], "big")


def table_of(*entries: str) -> HashedSet:
    keys = sorted(halves(key_bytes(entry)) for entry in entries)
    return HashedSet([high for high, _ in keys], [low for _, low in keys])


def test_every_entry_is_found_and_no_other_string():
    entries = [f"site{number}.com" for number in range(2_000)]
    table = table_of(*entries)
    assert len(table) == 2_000
    assert all(entry in table for entry in entries)
    assert not any(f"site{number}.org" in table for number in range(2_000))


def test_the_empty_text_is_in_no_table():
    assert "" not in table_of("", "a")


def test_an_empty_table_holds_nothing():
    assert "a" not in HashedSet([], [])


def test_strings_that_share_the_high_half_are_told_apart_by_the_low_half():
    high, low = halves(key_bytes("wanted"))
    assert "wanted" not in HashedSet([high, high], [1, 2])
    assert "wanted" in HashedSet([high, high, high], [1, low, 2])


def test_a_lone_surrogate_is_a_string_like_any_other():
    assert "\ud800" in table_of("\ud800")
    assert "\ud800" not in table_of("\ufffd")


def test_halves_of_unequal_length_are_refused():
    with pytest.raises(ValueError, match="2 high halves but 1 low"):
        HashedSet([1, 2], [1])
