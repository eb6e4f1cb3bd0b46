// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNI
import CNetlink
import Embedded
import Netlink
import Node
import System

/// The network's bridge on the node.
struct Bridge {
  private(set) var link: Link
  /// Whether this ADD made the bridge. Its MAC address is set then, so no port changes it.
  private let isNew: Bool

  // MARK: - ADD

  /// The existing bridge, or a new one. If two first ADDs run at once, the second uses the first one's
  /// bridge.
  /// - Throws: error 101 if another kind of link has the name.
  static func adoptOrMake(
    _ configuration: BridgeConfiguration, on node: borrowing Node, undo: inout Undo
  ) throws(CNIError) -> Bridge {
    let name = configuration.bridge
    if let link = try node.kernel.link(name) {
      return try adopt(link, isNew: false, configuration, on: node)
    }
    // Pushed before the bridge is made: the request may succeed although its answer is lost.
    undo.push(.call { node, _ in removeUnused(name, node) })
    var mtu = configuration.mtu
    if mtu == nil { mtu = try node.defaultRouteMTU() }
    let failures = try node.kernel.failures(performing: [
      .addBridge(name, mac: randomMAC(), mtu: mtu)
    ])
    // Another ADD may have made it at the same time.
    if let failure = failures.first, !failure.error.exists { throw CNIError(failure.error) }
    guard let link = try node.kernel.link(name) else {
      throw CNIError(.kernel, "the bridge \(name) was deleted during the ADD")
    }
    return try adopt(link, isNew: failures.isEmpty, configuration, on: node)
  }

  /// Removes the bridge if it has no port: another ADD may use it by now.
  private static func removeUnused(_ name: InterfaceName, _ node: borrowing Kernel) {
    guard let lock = try? NodeLock(.exclusive) else { return }
    if let link = try? node.link(name), (try? node.links(master: link.index))?.isEmpty == true {
      try? node.perform([.deleteLink(.index(link.index))])
    }
    lock.unlock()
  }

  /// Checks that a link is a bridge, and changes only what the keys ask for. A bridge that is down is prepared
  /// like a new one: an ADD may have been killed before it did so.
  private static func adopt(
    _ link: Link, isNew: Bool, _ configuration: BridgeConfiguration, on node: borrowing Node
  ) throws(CNIError) -> Bridge {
    guard link.kind == "bridge" else {
      throw CNIError(
        .exists, "key \"bridge\": the node's link \(link.name) is not a bridge",
        details: "it is of kind \(link.kind ?? "physical")")
    }
    if configuration.port.vlans != nil && link.filtersVLANs != true {
      try filterVLANs(of: link, on: node)
    }
    if configuration.bridgeNetfilter && !link.callsNetfilter {
      try callNetfilter(link, configuration, on: node)
    }
    if !link.isUp { try node.prepareIPv6(of: link.name) }
    let change = LinkChange(
      up: link.isUp ? nil : true,
      mtu: configuration.mtu.flatMap { $0 == link.mtu ? nil : $0 },
      promiscuous: configuration.promiscMode && !link.isPromiscuous ? true : nil)
    var link = link
    if change != LinkChange() {
      try node.kernel.perform([.changeLink(.index(link.index), change)])
      link.mtu = change.mtu ?? link.mtu
    }
    return Bridge(link: link, isNew: isNew)
  }

  /// Makes frames between the bridge's pods pass the node's firewall rules.
  @inline(never)
  private static func callNetfilter(
    _ link: Link, _ configuration: BridgeConfiguration, on node: borrowing Node
  ) throws(CNIError) {
    try node.kernel.perform([.callNetfilter(bridge: .index(link.index))])
    if !BridgeNetfilter.isLoaded {
      configuration.log.write("humanz-bridge \(link.name): \(BridgeNetfilter.advice)")
    }
  }

  /// Turns VLAN filtering on.
  /// - Throws: error 2 if the kernel was built without it.
  private static func filterVLANs(
    of link: Link, on node: borrowing Node
  ) throws(CNIError) {
    let failures = try node.kernel.failures(performing: [.filterVLANs(bridge: .name(link.name))])
    guard let error = failures.first?.error else { return }
    guard error.errno == .notSupported else { throw CNIError(error) }
    throw CNIError(
      .unsupportedField, "keys \"vlan\" and \"vlanTrunk\" need VLAN filtering of bridges",
      details: "\(error); the kernel was built without CONFIG_BRIDGE_VLAN_FILTERING")
  }

