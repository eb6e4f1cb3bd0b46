import CNI
import CNetlink

/// One netlink message under construction: header, the family's own header, attributes.
///
/// A value with storage of its own, so that a batch is an array. libmnl writes the attributes; where
/// one does not fit the storage grows and it is written again.
public struct Request {
  /// What the message asks for, for an error: "create link veth12".
  public let attempt: String
  private var storage: [UInt8]

  /// - Parameters:
  ///   - type: a message type such as RTM_NEWLINK.
  ///   - flags: NLM_F_ flags; NLM_F_REQUEST is always set.
  ///   - header: the structure that follows `nlmsghdr` in this family, such as `ifinfomsg`.
  public init<Header>(
    _ attempt: String, type: Int, flags: Int32 = 0, header: Header
  ) {
    self.attempt = attempt
    storage = [UInt8](repeating: 0, count: 512)
    storage.withUnsafeMutableBytes { buffer in
      let message = mnl_nlmsg_put_header(buffer.baseAddress)!
      message.pointee.nlmsg_type = UInt16(type)
      message.pointee.nlmsg_flags = UInt16(NLM_F_REQUEST | flags)
    }
    putHeader(header)
  }

  /// The message as it is sent.
  public var bytes: [UInt8] { Array(storage[..<length]) }

  /// Adds flags, as the one who sends the message needs them.
  mutating func add(flags: Int32) {
    withMessage { $0.pointee.nlmsg_flags |= UInt16(flags) }
  }

  /// Numbers the message, so that its answers can be told from others.
  mutating func number(_ sequence: UInt32) {
    withMessage { $0.pointee.nlmsg_seq = sequence }
  }

  // MARK: Attributes

  public mutating func put(_ type: Int, _ value: UInt8) {
    grow { mnl_attr_put_u8_check($0, $1, UInt16(type), value) }
  }

  public mutating func put(_ type: Int, _ value: UInt16) {
    grow { mnl_attr_put_u16_check($0, $1, UInt16(type), value) }
  }

  public mutating func put(_ type: Int, _ value: UInt32) {
    grow { mnl_attr_put_u32_check($0, $1, UInt16(type), value) }
  }

  public mutating func put(_ type: Int, _ value: Int32) {
    put(type, UInt32(bitPattern: value))
  }

  /// A text with the zero byte that ends it.
  public mutating func put(_ type: Int, _ value: String) {
    grow { mnl_attr_put_strz_check($0, $1, UInt16(type), value) }
  }

  public mutating func put(_ type: Int, _ value: [UInt8]) {
    grow { mnl_attr_put_check($0, $1, UInt16(type), value.count, value) }
  }

  /// A structure as it lies in memory.
  public mutating func put<Value>(_ type: Int, structure value: Value) {
    put(type, withUnsafeBytes(of: value) { Array($0) })
  }

  /// An attribute that holds the attributes put in `body`.
  public mutating func nest(_ type: Int, _ body: (inout Request) -> Void) {
    let start = length
    put(type | Int(NLA_F_NESTED), [UInt8]())
    body(&self)
    let end = length
    storage.withUnsafeMutableBytes {
      $0.storeBytes(of: UInt16(end - start), toByteOffset: start, as: UInt16.self)
    }
  }

  /// A structure that stands without an attribute header of its own, as in VETH_INFO_PEER.
  mutating func putHeader<Header>(_ header: Header) {
    let size = MemoryLayout<Header>.size
    while storage.count < length + size + 4 {
      storage += [UInt8](repeating: 0, count: storage.count)
    }
    withMessage { message in
      let place = mnl_nlmsg_put_extra_header(message, size)!
      withUnsafeBytes(of: header) { place.copyMemory(from: $0.baseAddress!, byteCount: size) }
    }
  }

  /// `nlmsg_len`: how much of the storage the message takes up by now.
  private var length: Int { Int(storage[...].integer(as: UInt32.self)) }

  private mutating func withMessage(_ body: (UnsafeMutablePointer<nlmsghdr>) -> Void) {
    storage.withUnsafeMutableBytes {
      body($0.baseAddress!.assumingMemoryBound(to: nlmsghdr.self))
    }
  }

  /// Puts an attribute, in twice the storage until it fits.
  private mutating func grow(_ put: (UnsafeMutablePointer<nlmsghdr>, Int) -> Bool) {
    while true {
      let fits = storage.withUnsafeMutableBytes {
        put($0.baseAddress!.assumingMemoryBound(to: nlmsghdr.self), $0.count)
      }
      if fits { return }
      storage += [UInt8](repeating: 0, count: storage.count)
    }
  }
}
