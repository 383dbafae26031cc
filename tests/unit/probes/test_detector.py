"""From looks to outages: thresholds, parents, flapping, our own maintenance."""

from __future__ import annotations

from cluster.detector import CALM_S, REPEAT_S, Detector, Doing
from cluster.probes._common import Failed, Ok, Result, Unknown
from tests.unit.probes.sky import EVERY, PACE, Sky, feed, probe

GOOD, BAD = Ok(), Failed("refuses connections")


def looks(text: str) -> list[Result]:
    return [GOOD if mark == "." else BAD for mark in text]


def fed(text: str) -> list[str]:
    return feed(Detector([probe("a")], {}, 0.0), "a", looks(text))


def test_three_failed_looks_of_the_last_five_are_an_outage() -> None:
    assert fed("..xx") == []
    assert fed("..xxx") == ["+a"]
    assert fed("x.x.x") == ["+a"]


def test_failed_looks_that_lie_further_apart_are_none() -> None:
    assert fed("x..x..x..x..") == []


def test_two_good_looks_in_a_row_end_it() -> None:
    assert fed("xxx.x.x.") == ["+a"]
    assert fed("xxx.x..") == ["+a", "-a"]


def test_after_its_end_looks_are_counted_anew() -> None:
    assert fed("xxx..xx") == ["+a", "-a"]
    assert fed("xxx..xxx") == ["+a", "-a", "+a"]


def test_an_outage_began_with_its_first_failed_look() -> None:
    sky = Sky(probe("a")).passes(25.0).kill("a").passes(60.0)
    assert sky.fired["a"].began == 30.0
    assert sky.fired["a"].why == "a does not answer"


def test_nobody_can_tell_counts_as_a_failed_look_and_is_said_so() -> None:
    detector = Detector([probe("a")], {}, 0.0)
    for now in (0.0, 10.0, 20.0):
        detector.saw("a", Unknown("the token was refused"), now, now)
    (raised,) = detector.judge(20.0).raised
    assert raised.unknown
    assert raised.why == "the token was refused"


# ---- in doubt ----------------------------------------------------------------------------------------------------


def doubts(text: str) -> str:
    """After which of these looks it is in doubt: "?" or "-"."""
    detector, told = Detector([probe("a")], {}, 0.0), ""
    for place, result in enumerate(looks(text)):
        detector.saw("a", result, place * EVERY, place * EVERY)
        detector.judge(place * EVERY)
        told += "?" if detector.in_doubt("a") else "-"
    return told


def test_it_is_in_doubt_from_the_first_look_that_speaks_against_it_until_that_is_decided() -> None:
    assert doubts("..x.....") == "--?????-"  # for as long as that look counts
    assert doubts("..xxx...") == "--??-?--"
    assert doubts("xxxx.x..") == "??--?-?-"


def test_one_that_flaps_is_in_doubt_until_it_was_well_for_long_enough() -> None:
    assert doubts("xxx..xxx" + "." * 31) == "??-?-??-" + "?" * 30 + "-"


def test_what_was_raised_before_a_restart_is_in_doubt_with_its_first_good_look() -> None:
    detector = Detector([probe("a")], {"a": -500.0}, 0.0)
    assert not detector.in_doubt("a")
    detector.saw("a", GOOD, 0.0, 0.0)
    assert detector.in_doubt("a")


def test_what_our_own_run_takes_down_is_in_no_doubt() -> None:
    detector = Detector([probe("a", node="pve2")], {}, 0.0)
    detector.saw("a", BAD, 0.0, 0.0, Doing(nodes=frozenset({"pve2"})))
    assert not detector.in_doubt("a")


# ---- flapping ----------------------------------------------------------------------------------------------------


def test_a_probe_that_goes_up_and_down_without_rest_is_one_outage() -> None:
    assert fed("x.x.x.x.x.xx.x.xx.x.x.x") == ["+a"]


def test_the_second_alert_within_the_hour_must_stay_well_for_longer() -> None:
    """What would be an alert every two minutes is one that stays."""
    told = fed(("xxx" + "." * 9) * 60)
    assert told[:3] == ["+a", "-a", "+a"]
    assert "-a" not in told[3:]


def test_one_that_has_calmed_down_ends() -> None:
    quiet = "." * int(CALM_S / EVERY + 2)
    assert fed("xxx..xxx" + quiet) == ["+a", "-a", "+a", "-a"]


