import Addresses
import CNI
import CNetlink
import Embedded
import Netlink
import Node

extension Node {
  /// The network's bridge: the one that is there, or a new one. Two first ADDs may come at once; the
  /// second finds the first one's.
  /// - Throws: error 101 where the name is another kind of link's.
  borrowing func adoptOrMakeBridge(
    _ configuration: BridgeConfiguration, undo: inout Undo
  ) throws(CNIError) -> Link {
    if let link = try kernel.link(configuration.bridge) { return try adopt(link, configuration) }
    // Before it is made: the kernel's answer may be what fails.
    undo.push(.bridge(configuration.bridge))
    var mtu = configuration.mtu
    if mtu == nil { mtu = try defaultRouteMTU() }
    let made = try kernel.failures(performing: [
      .addBridge(configuration.bridge, mac: randomMAC(), mtu: mtu)
    ])
    // Another ADD may have made it at the same time.
    if let failure = made.first, !failure.error.exists { throw CNIError(failure.error) }
    prepareIPv6(on: configuration.bridge)
    guard let link = try kernel.link(configuration.bridge) else {
      throw CNIError(.kernel, "the bridge \(configuration.bridge) went away as it was made")
    }
    return try adopt(link, configuration)
  }

  /// Checks that a link is a bridge, and asks of it no more than the keys do.
  private borrowing func adopt(
    _ link: Link, _ configuration: BridgeConfiguration
  ) throws(CNIError) -> Link {
    guard link.kind == "bridge" else {
      throw CNIError(
        .exists, "key \"bridge\": the node's link \(link.name) is no bridge",
        details: "it is of kind \(link.kind ?? "physical")")
    }
    if configuration.vlans != nil && link.filtersVLANs != true {
      try filterVLANs(of: link)
    }
    let change = LinkChange(
      up: link.isUp ? nil : true,
      mtu: configuration.mtu.flatMap { $0 == link.mtu ? nil : $0 },
      promiscuous: configuration.promiscMode && !link.isPromiscuous ? true : nil)
    guard change != LinkChange() else { return link }
    try kernel.perform([.changeLink(.index(link.index), change)])
    var link = link
    link.mtu = change.mtu ?? link.mtu
    return link
  }

  /// The MTU of the link the node's default route leaves by; nil where there is no such route.
  private borrowing func defaultRouteMTU() throws(CNIError) -> Int? {
    for family in [IPAddress.Family.v4, .v6] {
      // Of several with one destination the kernel lists the one it uses first.
      for route in try kernel.routes(family, table: Route.mainTable)
      where route.destination.length == 0 {
        guard let device = route.nextHops.first?.device else { continue }
        return try kernel.link(at: device)?.mtu
      }
    }
    return nil
  }

  /// A pod must not give the node a default route. And the node asks for its pods' hardware addresses
  /// from the bridge's link-local address: made of a random MAC address it is nobody else's, and
  /// waiting for the proof would hold up the first pods for two seconds.
  private borrowing func prepareIPv6(on bridge: InterfaceName) {
    try? Sysctl.write("net/ipv6/conf/\(bridge)/accept_ra", "0")
    try? Sysctl.write("net/ipv6/conf/\(bridge)/accept_dad", "0")
  }
}

/// A bridge whose MAC was set keeps it when ports come and go; random, so that no two nodes share it.
private func randomMAC() -> MACAddress {
  var seed: UInt64 = 0
  getentropy(&seed, MemoryLayout<UInt64>.size)
  return .local(seed)
}
