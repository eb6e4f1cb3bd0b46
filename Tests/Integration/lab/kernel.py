# SPDX-License-Identifier: Apache-2.0
"""Kernel features that some tests need and some kernels lack."""

import os

import pytest

# The kernel of a test machine has all that the tests need: there a missing feature is a failure.
IN_MACHINE = "HUMANZ_KERNEL_MODULES" in os.environ


def need_vlans(node):
    """The test needs bridges that filter VLANs, and links in a VLAN."""
    _need("VLAN filtering of bridges and links in a VLAN "
          "(CONFIG_BRIDGE_VLAN_FILTERING, CONFIG_VLAN_8021Q)", _has_vlans(node))


def need_bridge_netfilter(node):
    """The test needs br_netfilter. It affects every bridge of a kernel, so tests load it only in a machine."""
    if IN_MACHINE:
        node.run("modprobe", "br_netfilter", check=False)
    _need("br_netfilter (CONFIG_BRIDGE_NETFILTER)", node.path("/proc/sys/net/bridge").exists())


def need_no_bridge_netfilter(node):
    """The test is about a kernel that has no br_netfilter, or has not loaded it, as a test machine's can do."""
    if IN_MACHINE:
        node.run("modprobe", "-r", "br_netfilter")
    if node.path("/proc/sys/net/bridge").exists():
        pytest.skip("needs a kernel without br_netfilter; Scripts/test-kernels has one")


def need_table_owners(node):
    """The test needs nftables' tables with an owner, which Linux has since 5.12."""
    if node.run("nft", "add table inet probe { flags owner; }", check=False).returncode:
        pytest.skip("needs tables with an owner (Linux 5.12)")


def _need(feature, is_there):
    """Skips the test if the kernel lacks a feature, and names the feature."""
    if is_there:
        return
    if IN_MACHINE:
        pytest.fail(f"the kernel of this machine has no {feature}")
    pytest.skip(f"needs {feature}; Scripts/test-kernels runs it")


def _has_vlans(node):
    """Whether the kernel has both; tried once, on the first node."""
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
