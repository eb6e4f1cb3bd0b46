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

  func add(_ attachment: Attachment, namespace: String) throws(CNIError) -> CNIResult {
    guard var result = invocation.configuration.prevResult else { throw needsPrevResult }
    let node = try Node()
    let pod = try Pod(path: namespace)
    let interface = try pod.interface(attachment.interface)
    let routes = PodRoutes(
      configuration, result, on: attachment.interface, sandbox: namespace)
    for family in Gateway.families(of: routes.addresses) {
      try Forwarding.enable(family, on: node)
    }
    for complaint in try NodeRoutes(configuration, node).putRight(on: node) {
      invocation.configuration.log.write("\(RoutePlugin.name) \(complaint)")
    }
    try pod.configure(interface, addresses: [], routes: routes.all, through: routes.addresses)
    result.routes += routes.added
    return result
  }

  /// The pod's routes went with its interface; the node's serve the other pods.
  func del(_ attachment: Attachment, namespace: String?) throws(CNIError) {}

  func check(_ attachment: Attachment, namespace: String) throws(CNIError) {
    guard let result = invocation.configuration.prevResult else { throw needsPrevResult }
    let node = try Node()
    let pod = try Pod(path: namespace)
    let routes = PodRoutes(
      configuration, result, on: attachment.interface, sandbox: namespace)
    try pod.checkRoutes(routes.all)
    let wrong = try complaints(families: Gateway.families(of: routes.addresses), node)
    guard wrong.isEmpty else {
      throw CNIError(.checkFailed, wrong[0], details: wrong.joined(separator: "; "))
    }
  }

  func gc(keeping valid: [Attachment]) throws(CNIError) {}

  func status() throws(CNIError) {
    let families = [IPAddress.Family.v4, .v6].filter { family in
      configuration.network.contains { $0.family == family }
    }
    let wrong = try complaints(families: families, Node())
    guard wrong.isEmpty else {
      throw CNIError(.limitedConnectivity, wrong[0], details: wrong.joined(separator: "; "))
    }
  }

  /// What is wrong on the node, each as a sentence.
  private func complaints(
    families: [IPAddress.Family], _ node: borrowing Node
  ) throws(CNIError) -> [String] {
    families.filter { !Forwarding.isOn($0) }.map { "forwarding of IPv\($0.version) is off" }
      + (try NodeRoutes(configuration, node).complaints)
  }

  private var needsPrevResult: CNIError {
    CNIError(
      .invalidConfiguration, "humanz-route needs \"prevResult\"",
      details: "put it into a conflist after the plugins that make the interface and its addresses")
  }
}
