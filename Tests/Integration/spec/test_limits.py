# SPDX-License-Identifier: Apache-2.0
"""The largest inputs: what is read takes time in proportion, and what is larger is refused at once."""

import json
import resource

import pytest

from lab.attachment import Network
from lab.lease_store import Leases
from lab.waiting import patience

LIMIT = 16 << 20
FILLERS = {
    "numbers": ("[" + "1,", "1,", "1]"), "objects": ("[", '{"a":1},', "1]"), "texts": ("[", '"x",', "1]"),
    "one text": ('"', "x", '"'), "members": ("{", None, '"z":1}'),
}


def processor_seconds(function):
    """What a call's processes took of the processor: a machine with other work does not change that."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    function()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def configuration(network, kind, size):
    begin, piece, end = FILLERS[kind]
    start = json.dumps(network.configuration)[:-1] + ', "x": ' + begin
    room = size - len(start) - len(end) - 1
    if piece is None:
        middle = "".join(f'"k{number:07}":1,' for number in range(room // 13))
    else:
        middle = piece * (room // len(piece))
    return (start + middle + end + "}").encode()


@pytest.mark.parametrize("kind", FILLERS)
def test_the_largest_input_is_read_in_time(node, kind, record_property):
    network = Network(node, version="1.1.0", logFile="")
    text = configuration(network, kind, LIMIT)
    assert LIMIT - 100 < len(text) <= LIMIT

    def call(stdin):
        plugin = network.start("STATUS")
        plugin.write_input(stdin)
        return plugin.end(timeout=20)

    seconds = processor_seconds(lambda: call(text).succeeded())
    quarter = processor_seconds(lambda: call(configuration(network, kind, LIMIT // 4)).succeeded())
    record_property("seconds of the processor", f"{seconds:.2f} for 16 MiB, {quarter:.2f} for 4 MiB")
    assert seconds < patience(1.5) and seconds < max(8 * quarter, 0.4)
    call(text + b" " * 200).refused(5, "stdin", str(LIMIT))


def test_a_list_of_a_million_strings_takes_little_longer_than_one_that_no_stage_reads(node, record_property):
    def seconds(key):
        network = Network(node, version="1.1.0", logFile="", **{key: {"nameservers": ["10.0.0.1"] * 1_000_000}})
        seconds = min(processor_seconds(lambda: network.call("STATUS")) for _ in range(3))
        record_property("seconds of the processor", f"{seconds:.2f} for {key}")
        return seconds

    assert seconds("dns") < 2 * seconds("x.org/dns")


@pytest.mark.parametrize("form", ["one set", "a set each"])
def test_as_many_ranges_as_fit_take_no_time(node, form, record_property):
    ranges = [{"subnet": f"10.{number >> 8 & 255}.{number & 255}.0/28"} for number in range(20_000)]
    leases = Leases(node, version="1.1.0", logFile="",
                    ranges=[ranges] if form == "one set" else [[one] for one in ranges])
    seconds = processor_seconds(lambda: leases.run("STATUS").succeeded())
    record_property("seconds of the processor", f"{seconds:.2f}")
    assert seconds < patience(1)
