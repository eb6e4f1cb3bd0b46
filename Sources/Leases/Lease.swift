import Addresses
import CNI
import CNetlink
import Embedded
import Node
import System

/// A lease file in host-local's form: its name is the address; container ID, CR LF and interface name
/// are in it.
public struct Lease: Equatable {
  public let address: IPAddress
  public let holder: Holder
}

/// Whose a lease is.
public enum Holder: Equatable {
  case attachment(Attachment)
  /// What is in a file that we do not understand, such as that of a host-local before interface names
  /// were kept. It is never freed but by a person.
  case unknown(String)

  init(_ bytes: [UInt8]) {
    let text = String(decoding: bytes, as: UTF8.self)
    let parts = bytes.split(whereSeparator: { $0 == 0x0a || $0 == 0x0d }).map { part in
      String(decoding: part, as: UTF8.self)
    }
    if parts.count == 2, let containerID = ContainerID(parts[0]),
      let interface = InterfaceName(parts[1])
    {
      self = .attachment(Attachment(containerID: containerID, interface: interface))
    } else {
      self = .unknown(text)
    }
  }

  public var attachment: Attachment? {
    if case .attachment(let attachment) = self { attachment } else { nil }
  }
}

extension Holder: CustomStringConvertible {
  public var description: String {
    switch self {
    case .attachment(let attachment): attachment.title
    case .unknown(let text): "an unknown holder (\"\(text)\")"
    }
  }
}

extension Attachment {
  /// The attachment as a message names it.
  public var title: String { "\(containerID) \(interface)" }

  /// What a lease file of the attachment has in it.
  var leaseContent: [UInt8] { Array("\(containerID)\r\n\(interface)".utf8) }

  /// The name of its attachment file: neither part can have a colon.
  var fileName: String { "\(containerID):\(interface)" }

  init?(fileName: String) {
    let parts = fileName.fields(separatedBy: ":", omittingEmpty: false)
    guard parts.count == 2, let containerID = ContainerID(parts[0]),
      let interface = InterfaceName(parts[1])
    else { return nil }
    self.init(containerID: containerID, interface: interface)
  }
}

extension Directory {
  /// The lease of an address, in a directory of lease files; nil where there is none. An empty file, as
  /// host-local leaves where it is killed, is none.
  public borrowing func lease(of address: IPAddress) throws(SystemError) -> Lease? {
    do throws(SystemError) {
      guard let bytes = try read(address.description), !bytes.isEmpty else { return nil }
      return Lease(address: address, holder: Holder(bytes))
    } catch {
      // A folder, a link or a socket of that name: whoever put it there wants the address kept.
      guard
        [.isDirectory, .tooManySymbolicLinkLevels, .noSuchAddressOrDevice].contains(error.errno)
      else { throw error }
      return Lease(address: address, holder: .unknown("what is no file"))
    }
  }

  /// When a lease file was written; empty where there is none any more.
  public borrowing func timestamp(of name: String) throws(SystemError) -> String {
    try status(of: name).map { Clock.timestamp($0.st_mtim) } ?? ""
  }

  /// Every address that has a lease file.
  ///
  /// There may be tens of thousands: they are read where they stand. The corresponding C function is
  /// `inet_pton`.
  public borrowing func leased() throws(SystemError) -> [IPAddress] {
    var addresses: [IPAddress] = []
    try eachName { name in
      var four = in_addr()
      var sixteen: (UInt64, UInt64) = (0, 0)
      if inet_pton(AF_INET, name, &four) == 1 {
        addresses.append(IPAddress(.v4, UInt128(UInt32(bigEndian: four.s_addr))))
      } else if inet_pton(AF_INET6, name, &sixteen) == 1 {
        let (high, low) = (UInt64(bigEndian: sixteen.0), UInt64(bigEndian: sixteen.1))
        addresses.append(IPAddress(.v6, UInt128(high) << 64 | UInt128(low)))
      }
    }
    return addresses
  }

  /// Those of some addresses that an attachment holds.
  public borrowing func held(
    by attachment: Attachment, among addresses: [IPAddress]
  ) throws(SystemError) -> [IPAddress] {
    var held: [IPAddress] = []
    for address in addresses where try lease(of: address)?.holder == .attachment(attachment) {
      held.append(address)
    }
    return held
  }
}
