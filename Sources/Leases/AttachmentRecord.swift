import Addresses
import CNI
import CNetlink
import Node

/// What is kept beside the leases about an attachment: the way from it to its addresses, and whether
/// it still lives.
public struct AttachmentRecord: Equatable {
  public let attachment: Attachment
  public var addresses: [IPAddress]
  /// CNI_NETNS; nil where it is not known, as for a lease that host-local made.
  public var namespace: String?
  /// The node's end of the pair; nil where it is not known.
  public var hostInterface: InterfaceName?
  /// The boot in which the lease was made; nil where it is not known.
  public var bootID: String?
  /// RFC 3339, UTC.
  public var time: String

  /// Reads an attachment file; nil for what is none.
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
    bootID = object["bootID"]?.string
    time = object["time"]?.string ?? ""
  }

  init(
    _ attachment: Attachment, addresses: [IPAddress], namespace: String? = nil,
    hostInterface: InterfaceName? = nil, bootID: String? = nil, time: String
  ) {
    self.attachment = attachment
    self.addresses = addresses
    self.namespace = namespace
    self.hostInterface = hostInterface
    self.bootID = bootID
    self.time = time
  }

  var text: [UInt8] {
    JSON.object(
      JSONObject(
        ("addresses", .array(addresses.map { .string($0.description) })),
        ("netns", namespace.map { .string($0) }),
        ("hostInterface", hostInterface.map { .string($0.description) }),
        ("bootID", bootID.map { .string($0) }), ("time", .string(time)))
    ).text + [0x0a]
  }
}
