"""A router's rules are a list that anybody may change, from one request to the next."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest
from routers import A, B, C, asking, recording, rule

from tornadoish import routing
from tornadoish.routing import AnyMatches, Rule, RuleRouter

Change = Callable[[Any], object]


def replace_by_slice(router: RuleRouter) -> None:
    router.rules = router.rules[1:]


def replace_by_nothing(router: RuleRouter) -> None:
    router.rules = []


def replace_item(router: RuleRouter) -> None:
    router.rules[0] = rule("/a", C)


def replace_slice(router: RuleRouter) -> None:
    router.rules[0:1] = [rule("/a", C), rule("/c", C)]


def delete_item(router: RuleRouter) -> None:
    del router.rules[0]


def delete_slice(router: RuleRouter) -> None:
    del router.rules[:]


def add_in_place(router: RuleRouter) -> None:
    router.rules += [rule("/c", C)]


def multiply_in_place(router: RuleRouter) -> None:
    router.rules *= 0


def fail_half_way(router: RuleRouter) -> None:
    def half() -> Iterator[Rule]:
        yield rule("/c", C)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        router.rules.extend(half())


CHANGES: list[tuple[Change, dict[str, object]]] = [
    (lambda router: router.rules.append(rule("/c", C)), {"/c": C}),
    (lambda router: router.rules.extend([rule("/c", C)]), {"/c": C}),
    (lambda router: router.rules.insert(0, rule("/a", C)), {"/a": C}),
    (lambda router: router.rules.insert(-1, rule("/.*", C)), {"/b": C, "/c": C}),
    (lambda router: router.rules.remove(router.rules[0]), {"/a": None}),
    (lambda router: router.rules.pop(), {"/b": None}),
    (lambda router: router.rules.clear(), {"/a": None, "/b": None}),
    (lambda router: router.rules.__init__([rule("/c", C)]), {"/a": None, "/b": None, "/c": C}),
    (lambda router: router.add_rules([("/c", C)]), {"/c": C}),
    (fail_half_way, {"/c": C}),
    (replace_by_slice, {"/a": None}),
    (replace_by_nothing, {"/a": None, "/b": None}),
    (replace_item, {"/a": C}),
    (replace_slice, {"/a": C, "/c": C}),
    (delete_item, {"/a": None}),
    (delete_slice, {"/a": None, "/b": None}),
    (add_in_place, {"/c": C}),
    (multiply_in_place, {"/a": None, "/b": None}),
]


@pytest.mark.parametrize(("change", "changed"), CHANGES)
def test_a_change_counts_from_the_next_request(
    tornado_or_ours: ModuleType, change: Change, changed: dict[str, object]
) -> None:
    router = recording(tornado_or_ours)([("/a", A), ("/b", B)])
    expected: dict[str, object] = {"/a": A, "/b": B, "/c": None}

    def found() -> dict[str, object]:
        targets = {path: router.find_handler(asking(path)) for path in expected}
        return {path: target and target[0] for path, target in targets.items()}

    assert found() == expected
    change(router)
    assert found() == {**expected, **changed}


@pytest.mark.parametrize(
    "reorder",
    [lambda rules: rules.reverse(), lambda rules: rules.sort(key=lambda rule: rule.target.name)],
)
def test_a_new_order_counts(tornado_or_ours: ModuleType, reorder: Change) -> None:
    router = recording(tornado_or_ours)([("/a.*", B), ("/a", A)])
    assert router.find_handler(asking("/a")) == (B, {})
    reorder(router.rules)
    assert router.find_handler(asking("/a")) == (A, {})


def test_the_rules_remain_a_list(tornado_or_ours: ModuleType) -> None:
    router = recording(tornado_or_ours)([("/a", A), ("/b", B)])
    router.find_handler(asking("/a"))
    assert isinstance(router.rules, list)
    assert router.rules.index(router.rules[1]) == 1
    assert [rule.target for rule in router.rules[1:] + router.rules[:1]] == [B, A]
    kept = router.rules
    router.rules = []
    router.add_rules([("/a", C)])
    router.rules.extend(kept)
    assert [rule.target for rule in router.rules] == [C, A, B]
    assert router.find_handler(asking("/a")) == (C, {})
    assert router.find_handler(asking("/b")) == (B, {})


def test_two_routers_may_share_one_list(tornado_or_ours: ModuleType) -> None:
    one, two = recording(tornado_or_ours)([("/a", A)]), recording(tornado_or_ours)()
    two.rules = one.rules
    assert two.find_handler(asking("/a")) == (A, {})
    one.add_rules([("/b", B)])
    assert two.find_handler(asking("/b")) == (B, {})


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_a_copy_of_the_rules_is_a_list_of_its_own(copied: Callable[[Any], Any]) -> None:
    router = RuleRouter([("/a", AnyMatches)])
    router.find_handler(asking("/b"))
    rules = copied(router.rules)
    rules.append(rule("/b", C))
    assert len(router.rules) == 1
    other = recording(routing)()
    other.rules = rules
    assert other.find_handler(asking("/a")) == (AnyMatches, {})
    assert other.find_handler(asking("/b"))[1] == {}


def test_targets_of_rules_in_use_may_change(tornado_or_ours: ModuleType) -> None:
    router = recording(tornado_or_ours)([("/a", A)])
    assert router.find_handler(asking("/a")) == (A, {})
    router.rules[0].target = B
    router.rules[0].target_kwargs = {"k": 1}
    assert router.find_handler(asking("/a")) == (B, {"target_kwargs": {"k": 1}})
