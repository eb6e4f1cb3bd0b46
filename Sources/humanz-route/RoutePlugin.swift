// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNI
import Embedded
import Netlink
import Node
import Routes
import Stages

/// The route stage: the pod's routes, and the node's routes to the pods of all other nodes.
struct RoutePlugin: Plugin {
  static var name: String { "humanz-route" }

  static var summary: String { "makes the pod's routes and the node's routes to other nodes' pods" }

  let invocation: Invocation

  init(_ invocation: Invocation) { self.invocation = invocation }

  private var network: NetworkName { invocation.configuration.name }

  func unknownKeys() throws(CNIError) -> [UnknownKey] {
    let keys = invocation.configuration.keys
    var unknown = try keys.refuseMisspelled([.ofEveryPlugin, StageKeys.route])
    for peer in (try? keys.list("peers")) ?? [] {
      unknown += try peer.refuseMisspelled([StageKeys.peer])
    }
    for route in (try? keys.list("routes")) ?? [] {
      unknown += try route.refuseMisspelled([StageKeys.podRoute])
    }
    return unknown
  }

  // MARK: - ADD

  func add(
    _ attachment: Attachment, namespace: String, print: (CNIResult) throws(CNIError) -> Void
  ) throws(CNIError) {
    let configuration = try RouteConfiguration(invocation.configuration)
    guard var result = try invocation.configuration.prevResult() else { throw needsPrevResult }
    let node = try Node()
    let pod = try Pod(path: namespace)
    let interface = try pod.interface(attachment.interface)
    let addresses = addressesBehindNode(configuration, result, interface, namespace)
    let routes = try PodRoutes(configuration, result, on: interface, of: pod)
    try repairNode(configuration, for: addresses, node)
    var undo = Undo(pod: namespace)
    do throws(CNIError) {
      undo.push(.pod(routes.reverse))
      try routes.make(in: pod)
      // The rules, which all pods share, stay if the result cannot be printed.
      try NetworkRules(configuration.network, addresses).install()
      result.routes = routes.result
      try print(result)
    } catch {
      undo.run(node: node.kernel, pod: pod.kernel)
      throw error
    }
  }

  /// Enables forwarding and makes the routes that all pods of the node share. They stay if this ADD fails.
  /// A route that cannot be made is logged.
  /// - Throws: error 7 naming the key of a peer with a subnet of this node.
  private func repairNode(
    _ configuration: RouteConfiguration, for addresses: [ResultIP], _ node: borrowing Node
  ) throws(CNIError) {
    for family in Gateway.families(of: addresses) { try Forwarding.enable(family, on: node) }
    // The lock keeps `humanz sync` from replacing the cluster file while this ADD makes the file's routes.
    let lock = try NodeLock(.shared)
    let own = NodeRoutes.ownSubnets(of: addresses)
    let routes = try NodeRoutes(configuration.network, own: own, node)
    try routes.refuseOwnSubnets(in: configuration.network)
    log(routes.repair(on: node))
    lock.unlock()
  }

  private func log(_ problems: [String]) {
    for problem in problems {
      invocation.configuration.log.write("\(RoutePlugin.name) \(problem)")
    }
  }

  /// The pod's addresses whose packets pass through the node. Those of a macvlan interface do not, so they need
  /// neither forwarding nor firewall rules; they are included if there is a `network`.
  private func addressesBehindNode(
    _ configuration: RouteConfiguration, _ result: CNIResult, _ interface: Link,
    _ namespace: String
  ) -> [ResultIP] {
    guard interface.kind == "veth" || !configuration.network.network.isEmpty else { return [] }
    return result.ips(of: interface.name, sandbox: namespace)
  }

  // MARK: - DEL and GC

