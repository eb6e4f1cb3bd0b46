// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNI
import CNetlink
import Embedded
import Netlink

extension Pod {
  /// Puts a result's addresses and routes on an interface of the pod, and brings it up, in one batch.
  ///
  /// IPv6 addresses are usable at once: we allocate them, so duplicate address detection is skipped unless
  /// `detectsDuplicates`.
  /// Equivalent to: `ip link set … up`, `ip address replace …`, `ip route replace …`.
  /// - Throws: error 100 if the kernel refuses, as an IPv6 address in a kernel without IPv6; some of the
  ///   addresses and routes may be there then.
  public borrowing func configure(
    _ interface: Link, addresses: [ResultIP], routes: [ResultRoute] = [],
    detectsDuplicates: Bool = false
  ) throws(CNIError) {
    var batch = [Request.changeLink(.index(interface.index), LinkChange(up: true))]
    batch += addresses.map {
      .replaceAddress(
        InterfaceAddress(
          prefix: $0.address, index: interface.index, skipsDAD: !detectsDuplicates))
    }
    for route in routes {
      batch.append(
        .replaceRoute(try Pod.route(route, through: interface, addresses: addresses)))
    }
    do throws(CNIError) { try kernel.perform(batch) } catch {
      guard addresses.contains(where: { $0.address.family == .v6 }), try turnOnIPv6(of: interface)
      else { throw error }
      try kernel.perform(batch)
    }
    if addresses.contains(where: { $0.address.family == .v6 }) { keepIPv6(of: interface) }
  }

  /// The advice for a kernel without IPv6.
  static var needsIPv4: String {
    "the kernel was started without IPv6: give the pods IPv4 addresses only"
  }

  /// Turns IPv6 on for the loopback and an interface, if it is off.
  /// Equivalent to: `sysctl -w net.ipv6.conf.INTERFACE.disable_ipv6=0`.
  /// - Returns: whether it was off.
  /// - Throws: error 100 if the kernel has no IPv6.
  private borrowing func turnOnIPv6(of interface: Link) throws(CNIError) -> Bool {
    guard Node.hasIPv6 else {
      throw CNIError(
        .kernel, "IPv6 is off on the node: \(interface.name) cannot have an IPv6 address",
        details: Pod.needsIPv4)
    }
    return try kernelSteps { () throws(NetlinkError) in
      try namespace.run { () throws(NetlinkError) -> Bool in
        var wasOff = false
        for name in ["lo", "\(interface.name)"] {
          let key = "net/ipv6/conf/\(name)/disable_ipv6"
          guard Sysctl.read(key) == "1" else { continue }
          try Sysctl.write(key, "0")
          wasOff = true
        }
        return wasOff
      }
    }
  }

  /// Lets the interface keep its IPv6 addresses when it is set down, as it keeps its IPv4 addresses, and
  /// announce them when its MAC address is set: see `announce`. The pod also works without these settings.
  /// Equivalent to: `sysctl -w net.ipv6.conf.INTERFACE.keep_addr_on_down=1`, and `ndisc_notify=1`.
  private borrowing func keepIPv6(of interface: Link) {
    try? namespace.run { () throws(NetlinkError) in
      for key in ["keep_addr_on_down", "ndisc_notify"] {
        try Sysctl.write("net/ipv6/conf/\(interface.name)/\(key)", "1")
      }
    }
  }

  /// Waits until duplicate address detection has answered for the interface's IPv6 addresses, about
  /// a second or two (RFC 4862 section 5.4).
  /// - Throws: error 101 for an address that another has, 11 if there is no answer in 10 s.
  public borrowing func waitForDuplicateDetection(on interface: Link) throws(CNIError) {
    for _ in 0..<500 {
      let addresses = try kernel.addresses(of: interface.index, family: .v6)
      if let duplicate = addresses.first(where: { $0.isDuplicate }) {
        throw CNIError(
          .exists, "another interface has the address \(duplicate.prefix.address)",
          details: "duplicate address detection on \(interface.name) in \(path) found it")
      }
      if !addresses.contains(where: { $0.isTentative }) { return }
      usleep(20_000)
    }
    throw CNIError(
      .tryAgainLater,
      "duplicate address detection on \(interface.name) in \(path) has not ended in 10 seconds")
  }

  /// The kernel's form of a result's route. A route without a gateway gets the gateway of the first address
  /// of its family that has one. If there is none, or the route has link scope, its destination is on the link. Values that the
  /// kernel ignores or limits are given as the kernel stores them.
  /// Source: specification section 5, "routes"; for the largest values net/ipv4/metrics.c.
  public static func route(
    _ route: ResultRoute, through interface: Link, addresses: [ResultIP]
  ) throws(CNIError) -> Route {
    let family = route.destination.family
    var gateway = route.gateway.flatMap { $0.value == 0 ? nil : $0 }
    if gateway == nil, route.scope ?? 0 < RT_SCOPE_LINK.rawValue {
      gateway = addresses.first { $0.address.family == family && $0.gateway != nil }?.gateway
    }
    func orNone(_ value: UInt32?, most: UInt32 = .max) -> UInt32? {
      value.flatMap { $0 == 0 ? nil : min($0, most) }
    }
    return Route(
      destination: route.destination,
      nextHops: [NextHop(gateway: gateway, device: interface.index)],
      scope: route.scope, table: orNone(route.table) ?? Route.mainTable,
      priority: family == .v6 ? orNone(route.priority) : route.priority,
      mtu: orNone(route.mtu, most: 65535 - 15), advmss: orNone(route.advmss, most: 65535 - 40))
  }
}
