import CNI
import Netlink

/// Whether the node passes packets on between its links.
public enum Forwarding {
  private static func key(_ family: IPAddress.Family) -> String {
    family == .v4 ? "net/ipv4/ip_forward" : "net/ipv6/conf/all/forwarding"
  }

  public static func isOn(_ family: IPAddress.Family) -> Bool {
    Sysctl.read(key(family)) == "1"
  }

  /// Switches forwarding on for a family; does nothing where it is on.
  ///
  /// A node that forwards IPv6 ignores router advertisements and would lose the default route that it
  /// learned from one: links that accept them (`accept_ra` 1) go on doing so (2) first.
  /// Equivalent to: `sysctl -w net.ipv4.ip_forward=1`, `sysctl -w net.ipv6.conf.all.forwarding=1`.
  public static func enable(
    _ family: IPAddress.Family, on node: borrowing Node
  ) throws(CNIError) {
    guard !isOn(family) else { return }
    do throws(NetlinkError) {
      if family == .v6 { try keepLearnedRoutes(node.socket) }
      try Sysctl.write(key(family), "1")
    } catch {
      throw CNIError(error)
    }
  }

  private static func keepLearnedRoutes(_ socket: borrowing RouteSocket) throws(NetlinkError) {
    for route in try socket.routes(.v6, proto: Route.routerAdvertisement) {
      for hop in route.nextHops {
        guard let device = hop.device, let link = try socket.link(index: device) else { continue }
        let key = "net/ipv6/conf/\(link.name)/accept_ra"
        if Sysctl.read(key) == "1" { try Sysctl.write(key, "2") }
      }
    }
  }
}