  /// Deletes the node's neighbour entries and connections of the pod's addresses. The pod's routes go with
  /// its interface, and the node's serve other pods.
  func del(_ attachment: Attachment, namespace: String?) throws(CNIError) {
    let node = try Node()
    var traces = AttachmentTraces(
      of: attachment, on: network, invocation.configuration.readablePrevResult,
      sandbox: namespace)
    // If the host interface exists, its own stage deletes the connections after the link.
    let hasPort = try node.kernel.link(traces.host.name)?.alias == traces.host.alias
    let neighbours = try node.kernel.neighbours()
    if !hasPort { traces.findLeased(LeaseFolder(invocation.configuration), among: neighbours) }
    try node.forget([traces], among: neighbours, connections: !hasPort)
  }

  /// Removes a network's firewall rules and its overlay if it has no attachments.
  func gc(keeping valid: [Attachment]) throws(CNIError) {
    guard valid.isEmpty else { return }
    var errors = CollectedErrors()
    errors.collect { () throws(CNIError) in try NetworkRules.remove(of: network) }
    errors.collect { () throws(CNIError) in try Overlay.remove(of: network, Node()) }
    try errors.throwAny()
  }

  // MARK: - CHECK and STATUS

  func check(_ attachment: Attachment, namespace: String) throws(CNIError) {
    let configuration = try RouteConfiguration(invocation.configuration)
    guard let result = try invocation.configuration.prevResult() else { throw needsPrevResult }
    let pod = try Pod(path: namespace)
    let interface = try pod.interface(attachment.interface)
    let addresses = addressesBehindNode(configuration, result, interface, namespace)
    try PodRoutes(configuration, result, on: interface, of: pod).check(in: pod)
    let node = try Node()
    let own = NodeRoutes.ownSubnets(of: addresses)
    let routes = try NodeRoutes(configuration.network, own: own, node)
    let families = Gateway.families(of: addresses)
    try refuse(
      problems(configuration, families, addresses, routes, node), .checkFailed)
  }

  /// - Throws: error 50 if the next ADD would fail. After any error a runtime starts no pod, and
  ///   without an ADD nothing is repaired. So unreachable peers are an error (51) only with `statusLimited`.
  func status() throws(CNIError) {
    let configuration = try RouteConfiguration(invocation.configuration)
    try refuse(obstacles(to: configuration.network), .notAvailable)
    guard configuration.statusLimited else { return }
    let node = try Node()
    try refuse(
      NodeRoutes(configuration.network, node).problems(includingRepairable: false, on: node),
      .limitedConnectivity)
  }

  /// Why the next ADD would fail, a sentence for each reason.
  private func obstacles(to network: RoutedNetwork) throws(CNIError) -> [String] {
    var obstacles: [String] = []
    for family in network.families where !Forwarding.isPossible(family) {
      obstacles.append(
        "forwarding of IPv\(family.version) is off and cannot be turned on: its setting is missing or read-only"
      )
    }
    do throws(CNIError) {
      _ = try network.peers()
      obstacles += try NetworkRules(network, []).obstacles()
    } catch {
      obstacles.append(
        error.details.isEmpty ? error.message : "\(error.message) (\(error.details))")
    }
    return obstacles
  }

  /// What is wrong on the node, a sentence for each problem.
  /// - Parameter addresses: the pod's.
  private func problems(
    _ configuration: RouteConfiguration, _ families: [IPAddress.Family], _ addresses: [ResultIP],
    _ routes: NodeRoutes, _ node: borrowing Node
  ) throws(CNIError) -> [String] {
    var problems: [String] = []
    for family in families where !Forwarding.isOn(family) {
      problems.append("forwarding of IPv\(family.version) is off")
    }
    problems += try routes.problems(on: node)
    problems += try NetworkRules(configuration.network, addresses).problems()
    return problems
  }

  private func refuse(_ problems: [String], _ code: CNIError.Code) throws(CNIError) {
    guard let first = problems.first else { return }
    throw CNIError(code, first, details: problems.dropFirst().joined(separator: "; "))
  }

  private var needsPrevResult: CNIError {
    CNIError(
      .invalidConfiguration, "humanz-route needs \"prevResult\"",
      details:
        "put humanz-route into a conflist after the plugins that make the interface and its addresses"
    )
  }
}
