"""What a test needs of the kernel and not every kernel has."""

import os

import pytest

# A test machine's kernel has what the tests need: there it is a failure that it is missing.
IN_MACHINE = "HUMANZ_KERNEL_MODULES" in os.environ


def need(feature, node, *command):
    """Skips the test, by name, where a command that uses a feature of the kernel fails on a node."""
    done = node.run(*command, check=False)
    if done.returncode == 0:
        return
    if IN_MACHINE:
        pytest.fail(f"the kernel of this machine has no {feature}: {done.stderr}")
    pytest.skip(f"needs {feature}; Scripts/test-kernels runs it")


def need_vlans(node):
    """The test needs bridges that filter VLANs, and links in a VLAN."""
    need("VLAN filtering of bridges (CONFIG_BRIDGE_VLAN_FILTERING)", node,
         "ip", "link", "add", "try", "type", "bridge", "vlan_filtering", "1")
    need("links in a VLAN (CONFIG_VLAN_8021Q)", node,
         "ip", "link", "add", "link", "try", "name", "try.2", "type", "vlan", "id", "2")
    node.run("ip", "link", "delete", "try")


def need_bridge_netfilter(node):
    """The test needs br_netfilter. It concerns each bridge of a machine, so it is loaded in one for tests only."""
    if IN_MACHINE:
        need("br_netfilter (CONFIG_BRIDGE_NETFILTER)", node, "modprobe", "br_netfilter")
    elif not node.path("/proc/sys/net/bridge").exists():
        pytest.skip("needs br_netfilter (CONFIG_BRIDGE_NETFILTER); Scripts/test-kernels runs it")
