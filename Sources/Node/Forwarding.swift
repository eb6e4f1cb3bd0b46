// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNI
import CNetlink
import Embedded
import Netlink

/// IP forwarding on the node.
public enum Forwarding {
  private static func key(_ family: IPAddress.Family) -> String {
    family == .v4 ? "net/ipv4/ip_forward" : "net/ipv6/conf/all/forwarding"
  }

  /// Whether the node forwards packets of a family; false if the setting cannot be read.
  /// Equivalent to: `sysctl net.ipv4.ip_forward`, `sysctl net.ipv6.conf.all.forwarding`.
  public static func isOn(_ family: IPAddress.Family) -> Bool {
    Sysctl.read(key(family)) == "1"
  }

  /// Whether forwarding is on or can be turned on: /proc/sys may be read-only.
  public static func isPossible(_ family: IPAddress.Family) -> Bool {
    isOn(family) || access("/proc/sys/\(key(family))", W_OK) == 0
  }

  /// Turns forwarding on for a family; does nothing if it is on.
  /// Equivalent to: `sysctl -w net.ipv4.ip_forward=1`, `sysctl -w net.ipv6.conf.all.forwarding=1`.
  /// - Throws: error 100 if the setting cannot be changed, as with a read-only /proc/sys.
  public static func enable(
    _ family: IPAddress.Family, on node: borrowing Node
  ) throws(CNIError) {
    guard !isOn(family) else { return }
    if family == .v6 { try keepLearnedRoutes(on: node) }
    try kernelSteps { () throws(NetlinkError) in try Sysctl.write(key(family), "1") }
  }

  /// Lets the node's uplinks accept router advertisements although the node forwards (`accept_ra` 2 instead
  /// of 1): without that the node loses the default route that it learned from one, or never learns one.
  ///
  /// Equivalent to: `sysctl -w net.ipv6.conf.UPLINK.accept_ra=2`.
  static func keepLearnedRoutes(on node: borrowing Node) throws(CNIError) {
    for link in try node.uplinks() {
      let key = "net/ipv6/conf/\(link.name)/accept_ra"
      guard Sysctl.read(key) == "1" else { continue }
      try kernelSteps { () throws(NetlinkError) in try Sysctl.write(key, "2") }
    }
  }
}

extension Node {
  /// The links to other hosts: those of a default route, hardware, and links on top of hardware. A bridge or
  /// a veth link may lead to pods, whose advertisements must not count. Such a link is an uplink only with a
  /// default route over it or, for veth, with an IPv4 address of a shared subnet.
  fileprivate borrowing func uplinks() throws(CNIError) -> [Link] {
    var devices: [LinkIndex] = []
    for family in [IPAddress.Family.v4, .v6] {
      for route in try kernel.routes(family)
      where route.destination.length == 0 || route.proto == Route.routerAdvertisement {
        devices += route.nextHops.compactMap { $0.device }
      }
    }
    let addressed = try kernel.addresses(family: .v4).filter { $0.prefix.length < 32 }
    return try kernel.links().filter { link in
      if link.master != nil || "\(link.name)" == "lo" { return false }
      if devices.contains(link.index) { return true }
      guard let kind = link.kind else { return true }
      if kind == "veth" { return addressed.contains { $0.index == link.index } }
      return ["vlan", "bond", "team", "macvlan", "ipvlan"].contains(kind)
    }
  }
}
