# SPDX-License-Identifier: Apache-2.0
"""What a test needs of the kernel and not every kernel has."""

import os

import pytest

# A test machine's kernel has what the tests need: there it is a failure that it is missing.
IN_MACHINE = "HUMANZ_KERNEL_MODULES" in os.environ


def need_vlans(node):
    """The test needs bridges that filter VLANs, and links in a VLAN."""
    _need("VLAN filtering of bridges and links in a VLAN "
          "(CONFIG_BRIDGE_VLAN_FILTERING, CONFIG_VLAN_8021Q)", _has_vlans(node))


def need_bridge_netfilter(node):
    """The test needs br_netfilter. It changes every bridge of a kernel, so tests load it only in a machine."""
    if IN_MACHINE:
        node.run("modprobe", "br_netfilter", check=False)
    _need("br_netfilter (CONFIG_BRIDGE_NETFILTER)", node.path("/proc/sys/net/bridge").exists())


def _need(feature, is_there):
    """Skips the test, by name, where the kernel lacks what it needs."""
    if is_there:
        return
    if IN_MACHINE:
        pytest.fail(f"the kernel of this machine has no {feature}")
    pytest.skip(f"needs {feature}; Scripts/test-kernels runs it")


def _has_vlans(node):
    """Whether the kernel has them; it is asked once, by the first node."""
    if not _answers:
        _answers.append(_tries_vlans(node))
    return _answers[0]


_answers = []


def _tries_vlans(node):
    try_it = ("ip link add try type bridge vlan_filtering 1 && "
              "ip link add link try name try.2 type vlan id 2")
    has = node.run("sh", "-c", try_it, check=False).returncode == 0
    node.run("ip", "link", "delete", "try", check=False)
    return has
