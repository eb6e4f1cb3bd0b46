// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNI
import Embedded
import Netlink
import Node
import Routes

/// Keeps the routes of a conflist's network right, for the peers that the conflist names.
struct RouteKeeper: Watcher {
  private let file: String
  private var reported = ReportedProblems()
  private var log = RepairLog()

  /// - Throws: if the file cannot be read, or has no valid entry of humanz-route; after this call an unreadable file
  ///   is only reported.
  init(file: String) throws(CNIError) {
    self.file = file
    let configured = try ConfiguredNetworks(file: file)
    guard configured.routed.isEmpty else { return }
    // A network whose humanz-route entry has wrong keys is not in `routed`: `problems` says why.
    throw CNIError(.invalidConfiguration, configured.problems.first ?? withoutRoutes)
  }

  private var withoutRoutes: String { "\(file) has no plugin of type humanz-route" }

  var descriptor: Int32 { -1 }
  var deadline: Int? { nil }
  mutating func advance(isReadable: Bool) throws(CNIError) {}

  mutating func repairRoutes() {
    var repairs = Repairs()
    do throws(CNIError) { repairs = try repair() } catch { repairs.wrong.append(error.message) }
    log.write(repairs.done)
    reported.update(repairs.wrong + repairs.unserved)
  }

  /// Makes the routes once, and prints what changes.
  /// - Returns: 1 if something stays wrong.
  func runOnce() throws(CNIError) -> Int32 {
    let repairs = try repair()
    let wrong = repairs.wrong + repairs.unserved
    for sentence in wrong { Output.complain(sentence) }
    if !repairs.done.isEmpty {
      try Output.print(repairs.done)
    } else if wrong.isEmpty {
      try Output.print("\(file): the routes are right")
    }
    return wrong.isEmpty ? 0 : 1
  }

  private func repair() throws(CNIError) -> Repairs {
    var repairs = Repairs()
    let configured = try ConfiguredNetworks(file: file)
    repairs.wrong += configured.problems
    if configured.routed.isEmpty, configured.problems.isEmpty {
      repairs.wrong.append(withoutRoutes)
    }
    let lock = try NodeLock(.shared)
    try repairNodeRoutes(of: configured.routed, &repairs)
    lock.unlock()
    return repairs
  }
}

/// Repairs the node's routes and forwarding for some networks.
func repairNodeRoutes(
  of networks: [ConfiguredNetwork], _ repairs: inout Repairs
) throws(CNIError) {
  let node = try Node()
  for network in networks {
    repairs.enableForwarding(network.routed?.families ?? [], on: node)
    do throws(CNIError) {
      let own = try OwnSubnets(of: network, node)
      repairs.unserved += own.unserved.map { $0.problem }
      repairs.repair(try network.nodeRoutes(own.prefixes, node), on: node)
    } catch {
      repairs.wrong.append("\(network.name): \(error.message)")
    }
  }
}
