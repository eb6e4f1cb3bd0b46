// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNI
import CNetlink
import System

/// An attachment's file, `attachments/<container>:<interface>`: a JSON object that leads to the
/// attachment's addresses, and says what shows whether it still lives.
public struct AttachmentRecord: Equatable {
  public let attachment: Attachment
  public var addresses: [IPAddress]
  /// CNI_NETNS; nil where it is not known, as for a lease that host-local made.
  public var namespace: String?
  /// The node's end of the pair; nil where it is not known.
  public var hostInterface: InterfaceName?
  /// The pod of Kubernetes; nil where the runtime does not name one.
  public var pod: PodName?
  /// The boot in which the lease was made; nil where it is not known.
  public var bootID: String?
  /// RFC 3339, UTC.
  public var time: String

  /// Thousands of range sets, or a long CNI_NETNS, make a file that is larger than others. What is written must
  /// be read again: else the attachment could not be deleted.
  static let sizeLimit = FileDescriptor.sizeLimit

  /// Reads an attachment's file; nil for another content.
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
