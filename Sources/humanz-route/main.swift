import CNI
import CNetlink

struct Route: Plugin {
  static var name: String { "humanz-route" }
  let invocation: Invocation
  init(_ invocation: Invocation) throws(CNIError) { self.invocation = invocation }
  func add(_ attachment: Attachment, namespace: String) throws(CNIError) -> CNIResult {
    invocation.configuration.prevResult ?? CNIResult()
  }
  func del(_ attachment: Attachment, namespace: String?) throws(CNIError) {}
  func check(_ attachment: Attachment, namespace: String) throws(CNIError) {}
  func gc(keeping valid: [Attachment]) throws(CNIError) {}
  func status() throws(CNIError) {}
}

exit(Route.run())
