import CNI
import CNetlink

/// A lease file in host-local's form: its name is the address; container ID, CR LF and interface name
/// are in it.
struct Lease: Equatable {
  let address: IPAddress
  let holder: Holder
  /// When the file was written.
  let written: Instant
}

/// Whose a lease is.
enum Holder: Equatable {
  case attachment(Attachment)
  /// What is in a file that we do not understand, such as that of a host-local before interface names
  /// were kept. It is never freed but by a person.
  case unknown(String)

  init(_ bytes: [UInt8]) {
    let text = String(decoding: bytes, as: UTF8.self)
    let parts = bytes.split(separator: UInt8(ascii: "\n"), maxSplits: 1).map { part in
      String(decoding: part.filter { $0 > 0x20 }, as: UTF8.self)
    }
    if parts.count == 2, let containerID = ContainerID(parts[0]),
      let interface = InterfaceName(parts[1])
    {
      self = .attachment(Attachment(containerID: containerID, interface: interface))
    } else {
      self = .unknown(text)
    }
  }

  var attachment: Attachment? {
    if case .attachment(let attachment) = self { attachment } else { nil }
  }
}

extension Holder: CustomStringConvertible {
  var description: String {
    switch self {
    case .attachment(let attachment): attachment.title
    case .unknown(let text): "an unknown holder (\"\(text)\")"
    }
  }
}

extension Attachment {
  /// The attachment as a message names it.
  var title: String { "\(containerID) \(interface)" }

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

/// A file's time.
struct Instant: Comparable {
  let seconds: Int
  let nanoseconds: Int

  init(_ time: timespec) { (seconds, nanoseconds) = (time.tv_sec, time.tv_nsec) }

  var time: timespec { timespec(tv_sec: seconds, tv_nsec: nanoseconds) }

  static func < (left: Instant, right: Instant) -> Bool {
    (left.seconds, left.nanoseconds) < (right.seconds, right.nanoseconds)
  }
}
