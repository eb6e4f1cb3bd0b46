// SPDX-License-Identifier: Apache-2.0
import CNI
import CNetlink
import Netlink

/// The node's side of every attachment: the network namespace the plugin runs in.
///
/// A method that throws throws error 100 if the kernel refuses a request, beside the errors that it names.
public struct Node: ~Copyable {
  /// For requests in that namespace.
  public let kernel: Kernel

  /// Opens a socket in the calling thread's network namespace.
  /// - Throws: error 100 if that fails.
  public init() throws(CNIError) { kernel = try Kernel() }

  /// Whether the kernel has IPv6.
  public static var hasIPv6: Bool { access("/proc/sys/net/ipv6", F_OK) == 0 }
}
