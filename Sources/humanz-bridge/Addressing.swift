// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNI
import Embedded
import Netlink
import Node

/// The addresses of an IPAM delegate, completed for the pod's interface and the bridge.
struct Addressing {
  private let ips: [ResultIP]
  private let routes: [ResultRoute]
  private let dns: JSONObject?
  private let configuration: AddressingConfiguration

  init(_ allocation: CNIResult, _ configuration: AddressingConfiguration) {
    self.configuration = configuration
    ips = allocation.ips.map { ip in
      var ip = ip
      if configuration.isGateway { ip.gateway = ip.gateway ?? ip.address.first.advanced(by: 1) }
      return ip
    }
    var routes = allocation.routes
    if configuration.isDefaultGateway {
      for ip in ips
      where !routes.contains(where: { $0.destination == .everything(ip.address.family) }) {
        routes.append(ResultRoute(.everything(ip.address.family), gateway: ip.gateway))
      }
    }
    self.routes = routes
    dns = allocation.dns
  }

  /// The subnets the pod's addresses are in.
  var subnets: [IPPrefix] { Addressing.subnets(of: ips) }

  /// The subnets of addresses, each once.
  static func subnets(of ips: [ResultIP]) -> [IPPrefix] {
    var subnets: [IPPrefix] = []
    for ip in ips where !subnets.contains(ip.address.network) { subnets.append(ip.address.network) }
    return subnets
  }

  /// Makes the node the pods' gateway if the keys ask for it: sets its addresses on the bridge or on the
  /// bridge's link in a VLAN, and enables forwarding.
  /// - Returns: the link with the gateway's addresses; nil if the keys ask for no gateway.
  func makeGateway(
    on bridge: Link, vlan: UInt16?, for network: NetworkName, _ node: borrowing Node,
    undo: inout Undo
  ) throws(CNIError) -> GatewayLink? {
    guard configuration.isGateway else { return nil }
    let place = try GatewayLink.make(
      on: bridge, vlan: vlan, for: network, of: node, undo: &undo)
    try node.setGateways(
      Gateway.all(of: ips), on: place, force: configuration.forceAddress, alone: true
    ) { undo.push(.nodeUnlessUsed(network, bridge: bridge.index, $0)) }
    for family in Gateway.families(of: ips) { try Forwarding.enable(family, on: node) }
    return place
  }

  /// CHECK of the gateway.
  /// - Throws: error 102 naming what is missing.
  static func verifyGateway(
    of ips: [ResultIP], on bridge: Link, vlan: UInt16?, _ node: borrowing Node
  ) throws(CNIError) {
    guard let place = try GatewayLink.find(on: bridge, vlan: vlan, of: node) else {
      throw CNIError(
        .checkFailed,
        "the gateway's link \(try GatewayLink.name(on: bridge.name, vlan: vlan)) is missing")
    }
    try node.check(Gateway.all(of: ips), on: place)
    for family in Gateway.families(of: ips) where !Forwarding.isOn(family) {
      throw CNIError(.checkFailed, "forwarding of IPv\(family.version) is off")
    }
  }

  /// Sets addresses and routes on the pod's interface, brings it up, and announces the addresses.
  func apply(
    to links: AttachmentLinks, of pod: borrowing Pod, _ node: borrowing Node
  ) throws(CNIError) {
    try pod.configure(
      links.podEnd, addresses: ips, routes: routes, detectsDuplicates: configuration.enabledad)
    if configuration.enabledad { try pod.waitForDuplicateDetection(on: links.podEnd) }
    pod.announce(ips, on: links.podEnd, port: links.host.name, of: node)
  }

  /// Adds what was applied to the stage's result.
  /// - Parameter interface: the index of the pod's interface in it.
  func describe(in result: inout CNIResult, interface: Int) {
    result.ips += ips.map { ip in
      var ip = ip
      ip.interface = interface
      return ip
    }
    result.routes += routes
    result.dns = dns?.nonEmpty ?? result.dns ?? dns
  }
}
