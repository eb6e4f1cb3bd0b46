// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNI
import Embedded
import Netlink
import Node
import Routes

/// Keeps the routes of one conflist's networks right, for the peers that the conflist names.
struct RouteKeeper: Watcher {
  private let file: String
  private var reported = ReportedProblems()

  /// - Throws: if the file cannot be read now; later that is only reported.
  init(file: String) throws(CNIError) {
    self.file = file
    guard try !ConfiguredNetworks(file: file).routed.isEmpty else {
      throw CNIError(.invalidConfiguration, "\(file) has no plugin of type humanz-route")
    }
  }

  var descriptor: Int32 { -1 }
  var deadline: Int? { nil }
  mutating func advance(isReadable: Bool) throws(CNIError) {}

  mutating func repairRoutes() {
    var wrong: [String] = []
    do throws(CNIError) {
      let configured = try ConfiguredNetworks(file: file)
      wrong += configured.problems
      let lock = try NodeLock(.shared)
      wrong += try repairNodeRoutes(of: configured.routed)
      lock.unlock()
    } catch {
      wrong.append(error.message)
    }
    reported.update(wrong)
  }
}

/// Repairs the node's routes and forwarding for some networks.
/// - Returns: the routes that cannot be made, a sentence each.
func repairNodeRoutes(of networks: [ConfiguredNetwork]) throws(CNIError) -> [String] {
  let node = try Node()
  var wrong: [String] = []
  for network in networks {
    wrong += enableForwarding(network.routed?.families ?? [], node)
    do throws(CNIError) {
      let own = try OwnSubnets(of: network, node)
      wrong += try network.nodeRoutes(own.prefixes, node).repair(on: node)
    } catch {
      wrong.append("\(network.name): \(error.message)")
    }
  }
  return wrong
}

/// - Returns: what failed, a sentence each.
func enableForwarding(_ families: [IPAddress.Family], _ node: borrowing Node) -> [String] {
  var wrong: [String] = []
  for family in families {
    do throws(CNIError) { try Forwarding.enable(family, on: node) } catch {
      wrong.append(error.message)
    }
  }
  return wrong
}
