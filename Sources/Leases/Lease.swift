// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNI
import CNetlink
import Embedded
import System

/// A lease file in host-local's form: the address is its name; container ID, CR LF and interface name are
/// its content.
public struct Lease: Equatable, Sendable {
  /// The leased address: the file's name.
  public let address: IPAddress
  /// Who holds it: the file's content.
  public let holder: Holder
}

/// Who holds a lease.
public enum Holder: Equatable, Sendable {
  case attachment(Attachment)
  /// A container, by host-local's oldest form (before release 0.7.0), which names no interface. A DEL of the
  /// container frees it; GC does not: an administrator may reserve an address with a file that has some words
  /// in it.
  case container(ContainerID)
  /// The content of a file that is in neither form. Only a person frees it.
  case unknown(String)

  init(_ bytes: [UInt8]) {
    let words = String(decoding: bytes.map { $0 == 0x0d ? 0x0a : $0 }).fields(separatedBy: "\n")
    if words.count == 1, let containerID = ContainerID(words[0]) {
      self = .container(containerID)
    } else if words.count == 2, let containerID = ContainerID(words[0]),
      let interface = InterfaceName(words[1])
    {
      self = .attachment(Attachment(containerID: containerID, interface: interface))
    } else {
      self = .unknown(String(decoding: bytes))
    }
  }

  /// The attachment; nil if the holder names no interface, or is unknown.
  public var attachment: Attachment? {
    if case .attachment(let attachment) = self { attachment } else { nil }
  }

  /// The container; nil if the holder is unknown.
  public var containerID: ContainerID? {
    switch self {
    case .attachment(let attachment): attachment.containerID
    case .container(let containerID): containerID
    case .unknown: nil
    }
  }
}

extension Holder: CustomStringConvertible {
  public var description: String {
    switch self {
    case .attachment(let attachment): attachment.title
    case .container(let containerID): "\(containerID)"
    case .unknown(let text): "an unknown holder (\"\(text)\")"
    }
  }
}

extension Attachment {
  /// The attachment as a message names it: `CONTAINER INTERFACE`.
  public var title: String { "\(containerID) \(interface)" }

  /// The content of the attachment's lease files.
  var leaseContent: [UInt8] { Array("\(containerID)\r\n\(interface)".utf8) }

  /// The name of the attachment's file: neither part can have a colon.
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
  /// The lease of an address, in a directory of lease files; nil if there is none. An empty file, as a killed
  /// host-local leaves it, is not a lease. A directory, a link or a socket is one of an unknown holder.
  public borrowing func lease(of address: IPAddress) throws(SystemError) -> Lease? {
    do throws(SystemError) {
      guard let bytes = try read(address.description), !bytes.isEmpty else { return nil }
      return Lease(address: address, holder: Holder(bytes))
    } catch {
      // Somebody put a directory, a link or a socket there to keep the address.
      guard error.isNotAFile else { throw error }
      return Lease(address: address, holder: .unknown("not a file"))
    }
  }

  /// When a lease file was written: RFC 3339, UTC, as from `Clock.timestamp(_:)`; empty if there is none any
  /// more.
  public borrowing func timestamp(of name: String) throws(SystemError) -> String {
    try status(of: name).map { Clock.timestamp($0.st_mtim) } ?? ""
  }

  /// Every address that has a lease file, also an empty one: see `lease(of:)`.
  ///
  /// There may be tens of thousands: each name is parsed in the directory's own buffer. The
  /// corresponding C function is `inet_pton`.
  public borrowing func leased() throws(SystemError) -> [IPAddress] {
    var addresses: [IPAddress] = []
    try forEachName { name in
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

  /// The addresses among these that a holder has, in their order.
  public borrowing func held(
    by holder: Holder, among addresses: [IPAddress]
  ) throws(SystemError) -> [IPAddress] {
    var held: [IPAddress] = []
    for address in addresses where try lease(of: address)?.holder == holder {
      held.append(address)
    }
    return held
  }

  /// As `read`, but nil also for what is not a file (a directory, a link, a socket), and for a file of more
  /// than `limit` bytes.
  borrowing func readFile(
    _ name: String, limit: Int = Directory.readLimit
  ) throws(SystemError) -> [UInt8]? {
    do throws(SystemError) { return try read(name, limit: limit) } catch {
      guard error.isNotAFile else { throw error }
      return nil
    }
  }
}

extension SystemError {
  /// Whether opening or reading failed because of a directory, a symbolic link, a socket, or a device
  /// without end.
  var isNotAFile: Bool {
    [.isDirectory, .tooManySymbolicLinkLevels, .noSuchAddressOrDevice, .fileTooLarge].contains(
      errno)
  }
}
