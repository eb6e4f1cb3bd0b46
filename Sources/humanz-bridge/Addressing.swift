import Addresses
import CNI
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

  /// The subnets that addresses are in, each once.
  static func subnets(of ips: [ResultIP]) -> [IPPrefix] {
    var subnets: [IPPrefix] = []
    for ip in ips where !subnets.contains(ip.address.network) { subnets.append(ip.address.network) }
    return subnets
  }

  /// Makes the node the pods' gateway: its addresses on a link, and forwarding.
  func makeGateway(
    on link: Link, of bridge: Link, _ network: NetworkName, _ node: borrowing Node,
    undo: inout Undo
  ) throws(CNIError) {
    try node.setGateways(
      Gateway.all(of: ips), on: link, force: configuration.forceAddress, alone: true
    ) { undo.push(.nodeUnlessUsed(network, bridge: bridge.index, $0)) }
    for family in Gateway.families(of: ips) { try Forwarding.enable(family, on: node) }
  }

  /// Puts addresses and routes on the pod's interface, brings it up, and tells its neighbours.
  func apply(
    to links: AttachmentLinks, of pod: borrowing Pod, _ node: borrowing Node
  ) throws(CNIError) {
    try pod.configure(
      links.pod, addresses: ips, routes: routes, detectsDuplicates: configuration.enabledad)
    if configuration.enabledad { try pod.waitForDuplicateDetection(on: links.pod) }
    pod.announce(ips, on: links.pod, port: links.host.name, of: node)
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
