// SPDX-License-Identifier: Apache-2.0
import CNI
import CNetlink
import Netlink

/// The node's side of every attachment: the network namespace the plugin runs in.
public struct Node: ~Copyable {
  public let kernel: Kernel

  public init() throws(CNIError) { kernel = try Kernel() }

  /// Whether the kernel has IPv6.
  public static var hasIPv6: Bool { access("/proc/sys/net/ipv6", F_OK) == 0 }
}
