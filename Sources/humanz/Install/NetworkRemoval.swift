// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNI
import Embedded
import Leases
import Netlink
import Node
import Routes
import System

/// Removes our networks from the node: leases, firewall rules, routes, the overlay and the bridges.
struct NetworkRemoval {
  private let configured: ConfiguredNetworks

  /// - Throws: error 11 if a pod still has a port and uses these.
  init(_ configured: ConfiguredNetworks) throws(CNIError) {
    self.configured = configured
    let held = try PortReport(configured).ports.compactMap { $0.attachment }
    guard let first = held.first else { return }
    throw CNIError(
      .tryAgainLater,
      "still attached: \(first.title)\(held.count > 1 ? " and \(held.count - 1) more" : "")",
      details: "delete the pods of this node first: `humanz ports` lists them")
  }

  /// - Parameter plugins: the folder of the plugins; each frees what it has made.
  /// - Returns: false if something could not be removed, which is printed.
  func remove(plugins: String) throws(CNIError) -> Bool {
    var wrong: [String] = []
    for network in configured.networks where network.isOurs {
      do throws(CNIError) {
        try Runtime.freeAll(of: network.list, plugins: plugins)
      } catch {
        wrong.append("\(network.name): \(error.message)")
      }
    }
    wrong += try removeLinks()
    for sentence in wrong { Output.complain(sentence) }
    return wrong.isEmpty
  }

  private func removeLinks() throws(CNIError) -> [String] {
    let node = try Node()
    var requests: [Request] = []
    for family in [IPAddress.Family.v4, .v6] {
      requests += try node.kernel.routes(family, proto: Route.humanz, table: nil)
        .map { .deleteRoute($0) }
    }
    let links = try node.kernel.links()
    for network in configured.networks where network.isOurs {
      guard let bridge = links.first(where: { $0.name == network.bridge }), bridge.isMadeByUs,
        !links.contains(where: { $0.master == bridge.index })
      else { continue }
      requests.append(.deleteLink(.index(bridge.index)))
    }
    return try node.kernel.failures(performing: requests).map { $0.error.description }
  }
}

extension Link {
  /// humanz-bridge makes a bridge with a MAC address that begins with these bytes.
  fileprivate var isMadeByUs: Bool {
    kind == "bridge" && mac?.bytes[0] == 0x02 && mac?.bytes[1] == 0x68
  }
}
