// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNI
import Embedded
import Leases
import Netfilter
import Netlink
import Node
import Routes
import System

/// Removes our networks from the node: leases, firewall rules, routes, the overlay and the bridges.
struct NetworkRemoval {
  private let configured: ConfiguredNetworks

  /// - Throws: error 11 if a pod is still attached.
  init(_ configured: ConfiguredNetworks) throws(CNIError) {
    self.configured = configured
    let held = try PortReport(configured).ports.compactMap { $0.attachment }
    guard let first = held.first else { return }
    throw CNIError(
      .tryAgainLater,
      "a pod is still attached: \(first.title)\(held.count > 1 ? " and \(held.count - 1) more" : "")",
      details: "delete the pods of this node first: `humanz ports` lists them")
  }

  /// Prints a line for each thing that is removed.
  /// - Parameter searchPath: where to find the plugins, whose GC frees what they made.
  /// - Returns: false if something could not be removed, or a configuration cannot be read, which is printed.
  func remove(searchPath: String) throws(CNIError) -> Bool {
    // Only for the printed lines: what cannot be listed is removed too.
    let before = (try? traces()) ?? []
    var wrong = configured.unread
    for network in configured.networks where network.isOurs {
      do throws(CNIError) {
        try Runtime.freeAll(of: network.list, searchPath: searchPath)
      } catch {
        guard !error.isOfPluginWithoutGC else { continue }
        wrong.append("\(network.name): \(error.sentence)")
      }
    }
    wrong += try removeRoutesAndBridges()
    if let left = try? traces() {
      for trace in before where !left.contains(trace) { try Output.print("\(trace) is removed") }
    }
    for sentence in wrong { Output.complain(sentence) }
    return wrong.isEmpty
  }

  private func removeRoutesAndBridges() throws(CNIError) -> [String] {
    let node = try Node()
    var requests: [Request] = []
    for family in [IPAddress.Family.v4, .v6] {
      requests += try node.kernel.routes(family, proto: Route.humanz, table: nil)
        .map { .deleteRoute($0) }
    }
    let links = try node.kernel.links()
    var wrong: [String] = []
    for bridge in bridges(among: links) {
      if links.contains(where: { $0.master == bridge.index }) {
        wrong.append("the bridge \(bridge.name) stays: it has ports")
      } else {
        requests.append(.deleteLink(.index(bridge.index)))
      }
    }
    for failure in try node.kernel.failures(performing: requests)
    where !failure.error.isMissing {
      wrong.append(failure.error.description)
    }
    return wrong
  }

  /// The bridges that humanz-bridge has made for our networks.
  private func bridges(among links: [Link]) -> [Link] {
    links.filter { link in
      link.isBridgeOfOurs && configured.networks.contains { $0.isOurs && $0.bridge == link.name }
    }
  }

  // MARK: - What is left

  /// What can be removed: for each, the start of the line that reports its removal.
  private func traces() throws(CNIError) -> [String] {
    var traces: [String] = []
    for (name, report) in try Overview.leases(configured) {
      traces += report.rows.map { "lease \($0.lease.address) of network \(name)" }
    }
    try netfilterSteps { (socket: borrowing NetfilterSocket) throws(NetlinkError) in
      for network in configured.networks where network.isOurs {
        let name = network.name.description
        if try Masquerade.exists(network: name, socket) {
          traces.append("masquerade of network \(name)")
        }
        if try ForwardAccept(network: name, prefixes: []).hasRules(socket) {
          traces.append("firewall rules of network \(name)")
        }
      }
    }
    let node = try Node()
    for family in [IPAddress.Family.v4, .v6] {
      for route in try node.kernel.routes(family, proto: Route.humanz, table: nil) {
        let gateway = route.nextHops.first?.gateway.map { " via \($0)" } ?? ""
        let kind = route.kind == .unicast ? "" : "\(route.kind.name) "
        traces.append("\(kind)route \(route.destination)\(gateway)")
      }
    }
    let links = try node.kernel.links()
    let bridges = bridges(among: links)
    for link in links where link.name == Overlay.device || bridges.contains(link) {
      traces.append("\(link.kind ?? "link") \(link.name)")
    }
    return traces
  }
}

extension Link {
  /// humanz-bridge makes a bridge with a MAC address that begins with these bytes.
  var isBridgeOfOurs: Bool {
    kind == "bridge" && mac?.bytes[0] == 0x02 && mac?.bytes[1] == 0x68
  }
}

extension CNIError {
  /// Whether it is the one error of a GC, and the answer of a plugin that is older than GC: it asks for the
  /// variables of a DEL, or does not know the command.
  fileprivate var isOfPluginWithoutGC: Bool {
    message.begins(with: "plugin type=")
      && (message.ends(with: "missing containerID")
        || message.ends(with: "unknown CNI_COMMAND: GC"))
  }
}
