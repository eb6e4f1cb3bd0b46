import Addresses
import CNI
import CNetlink
import Embedded
import Netlink

/// Whether the node passes packets on between its links.
public enum Forwarding {
  private static func key(_ family: IPAddress.Family) -> String {
    family == .v4 ? "net/ipv4/ip_forward" : "net/ipv6/conf/all/forwarding"
  }

  public static func isOn(_ family: IPAddress.Family) -> Bool {
    Sysctl.read(key(family)) == "1"
  }

  /// Whether forwarding is on or can be turned on: /proc/sys may be read-only.
  public static func isPossible(_ family: IPAddress.Family) -> Bool {
    isOn(family) || access("/proc/sys/\(key(family))", W_OK) == 0
  }

  /// Turns forwarding on for a family; does nothing where it is on.
  ///
  /// A node that forwards IPv6 ignores router advertisements and would lose the default route that it
  /// learned from one. So links that accept them (`accept_ra` 1) are first set to accept them all the
  /// same (2).
  /// Equivalent to: `sysctl -w net.ipv4.ip_forward=1`, `sysctl -w net.ipv6.conf.all.forwarding=1`.
  public static func enable(
    _ family: IPAddress.Family, on node: borrowing Node
  ) throws(CNIError) {
    guard !isOn(family) else { return }
    if family == .v6 { try keepLearnedRoutes(on: node) }
    try kernelSteps { () throws(NetlinkError) in try Sysctl.write(key(family), "1") }
  }

  private static func keepLearnedRoutes(on node: borrowing Node) throws(CNIError) {
    for route in try node.kernel.routes(.v6, proto: Route.routerAdvertisement) {
      for hop in route.nextHops {
        guard let device = hop.device, let link = try node.kernel.link(at: device) else { continue }
        let key = "net/ipv6/conf/\(link.name)/accept_ra"
        guard Sysctl.read(key) == "1" else { continue }
        try kernelSteps { () throws(NetlinkError) in try Sysctl.write(key, "2") }
      }
    }
  }
}
