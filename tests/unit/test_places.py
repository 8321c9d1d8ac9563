"""Places: how many connections there are, in all and from each address."""

from __future__ import annotations

from typing import Any

import pytest

from tornadoish.tcpserver.places import Places


@pytest.mark.parametrize(
    ("address", "others", "same"),
    [
        (("192.0.2.1", 1), [("192.0.2.2", 1)], [("192.0.2.1", 2), ("::ffff:192.0.2.1", 1, 0, 0)]),
        (
            ("2001:db8::1", 1, 0, 0),
            [("2001:db8:0:1::1", 1, 0, 0), ("192.0.2.1", 1)],
            [("2001:db8::ffff:1", 1, 0, 0), ("2001:db8:0:0:ffff:ffff:ffff:ffff", 1)],
        ),
        (("fe80::1%eth0", 1, 0, 2), [("fe80:1::1", 1, 0, 0)], [("fe80::2%eth1", 1, 0, 3)]),
        (("::ffff:192.0.2.1", 1, 0, 0), [("::ffff:192.0.2.2", 1, 0, 0)], [("192.0.2.1", 1)]),
    ],
)  # fmt: skip
def test_what_one_address_is(address: Any, others: list[Any], same: list[Any]) -> None:
    places = Places(1, lambda: None)
    first = places.take()
    assert first.belongs_to(address)
    for other in others:
        assert places.take().belongs_to(other)
    for again in same:
        place = places.take()
        assert not place.belongs_to(again)
        place.leave()
    first.leave()
    assert places.take().belongs_to(same[0])


@pytest.mark.parametrize("address", ["", "/socket", b"\0abstract", None, ("", 0)])
def test_who_has_no_address_is_not_counted(address: Any) -> None:
    places = Places(1, lambda: None)
    taken = [places.take() for _ in range(3)]
    assert all(place.belongs_to(address) for place in taken)
    assert places.taken == 3


def test_leaving() -> None:
    changes: list[int] = []
    places = Places(None, lambda: changes.append(places.taken))
    first, second, third = (places.take() for _ in range(3))
    assert first.belongs_to(("192.0.2.1", 1)) and second.belongs_to(("192.0.2.1", 2))
    assert places.taken == 3 and places._by_address == {"192.0.2.1": 2}
    first.leave()
    first.leave()
    assert first.belongs_to(("192.0.2.1", 1)), "too late, and nothing comes of it"
    assert places.taken == 2 and places._by_address == {"192.0.2.1": 1}
    second.leave()
    third.leave()
    assert places.taken == 0 and places._by_address == {}, "nothing grows with the peers"
    assert changes == [2, 1, 0]
