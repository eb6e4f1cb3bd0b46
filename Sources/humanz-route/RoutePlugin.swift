import CNI
import Netlink
import Stage

/// The route stage: the pod's routes, and the node's to every other node's pods.
struct RoutePlugin: Plugin {
  static var name: String { "humanz-route" }

  let invocation: Invocation
  let configuration: RouteConfiguration

  init(_ invocation: Invocation) throws(CNIError) {
    self.invocation = invocation
    configuration = try RouteConfiguration(invocation.configuration)
  }

  private var network: NetworkName { invocation.configuration.name }

  // MARK: - ADD

  func add(_ attachment: Attachment, namespace: String) throws(CNIError) -> CNIResult {
    guard var result = invocation.configuration.prevResult else { throw needsPrevResult }
    let node = try Node()
    let pod = try Pod(path: namespace)
    let interface = try pod.interface(attachment.interface)
    let addresses = addressesBehindNode(result, interface, namespace)
    let routes = try PodRoutes(configuration, result, on: interface, of: pod)
    try putNodeRight(for: Gateway.families(of: addresses), node)
    do throws(CNIError) {
      try routes.make(in: pod)
      log(try NetworkRules(configuration, network, addresses).install())
    } catch {
      routes.undo(in: pod)
      throw error
    }
    result.routes = routes.result
    return result
  }

  /// What every pod of the node relies on: it stays, whatever becomes of this one. What cannot be
  /// made is logged.
  private func putNodeRight(
    for families: [IPAddress.Family], _ node: borrowing Node
  ) throws(CNIError) {
    for family in families { try Forwarding.enable(family, on: node) }
    // What is read of the cluster file holds until the routes are right: sync waits so long.
    let lock = try NodeLock(.shared)
    log(try NodeRoutes(configuration, node).putRight(on: node))
    lock.unlock()
  }

  private func log(_ complaints: [String]) {
    for complaint in complaints {
      invocation.configuration.log.write("\(RoutePlugin.name) \(complaint)")
    }
  }

  /// The pod's addresses, as far as their packets pass the node: those of a macvlan do not, and give
  /// no cause to forward or to open a firewall.
  private func addressesBehindNode(
    _ result: CNIResult, _ interface: Link, _ namespace: String
  ) -> [ResultIP] {
    guard interface.kind == "veth" || !configuration.network.isEmpty else { return [] }
    return result.ips(of: interface.name, sandbox: namespace)
  }

  // MARK: - DEL and GC

  /// The pod's routes went with its interface, and the node's serve the other pods; what the node
  /// remembers of the pod's addresses goes.
  func del(_ attachment: Attachment, namespace: String?) throws(CNIError) {
    let node = try Node()
    let traces = AttachmentTraces(
      of: attachment, on: network, invocation.configuration.prevResult, sandbox: namespace)
    // Connections are forgotten once: by humanz-bridge, whose DEL is still to come where its port is.
    let isBridges = try node.link(traces.host.name)?.alias == traces.host.alias
    do throws(NetlinkError) {
      try node.forget(traces, among: try node.socket.neighbours(), connections: !isBridges)
    } catch {
      throw CNIError(error)
    }
  }

  /// What the network's pods share goes with the last of them.
  func gc(keeping valid: [Attachment]) throws(CNIError) {
    if valid.isEmpty { try NetworkRules.remove(of: network) }
  }

  // MARK: - CHECK and STATUS

  func check(_ attachment: Attachment, namespace: String) throws(CNIError) {
    guard let result = invocation.configuration.prevResult else { throw needsPrevResult }
    let pod = try Pod(path: namespace)
    let interface = try pod.interface(attachment.interface)
    let addresses = addressesBehindNode(result, interface, namespace)
    try PodRoutes(configuration, result, on: interface, of: pod).check(in: pod)
    let node = try Node()
    let routes = try NodeRoutes(configuration, node)
    let families = Gateway.families(of: addresses)
    try refuse(complaints(families, addresses, routes, node), .checkFailed)
  }

  /// What pods suffer from. A node that has none yet is ready where the next ADD heals the rest.
  func status() throws(CNIError) {
    let node = try Node()
    let routes: NodeRoutes
    do throws(CNIError) { routes = try NodeRoutes(configuration, node) } catch {
      throw CNIError(.notAvailable, error.message, details: error.details)
    }
    let hasOwn = routes.hasOwn(besidesSync: configuration.clusterFile != nil)
    let isUsed = hasOwn ? true : try node.hasPods(of: network)
    let complaints =
      isUsed
      ? try complaints(configuration.families, [], routes, node)
      : try routes.complaints(healable: false, on: node)
    try refuse(complaints, .limitedConnectivity)
  }

  /// What is wrong on the node, each as a sentence.
  /// - Parameter addresses: the pod's; none in STATUS.
  @inline(never)
  private func complaints(
    _ families: [IPAddress.Family], _ addresses: [ResultIP], _ routes: NodeRoutes,
    _ node: borrowing Node
  ) throws(CNIError) -> [String] {
    var complaints: [String] = []
    for family in families where !Forwarding.isOn(family) {
      complaints.append("forwarding of IPv\(family.version) is off")
    }
    complaints += try routes.complaints(on: node)
    complaints += try NetworkRules(configuration, network, addresses).complaints()
    return complaints
  }

  private func refuse(_ complaints: [String], _ code: CNIError.Code) throws(CNIError) {
    guard let first = complaints.first else { return }
    throw CNIError(code, first, details: complaints.joined(separator: "; "))
  }

  private var needsPrevResult: CNIError {
    CNIError(
      .invalidConfiguration, "humanz-route needs \"prevResult\"",
      details: "put it into a conflist after the plugins that make the interface and its addresses")
  }
}

extension Node {
  /// Whether a link is humanz-bridge's, for a pod of the network.
  fileprivate borrowing func hasPods(of network: NetworkName) throws(CNIError) -> Bool {
    let links: [Link]
    do { links = try socket.links() } catch { throw CNIError(error) }
    return links.contains { link in
      link.alias.map { HostInterface.attachment(alias: $0, on: network) != nil } ?? false
    }
  }
}
