"""Which way is taken, when a better one is gone back to, and what a failure alone changes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cluster.routes import Face, Routes, Standing, failed, in_order, worked

BACK_AFTER = 180.0


def routes(*ways: str) -> Routes:
    return Routes(ways or ("direct", "lte", "vpn"), BACK_AFTER)


def order(made: Routes, node: str = "pve1") -> list[str]:
    return made.order(node, Face.SSH)


def test_the_order_of_the_settings_is_taken_as_long_as_nothing_failed() -> None:
    assert order(routes()) == ["direct", "lte", "vpn"]


def test_a_way_that_failed_while_a_later_one_worked_is_passed_over() -> None:
    made = routes()
    made.used("pve1", Face.SSH, "lte", ["direct"], 0.0)
    assert order(made) == ["lte", "vpn", "direct"]


def test_only_that_node_and_that_face_go_another_way() -> None:
    made = routes()
    made.used("pve1", Face.SSH, "lte", ["direct"], 0.0)
    assert order(made, "pve2") == made.order("pve1", Face.API) == ["direct", "lte", "vpn"]


def test_a_node_that_is_down_changes_no_order() -> None:
    made = routes()
    made.told("pve1", Face.SSH, [], ["direct", "lte", "vpn"], 0.0)
    assert order(made) == ["direct", "lte", "vpn"]


def test_a_node_that_comes_up_between_two_tries_puts_no_blame_on_the_first_way() -> None:
    """Every way had failed a moment ago. A way that is dead fails again, and is passed over then."""
    made = routes()
    made.told("pve1", Face.SSH, [], ["direct", "lte", "vpn"], 0.0)
    made.used("pve1", Face.SSH, "lte", ["direct"], 5.0)
    assert order(made) == ["direct", "lte", "vpn"]
    made.used("pve1", Face.SSH, "lte", ["direct"], 10.0)
    assert order(made) == ["lte", "vpn", "direct"]


def test_a_better_way_is_gone_back_to_only_when_it_has_worked_for_a_while() -> None:
    made = routes()
    made.used("pve1", Face.SSH, "lte", ["direct"], 0.0)
    for minute in (1, 2, 3):
        made.told("pve1", Face.SSH, ["direct", "lte"], [], minute * 60.0)
        assert order(made)[0] == "lte"
    made.told("pve1", Face.SSH, ["direct", "lte"], [], 240.0)
    assert order(made)[0] == "direct"


def test_a_way_that_flaps_begins_its_while_anew() -> None:
    made = routes()
    made.used("pve1", Face.SSH, "lte", ["direct"], 0.0)
    made.told("pve1", Face.SSH, ["direct", "lte"], [], 60.0)
    made.told("pve1", Face.SSH, ["lte"], ["direct"], 120.0)
    made.told("pve1", Face.SSH, ["direct", "lte"], [], 180.0)
    made.told("pve1", Face.SSH, ["direct", "lte"], [], 300.0)
    assert order(made)[0] == "lte"
    made.told("pve1", Face.SSH, ["direct", "lte"], [], 360.0)
    assert order(made)[0] == "direct"


def test_a_detour_is_told_for_as_long_as_it_is_one() -> None:
    made = routes()
    assert made.detours() == {}
    made.used("pve1", Face.SSH, "lte", ["direct"], 0.0)
    assert made.detours() == {"pve1": "lte"}
    made.used("pve1", Face.SSH, "direct", [], 300.0)
    assert made.detours() == {}


def test_what_is_cut_for_a_drill_is_not_taken_at_all() -> None:
    made = routes()
    made.cut(["direct"])
    assert order(made) == ["lte", "vpn"]
    made.cut([])
    assert order(made) == ["direct", "lte", "vpn"]


@given(st.lists(st.tuples(st.sampled_from(["good", "bad", "bad alone"]), st.floats(0.1, 100)), max_size=30))
def test_whatever_happened_a_way_is_first_again_only_after_that_while_without_a_failure(
    story: list[tuple[str, float]],
) -> None:
    standing, now, last_bad = Standing(), 0.0, None
    for what, seconds in story:
        now += seconds
        before = standing
        if what == "good":
            standing = worked(standing, now, BACK_AFTER)
        else:
            standing = failed(standing, another_worked=what == "bad")
            last_bad = now
        if before.passed_over and not standing.passed_over:
            assert last_bad is not None
            assert now - last_bad >= BACK_AFTER
        assert in_order(["direct", "lte"], {"direct": standing})[0] == ("lte" if standing.passed_over else "direct")
