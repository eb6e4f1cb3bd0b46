// SPDX-License-Identifier: Apache-2.0
import CNI
import Glibc
import Netlink
import Node

/// Makes networks unreachable for pods: `{"type": "deny", "deny": ["169.254.169.254/32"]}` ends a conflist.
struct DenyPlugin: Plugin {
  static var name: String { "deny" }
  static var summary: String { "makes networks unreachable for pods" }
  let invocation: Invocation
  init(_ invocation: Invocation) { self.invocation = invocation }

  func unknownKeys() throws(CNIError) -> [UnknownKey] {
    try invocation.configuration.keys.refuseMisspelled([.ofEveryPlugin, KnownKeys("deny")])
  }

  private func routes() throws(CNIError) -> [Route] {
    let networks = try invocation.configuration.keys.networks("deny")
    return networks.map { Route(destination: $0, kind: .unreachable) }
  }

  func add(
    _ attachment: Attachment, namespace: String, print: (CNIResult) throws(CNIError) -> Void
  ) throws(CNIError) {
    let routes = try routes()
    let needsResult = CNIError(.invalidConfiguration, "deny needs \"prevResult\"")
    guard let result = try invocation.configuration.prevResult() else { throw needsResult }
    let node = try Node()
    let pod = try Pod(path: namespace)
    var undo = Undo()
    undo.push(.pod(routes.map { .deleteRoute($0) }))
    do throws(CNIError) {
      try pod.kernel.perform(routes.map { .replaceRoute($0) })
      try print(result)
    } catch {
      undo.run(node: node.kernel, pod: pod.kernel)
      throw error
    }
  }

  func del(_ attachment: Attachment, namespace: String?) throws(CNIError) {
    guard let pod = try Pod.ifPresent(namespace), let routes = try? routes() else { return }
    try pod.kernel.performIfPresent(routes.map { .deleteRoute($0) })
  }

  func check(_ attachment: Attachment, namespace: String) throws(CNIError) {
    let pod = try Pod(path: namespace)
    for route in try routes() {
      let present = try pod.kernel.routes(route.destination.family)
      if present.contains(where: route.isInstalled) { continue }
      throw CNIError(.checkFailed, "\(route.destination) is reachable from \(namespace)")
    }
  }
  func status() throws(CNIError) { _ = try routes() }
  func gc(keeping valid: [Attachment]) {}  // The routes go with the pod's namespace.
}

exit(DenyPlugin.run())