  /// Reads the MAC address again, or sets the old one, if a new port may have changed it: a bridge whose MAC
  /// address was never set takes the lowest one of its ports.
  /// - Parameter keepsMAC: whether to set the old MAC address, which pods may know as their gateway's. Once it
  ///   is set, ports do not change it.
  mutating func updateMAC(
    keepsMAC: Bool, on node: borrowing Node
  ) throws(CNIError) {
    guard !isNew, let old = link.mac, old.bytes[0] != 0x02 || old.bytes[1] != 0x68,
      let mac = try node.kernel.link(at: link.index)?.mac, mac != old
    else { return }
    if keepsMAC {
      try node.kernel.perform([.changeLink(.index(link.index), LinkChange(mac: old))])
    } else {
      link.mac = mac
    }
  }

  // MARK: - CHECK and STATUS

  /// CHECK of the bridge.
  /// - Throws: error 102 naming what is missing or changed.
  static func verify(
    _ configuration: BridgeConfiguration, on node: borrowing Node
  ) throws(CNIError) -> Bridge {
    guard let link = try node.kernel.link(configuration.bridge) else {
      throw CNIError(.checkFailed, "the bridge \(configuration.bridge) is missing")
    }
    guard link.kind == "bridge" else {
      throw CNIError(.checkFailed, "the link \(link.name) is not a bridge")
    }
    guard link.isUp else { throw CNIError(.checkFailed, "the bridge \(link.name) is down") }
    guard link.isPromiscuous || !configuration.promiscMode else {
      throw CNIError(.checkFailed, "the bridge \(link.name) is not promiscuous")
    }
    guard link.filtersVLANs == true || configuration.port.vlans == nil else {
      throw CNIError(.checkFailed, "VLAN filtering of the bridge \(link.name) is off")
    }
    guard link.callsNetfilter || !configuration.bridgeNetfilter else {
      throw CNIError(
        .checkFailed, "nf_call_iptables or nf_call_ip6tables of the bridge \(link.name) is off")
    }
    return Bridge(link: link, isNew: false)
  }

  /// Checks that the next ADD can have its bridge. It makes a missing one, but fails if another kind of link
  /// has the name.
  /// - Throws: error 50.
  static func checkAvailability(
    _ configuration: BridgeConfiguration, on node: borrowing Node
  ) throws(CNIError) {
    let link = try node.kernel.link(configuration.bridge)
    if let link, link.kind != "bridge" {
      throw CNIError(.notAvailable, "key \"bridge\": the node's link \(link.name) is not a bridge")
    }
    if configuration.port.vlans == nil || link?.filtersVLANs != nil { return }
    if link == nil, try canFilterVLANs(configuration.bridge) { return }
    throw CNIError(
      .notAvailable,
      "keys \"vlan\" and \"vlanTrunk\" need VLAN filtering of bridges, which the kernel lacks")
  }

  /// Whether the kernel has VLAN filtering; tried on a bridge in a new namespace.
  private static func canFilterVLANs(_ bridge: InterfaceName) throws(CNIError) -> Bool {
    do throws(NetlinkError) {
      try NetworkNamespace.runInNew { () throws(NetlinkError) in
        try RouteSocket().perform([.addBridge(bridge), .filterVLANs(bridge: .name(bridge))])
      }
      return true
    } catch {
      if error.errno == .notSupported { return false }
      throw CNIError(error)
    }
  }
}

extension Node {
  /// The MTU of the link of the node's default route; nil if there is no such route.
  fileprivate borrowing func defaultRouteMTU() throws(CNIError) -> Int? {
    for family in [IPAddress.Family.v4, .v6] {
      // Of several routes to one destination the kernel lists the one that it uses first.
      for route in try kernel.routes(family, table: Route.mainTable)
      where route.destination.length == 0 {
        guard let device = route.nextHops.first?.device else { continue }
        return try kernel.link(at: device)?.mtu
      }
    }
    return nil
  }
}

/// A MAC address for a new bridge; once it is set, ports do not change it. `updateMAC` recognizes it by its first
/// bytes, 02:68; the other four bytes are random, so that no two nodes have the same.
private func randomMAC() -> MACAddress {
  var seed: UInt32 = 0
  getentropy(&seed, MemoryLayout<UInt32>.size)
  return .local(UInt64(seed) << 16 | 0x6802)
}
