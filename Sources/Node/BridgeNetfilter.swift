// SPDX-License-Identifier: Apache-2.0
import CNetlink
import Embedded
import Netlink

/// The kernel's module br_netfilter, which makes the frames that a bridge forwards pass the iptables and
/// nftables rules for IP packets. Without it a Service does not connect two pods of a node: kube-proxy
/// implements Services by such rules.
public enum BridgeNetfilter {
  /// Whether the kernel has the module loaded or built in.
  public static var isLoaded: Bool { Sysctl.read("net/bridge/bridge-nf-call-iptables") != nil }

  /// The message for a missing module.
  public static var advice: String {
    "the key \"bridgeNetfilter\" needs the kernel module br_netfilter, which is not loaded: modprobe br_netfilter"
  }
}
