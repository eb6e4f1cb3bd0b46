// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNI
import CNetlink
import System

/// An attachment's file, `attachments/<container>:<interface>`: a JSON object with the attachment's addresses,
/// and with what shows whether it still exists.
public struct AttachmentRecord: Equatable {
  /// The attachment, which the file's name names.
  public let attachment: Attachment
  /// The addresses that the attachment was given. A lease may have been freed since, and have another
  /// holder now.
  public var addresses: [IPAddress]
  /// CNI_NETNS; nil if it is not known, as for a lease that host-local made.
  public var namespace: String?
  /// The node's end of the pair; nil if it is not known.
  public var hostInterface: InterfaceName?
  /// The Kubernetes pod; nil if the runtime does not name one.
  public var pod: PodName?
  /// The boot in which the lease was made; nil if it is not known.
  public var bootID: String?
  /// When the lease was made: RFC 3339, UTC; empty if it is not known.
  public var time: String

  /// Thousands of range sets, or a long CNI_NETNS, make a large file. It must stay readable: otherwise the
  /// attachment could not be deleted.
  static let sizeLimit = FileDescriptor.sizeLimit

  /// Reads an attachment's file; nil for any other content.
  init?(_ attachment: Attachment, parsing text: [UInt8]) {
    guard let object = (try? JSON(parsing: text))?.object,
      let addresses = object["addresses"]?.array?.compactMap({ $0.string.flatMap { IPAddress($0) } }
      ),
      !addresses.isEmpty
    else { return nil }
    self.attachment = attachment
    self.addresses = addresses
    namespace = object["netns"]?.string
    hostInterface = object["hostInterface"]?.string.flatMap { InterfaceName($0) }
    if let namespace = object["podNamespace"]?.string, let name = object["podName"]?.string {
      pod = PodName(namespace: namespace, name: name)
    }
    bootID = object["bootID"]?.string
    time = object["time"]?.string ?? ""
  }

  init(_ attachment: Attachment, addresses: [IPAddress], time: String) {
    self.attachment = attachment
    self.addresses = addresses
    self.time = time
  }

  var text: [UInt8] {
    JSON.object(
      JSONObject(
        ("addresses", .array(addresses.map { .string($0.description) })),
        ("netns", namespace.map { .string($0) }),
        ("hostInterface", hostInterface.map { .string($0.description) }),
        ("podNamespace", pod.map { .string($0.namespace) }),
        ("podName", pod.map { .string($0.name) }),
        ("bootID", bootID.map { .string($0) }), ("time", .string(time)))
    ).text + [0x0a]
  }
}
