# SPDX-License-Identifier: Apache-2.0
"""The node's metrics as promtool and node_exporter read them, and the alert rules and dashboard that use them."""

import json
import re
import subprocess

from lab.attachment import Refused
from lab.conflist import Conflist
from lab.isolated_node import ROOT
from lab.tool import Tool
from tool.test_overview import CHAIN, node1  # noqa: F401

RULES = ROOT / "deploy" / "prometheus-rules.yaml"
DASHBOARD = ROOT / "deploy" / "grafana-dashboard.json"


def metrics(node):
    """The samples, by name with labels."""
    text = Tool(node).call("metrics").stdout
    checked = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True)
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, ""), text
    return dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))


def test_the_metrics_of_a_node(node1):  # noqa: F811
    chain = Conflist(node1, *CHAIN)
    for pod in ("a", "b"):
        chain.add(pod)
    samples = metrics(node1)
    pool = '{network="net",pool="10.1.0.0/29"}'
    assert samples[f"humanz_leases_used{pool}"] == "2" and samples[f"humanz_leases_size{pool}"] == "5"
    assert samples['humanz_leases_stale{network="net"}'] == "0"
    assert samples['humanz_ports{network="net",state="up"}'] == "2"
    assert samples['humanz_routes{network="net",state="installed"}'] == "2"
    assert samples['humanz_routes{network="net",state="own subnet"}'] == "1"
    assert samples["humanz_problems"] == "0"
    node1.run("ip", "route", "delete", "10.1.1.0/24")
    samples = metrics(node1)
    assert samples['humanz_routes{network="net",state="missing"}'] == "1"
    assert samples["humanz_problems"] == "1"


def test_errors_are_counted_by_plugin_and_code(node1):  # noqa: F811
    log = "/run/tmp/log"
    chain = Conflist(node1, *({**plugin, "logFile": log} for plugin in CHAIN))
    for pod in "abcde":
        chain.add(pod)
    for pod in "fg":
        try:
            chain.add(pod)
        except Refused as refused:
            assert refused.error["code"] == 120
    assert metrics(node1)['humanz_errors_total{plugin="humanz-ipam",code="120"}'] == "2"


def test_a_log_of_any_size_is_counted(node1):  # noqa: F811
    Conflist(node1, *({**plugin, "logFile": "/run/tmp/log"} for plugin in CHAIN))
    line = "2026-01-01T00:00:00.000Z humanz-ipam ADD network=net duration=1us"
    with node1.path("/run/tmp/log").open("w") as log:
        log.write(f"{line} error=120 full\n")
        # More than 16 MiB, with a line that is longer than what is read at once.
        log.write(f"{line} {'x' * 200_000}\n")
        log.write(f"{line}\n" * (17 << 20 >> 6))
        log.write(f"{line} error=120 full\n{line} error=11 busy\n")
    samples = metrics(node1)
    assert samples['humanz_errors_total{plugin="humanz-ipam",code="120"}'] == "2"
    assert samples['humanz_errors_total{plugin="humanz-ipam",code="11"}'] == "1"


def test_a_network_with_two_stores_has_one_series_for_each_pool(node1):  # noqa: F811
    chain = Conflist(node1, *CHAIN)
    for pod in ("a", "b"):
        chain.add(pod)
    bridge, ipam, route = CHAIN
    Conflist(node1, bridge, {**ipam, "dataDir": "/run/x"}, route).add("c")
    text = Tool(node1).call("metrics").stdout
    series = [line.rsplit(" ", 1)[0] for line in text.splitlines() if not line.startswith("#")]
    assert len(set(series)) == len(series)
    samples = metrics(node1)
    pool = '{network="net",pool="10.1.0.0/29"}'
    assert (samples[f"humanz_leases_used{pool}"], samples[f"humanz_leases_size{pool}"]) == ("3", "5")


def test_a_node_without_anything_has_metrics(node):
    assert metrics(node) == {"humanz_problems": "0"}


def test_the_rules_and_the_dashboard_use_metrics_that_there_are(node1):  # noqa: F811
    done = subprocess.run(["promtool", "check", "rules", RULES], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    declared = set(re.findall(r"^# TYPE (\w+) ", Tool(node1).call("metrics").stdout, re.MULTILINE))
    declared.add("humanz_sync_last_heard_timestamp_seconds")
    dashboard = json.loads(DASHBOARD.read_text())
    used = set(re.findall(r"\bhumanz_\w+\b(?!\.log)", RULES.read_text() + json.dumps(dashboard)))
    assert used == declared
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
