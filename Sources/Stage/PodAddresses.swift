import CNI
import Netlink

extension Pod {
  /// Puts a result's addresses and routes on an interface of the pod, and brings it up, in one batch.
  ///
  /// IPv6 addresses are usable at once: we allocate them, so duplicate address detection is skipped
  /// unless `detectsDuplicates`.
  /// - Parameter gateways: the addresses whose gateways the routes take; nil: `addresses`.
  /// Equivalent to: `ip link set … up`, `ip address replace …`, `ip route replace …`.
  public borrowing func configure(
    _ interface: Link, addresses: [ResultIP], routes: [ResultRoute] = [],
    through gateways: [ResultIP]? = nil, detectsDuplicates: Bool = false
  ) throws(CNIError) {
    var batch = [Request.changeLink(.index(interface.index), LinkChange(up: true))]
    batch += addresses.map {
      .replaceAddress(
        InterfaceAddress(
          prefix: $0.address, index: interface.index, skipsDAD: !detectsDuplicates))
    }
    for route in routes {
      batch.append(
        .replaceRoute(try Pod.route(route, through: interface, addresses: gateways ?? addresses)))
    }
    do { try socket.perform(batch) } catch { throw CNIError(error) }
  }

  /// The kernel's form of a result's route: without a gateway of its own it takes that of its
  /// family's address, and without one of those the destination is on the link.
  /// Source: specification section 5, "routes".
  public static func route(
    _ route: ResultRoute, through interface: Link, addresses: [ResultIP]
  ) throws(CNIError) -> Route {
    let family = route.destination.family
    let gateway =
      route.gateway
      ?? addresses.first { $0.address.family == family && $0.gateway != nil }?.gateway
    return Route(
      destination: route.destination,
      nextHops: [NextHop(gateway: gateway, device: interface.index)],
      scope: route.scope, table: route.table ?? Route.mainTable, priority: route.priority,
      mtu: route.mtu, advmss: route.advmss)
  }
}
