"""Runs of router2 that ended and runs that did not, as their logs told, and a log that is read while it grows."""

import pytest

from taylorvit.fpga.flow.router_progress import RouterLog, why_stuck

#: Wires in conflict after each pass of builds that could be routed.
ROUTED = {
    "ulx3s-25f": """
        21402 12845 7951 4869 3099 2128 1510 1117 850 639 542 440 326 274 230 182 143 111 84 72 59 46 35 28 18 15 12
        14 10 8 4 5 4 4 3 3 3 0
    """,
    "ulx3s-85f": """
        36855 20591 12643 7047 4449 2851 1850 1159 879 639 472 340 254 180 152 109 91 79 52 45 33 31 22 19 15 8 5 1
        1 1 1 1 1 1 1 1 1 1 1 0
    """,
    "orangecrab-85f-mnist5k": """
        49336 26104 15429 9497 6249 4364 3230 2386 1733 1370 1043 743 584 415 345 286 238 231 155 113 72 60 43 29 27
        22 24 24 19 19 18 12 8 7 9 5 3 2 2 2 2 2 2 2 2 1 1 1 1 1 1 1 1 1 0
    """,
    "ulx3s-85f-deit-tiny": """
        74890 43456 27106 17309 11740 8315 5986 4391 3296 2475 2001 1575 1282 1016 817 647 520 409 339 297 242 201
        165 155 137 120 125 104 88 82 72 78 84 75 75 74 59 57 54 54 52 51 45 37 33 23 19 18 18 15 16 15 14 13 17 19
        23 23 16 14 12 11 8 7 8 10 9 9 12 9 6 9 5 7 9 14 6 5 2 2 2 2 3 3 2 1 1 1 1 1 1 1 1 2 1 4 2 1 1 1 2 4 2 4 3 2
        2 1 1 1 1 1 1 1 1 1 1 1 1 1 1 2 1 1 1 1 4 5 4 3 1 1 0
    """,
}
#: Those of builds that were given up by hand: one that came near, and one whose router took slow wires apart again.
STUCK = {
    "ulx3s-85f-mnist5k": """
        50723 29555 18332 11835 8598 6341 4748 3692 3058 2417 1980 1721 1428 1094 892 799 687 561 495 441 423 384
        351 336 308 286 279 226 200 186 158 163 160 151 141 121 134 144 142 154 145 136 148 164 185 189 200 214 201
        223 267 298 301 281 301 296 334 390 462 428 462 448 512 601 704 787 897 1021 1335
    """,
    "ulx3s-85f-deit-tiny": """
        74092 43088 27055 17926 12610 9613 7358 6141 5088 4386 3800 3397 3063 2738 2524 2287 2195 2000 1907 1902
        1887 1876 1840 1825 1771 1885 2035 2046 2079 2221 2301 2465 2640 2892
    """,
}


def numbers(text):
    return [int(word) for word in text.split()]


def verdicts(conflicts):
    """(pass, verdict) of the first pass at which the run is stuck; None if there is none."""
    found = ((passes, why_stuck(conflicts[:passes])) for passes in range(1, len(conflicts) + 1))
    return next((each for each in found if each[1]), None)


@pytest.mark.parametrize("name", ROUTED)
def test_runs_that_ended_are_left_alone(name):
    assert verdicts(numbers(ROUTED[name])) is None


def test_runs_that_were_stuck_are_found():
    assert verdicts(numbers(STUCK["ulx3s-85f-mnist5k"])) == (
        56,
        "296 wires are in conflict after 56 passes, and there were 121 after 36",
    )
    growing = numbers(STUCK["ulx3s-85f-deit-tiny"])
    assert verdicts(growing) is None  # there were 9 such passes by then
    assert verdicts(growing + [3000] * 20) == (
        45,
        "3,000 wires are in conflict after 45 passes, and there were 1,771 after 25",
    )


@pytest.mark.parametrize(
    ("conflicts", "at"),
    [
        ([], None),
        ([5000] * 20, None),
        ([5000] * 21, 21),
        ([5000] * 20 + [4999] + [5000] * 19, None),  # slow, but progress
        ([*range(5000, 1000, -1)], None),
        ([101] * 21, 21),
        ([100] * 200, None),  # few: they may take long
        ([100] * 201, 201),
        ([80] + [500] * 20, 21),  # there were few, and that is over
        ([1] * 200 + [0], None),
        ([0] + [500] * 300, None),  # slow wires are routed again, and that ends
    ],
)
def test_borders(conflicts, at):
    found = verdicts(conflicts)
    assert (found and found[0]) == at


def test_log_that_grows(tmp_path):
    path = tmp_path / "place_and_route.log"
    log = RouterLog(path)
    assert not log.read_on()  # nextpnr has not begun yet
    path.write_text("Info: iterations follow\nInfo: Running main router loop...\n")
    assert not log.read_on() and log.conflicts == []
    line = "Info:     iter={} wires=1129906 overused={} overuse=46745 tmgfail=0 archfail=NA\n"
    with path.open("a") as output:
        output.write(line.format(1, 43456) + line.format(2, 1204) + line.format(3, 17)[:40])
        output.flush()
        assert log.read_on()
        assert log.conflicts == [43456, 1204] and log.state == "routing: pass 2, 1,204 wires in conflict"
        assert not log.read_on()
        output.write(line.format(3, 17)[40:])
        output.flush()
        assert log.read_on() and log.conflicts == [43456, 1204, 17]
    assert not log.read_on()