def test_the_alert_says_how_often_it_went_down() -> None:
    sky = Sky(probe("a")).kill("a").passes(40.0).mend("a").passes(40.0).kill("a").passes(40.0)
    assert [raised.flaps for raised in sky.raised] == [1, 2]


def test_two_outages_far_apart_do_not_flap() -> None:
    sky = Sky(probe("a")).kill("a").passes(40.0).mend("a").passes(7200.0).kill("a").passes(40.0)
    assert [raised.flaps for raised in sky.raised] == [1, 1]
    assert sky.mend("a").passes(40.0).names() == set()


# ---- parents -----------------------------------------------------------------------------------------------------


def test_one_alert_when_the_uplink_dies_with_forty_probes_behind_it() -> None:
    behind = [probe(f"p{n:02}", "uplink") for n in range(40)]
    sky = Sky(*behind, probe("uplink")).passes(100.0).kill("uplink").passes(600.0)
    assert [raised.probe.name for raised in sky.raised] == ["uplink"]
    assert len(sky.raised[0].hides) == 40


def test_a_child_that_fails_first_has_its_parent_probed_at_once() -> None:
    """The uplink's own turn comes once an hour only; its child's third failed look brings it out."""
    slow = PACE.model_copy(update={"every": 3600.0})
    sky = Sky(probe("uplink", pace=slow), probe("a", "uplink")).passes(100.0).kill("uplink").passes(30.0)
    assert sky.names() == {"uplink"}
    threshold = next(at for at, name in sky.looks if name == "uplink" and at > 0.0)
    assert threshold == [at for at, name in sky.looks if name == "a" and at > 100.0][2]


def test_a_child_is_raised_when_its_parent_answers() -> None:
    sky = Sky(probe("uplink"), probe("a", "uplink")).kill("a").passes(60.0)
    assert sky.names() == {"a"}


def test_when_only_the_parent_recovers_the_child_is_raised() -> None:
    sky = Sky(probe("uplink"), probe("a", "uplink"), probe("b", "uplink")).kill("uplink", "a").passes(300.0)
    assert sky.names() == {"uplink"}
    assert sky.mend("uplink").passes(100.0).names() == {"a"}


def test_a_child_that_comes_back_a_little_later_than_its_parent_is_not_raised() -> None:
    sky = Sky(probe("node"), probe("api", "node")).kill("node", "api").passes(300.0).mend("node").passes(30.0)
    assert sky.mend("api").passes(300.0).names() == set()
    assert [raised.probe.name for raised in sky.raised] == ["node"]


def test_one_living_parent_of_two_is_enough_to_blame_the_child() -> None:
    sky = Sky(probe("one"), probe("two"), probe("a", "one", "two")).kill("one", "a").passes(100.0)
    assert sky.names() == {"one", "a"}


def test_what_was_heard_of_itself_is_raised_although_the_usual_way_to_it_is_dead() -> None:
    """2017: the routers die, and with them the way on which the nodes are looked at; the other way tells of them."""
    sky = Sky(probe("node"), probe("router", "node")).passes(50.0).kill("node").passes(60.0)
    assert sky.names() == {"node"}
    assert sky.detector.states()["router"] == "hidden"
    sky.heard["router"] = "router-a is stopped"
    assert sky.passes(40.0).names() == {"node", "router"}
    assert sky.fired["router"].why == "router-a is stopped"
    del sky.heard["router"]
    assert sky.mend("node").passes(60.0).names() == set()


def test_what_is_heard_while_its_parents_die_is_raised_with_them() -> None:
    sky = Sky(probe("node"), probe("router", "node")).passes(50.0).kill("node")
    sky.heard["router"] = "router-a is stopped"
    assert sky.passes(30.0).names() == {"node", "router"}


def test_a_whole_chain_that_hangs_on_the_first_link_is_one_alert() -> None:
    sky = Sky(probe("c", "b"), probe("b", "a"), probe("a")).passes(50.0).kill("a").passes(200.0)
    assert [raised.probe.name for raised in sky.raised] == ["a"]
    assert sky.raised[0].hides == ("b", "c")
    assert sky.detector.states() == {"a": "down", "b": "hidden", "c": "hidden"}
    assert sky.mend("a").passes(200.0).names() == set()
    assert set(sky.detector.states().values()) == {"up"}


