// SPDX-License-Identifier: Apache-2.0
import CNetlink
import Embedded
import Netlink

/// The kernel's module br_netfilter, which has frames that a bridge forwards pass the rules for packets. A
/// pod reaches another of its node by a Service only with it, because kube-proxy's rules are such rules.
public enum BridgeNetfilter {
  /// Whether the kernel has the module loaded or built in.
  public static var isLoaded: Bool { Sysctl.read("net/bridge/bridge-nf-call-iptables") != nil }

  /// What is wrong without the module, as a sentence.
  public static var advice: String {
    "the key \"bridgeNetfilter\" needs the kernel's module br_netfilter, which is not loaded: modprobe br_netfilter"
  }
}
