# SPDX-License-Identifier: Apache-2.0
"""Fixtures that all test folders share, and the tables at the end of pytest's output."""

import pytest

# pytest shows the compared values of a failed assertion in these modules too.
pytest.register_assert_rewrite("lab", "route.daemons")

from lab.isolated_node import Node  # noqa: E402
from lab.spec import ABSENT, PLUGINS, POINTS, VERSIONS, Subject  # noqa: E402
from lab.uplinked import Uplinked  # noqa: E402


@pytest.fixture
def node():
    with Node("node") as node:
        yield node


@pytest.fixture(scope="module")
def shared_node():
    """A node for tests that use names and subnets of their own, with an uplink to route through."""
    with Node("shared") as node:
        node.run("ip", "link", "add", "uplink", "type", "veth", "peer", "name", "far")
        for link in ("uplink", "far"):
            node.run("ip", "link", "set", link, "up")
        node.run("ip", "address", "add", "192.0.2.10/24", "dev", "uplink")
        yield node


@pytest.fixture
def subject(request, shared_node):
    """A plugin in one of the protocol's versions, on the shared node."""
    subject = Subject(shared_node, *request.param)
    yield subject
    subject.remove()


@pytest.fixture(params=["4", "6"])
def version(request):
    """A family of addresses."""
    return request.param


@pytest.fixture
def host(version, node):
    """A node with an uplink and a pod, for humanz-route alone."""
    return Uplinked(node, version)


# Tables at the end of the output

def pytest_configure(config):
    config.addinivalue_line("markers", "spec(number): a point of what the specification asks")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    mark = item.get_closest_marker("spec")
    if mark is not None:
        report.spec = (mark.args[0], *item.callspec.params["subject"])


def pytest_terminal_summary(terminalreporter):
    print_properties(terminalreporter)
    print_spec(terminalreporter)


def print_properties(terminalreporter):
    """Prints what tests passed to `record_property`, one value a line."""
    reports = terminalreporter.getreports("passed") + terminalreporter.getreports("failed")
    properties = [(report.nodeid, *pair) for report in reports for pair in report.user_properties]
    if properties:
        terminalreporter.section("counted and measured")
    for test, name, value in properties:
        terminalreporter.write_line(f"{test.split('::')[-1]}: {name} {value}")


def print_spec(terminalreporter):
    """Prints the outcome of each point of the specification, for each plugin and version."""
    outcomes = {}
    for outcome in ("passed", "skipped", "failed", "error"):
        for report in terminalreporter.stats.get(outcome, []):
            if hasattr(report, "spec") and (outcome != "passed" or report.when == "call"):
                # The worst outcome comes last and wins.
                outcomes[report.spec] = outcome
    if not outcomes:
        return
    terminalreporter.section("what the specification asks")
    for number, point in POINTS.items():
        terminalreporter.write_line(f"{number:2} {point}")
        for plugin in PLUGINS:
            versions = {version: outcomes.get((number, plugin, version)) for version in VERSIONS}
            words = [f"{outcome}: " + " ".join(
                version for version in VERSIONS if versions[version] == outcome)
                for outcome in ("passed", "skipped", "failed", "error")
                if outcome in versions.values()]
            if (number, plugin) in ABSENT:
                words.append(f"absent: {ABSENT[number, plugin]}")
            terminalreporter.write_line(f"   {plugin:14} {'; '.join(words) or 'not run'}")