def test_a_parent_that_never_answers_hides_nothing() -> None:
    detector = Detector([probe("mute"), probe("a", "mute")], {}, 0.0)
    told = feed(detector, "a", looks("xxxx"))
    assert told == ["+a"]  # with the fourth look: the parent had its 3 s and 5 s more


def test_a_look_at_the_parent_from_before_the_question_does_not_count() -> None:
    detector = Detector([probe("uplink"), probe("a", "uplink")], {}, 0.0)
    for now in (0.0, 10.0, 20.0):
        detector.saw("a", BAD, now, now)
    detector.judge(20.0)
    assert detector.wanted() == ("uplink",)
    detector.saw("uplink", GOOD, 19.9, 20.1)
    assert not detector.judge(20.1)
    assert detector.wanted() == ("uplink",)
    detector.saw("uplink", BAD, 20.1, 20.2)
    assert [raised.probe.name for raised in detector.judge(20.2).raised] == ["uplink"]


# ---- our own work ------------------------------------------------------------------------------------------------

CLUSTER = [
    probe("pve2 ssh", node="pve2"),
    probe("pve2 api", "pve2 ssh", node="pve2"),
    probe("pve3 ssh", node="pve3"),
    probe("guest 101", "pve2 api", guest=101),
    probe("gluster", "pve3 ssh", storage=True),
]


def test_our_reboot_of_a_node_is_no_outage_and_another_node_that_dies_meanwhile_is() -> None:
    sky = Sky(*CLUSTER).passes(100.0)
    sky.doing = Doing(nodes=frozenset({"pve2"}))
    sky.kill("pve2 ssh", "pve2 api", "pve3 ssh").passes(300.0)
    assert sky.names() == {"pve3 ssh"}
    sky.mend("pve2 ssh", "pve2 api", "pve3 ssh").passes(60.0)
    sky.doing = Doing()
    assert sky.passes(300.0).names() == set()
    assert len(sky.raised) == 1


def test_what_hangs_on_a_node_that_we_reboot_is_not_raised_either() -> None:
    sky = Sky(*CLUSTER).passes(100.0)
    sky.doing = Doing(nodes=frozenset({"pve2"}))
    assert sky.kill("pve2 ssh", "pve2 api", "guest 101").passes(300.0).names() == set()
    sky.doing = Doing()
    assert sky.mend("pve2 ssh", "pve2 api").passes(100.0).names() == {"guest 101"}


def test_a_node_that_does_not_come_back_is_raised_once_it_is_no_longer_our_doing() -> None:
    sky = Sky(*CLUSTER).passes(100.0)
    sky.doing = Doing(nodes=frozenset({"pve2"}))
    sky.kill("pve2 ssh").passes(1800.0)
    sky.doing = Doing()
    assert sky.passes(19.0).names() == set()
    assert sky.passes(20.0).names() == {"pve2 ssh"}


def test_guests_that_we_move_or_stop_and_the_storage_that_heals_are_no_outage() -> None:
    sky = Sky(*CLUSTER).passes(100.0)
    sky.doing = Doing(guests=frozenset({101}), storage=True)
    assert sky.kill("guest 101", "gluster").passes(600.0).names() == set()


def test_what_was_raised_before_we_began_stays_raised() -> None:
    sky = Sky(*CLUSTER).kill("pve2 ssh").passes(100.0)
    sky.doing = Doing(nodes=frozenset({"pve2"}))
    assert sky.passes(100.0).names() == {"pve2 ssh"}
    assert sky.mend("pve2 ssh").passes(100.0).names() == set()


# ---- restarts, repeats -------------------------------------------------------------------------------------------


def test_after_a_restart_an_open_alert_is_not_raised_again_and_ends_when_it_is_well() -> None:
    sky = Sky(probe("a"), standing={"a": -500.0})
    sky.fired["a"] = None  # type: ignore[assignment]
    sky.kill("a").passes(300.0)
    assert sky.raised == []
    assert sky.mend("a").passes(100.0).names() == set()


def test_what_stays_down_is_told_again() -> None:
    sky = Sky(probe("a")).kill("a").passes(REPEAT_S * 2 + 100.0)
    assert [raised.began for raised in sky.raised] == [0.0, 0.0, 0.0]
