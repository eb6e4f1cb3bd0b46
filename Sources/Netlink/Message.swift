// SPDX-License-Identifier: Apache-2.0
import CNetlink
import Embedded
import System

/// A message from the kernel, valid only inside the closure that reads it.
///
/// Lengths in the message are not trusted: everything here stays inside the buffer, and what does not fit
/// counts as absent.
public struct Message {
  let bytes: UnsafeRawBufferPointer

  /// Precondition: `bytes` begins with a whole header and is as long as it says.
  init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

  private var header: nlmsghdr { bytes.loadUnaligned(as: nlmsghdr.self) }

  /// RTM_NEWLINK and the like (`nlmsg_type`).
  public var type: UInt16 { header.nlmsg_type }
  /// NLM_F_MULTI and the like (`nlmsg_flags`).
  public var flags: UInt16 { header.nlmsg_flags }
  var sequence: UInt32 { header.nlmsg_seq }

  /// What follows the netlink header.
  var payload: UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(rebasing: bytes[MemoryLayout<nlmsghdr>.size...])
  }

  /// The header of the message's family; nil if the message is too short for it.
  public func header<Header: BitwiseCopyable>(_: Header.Type) -> Header? {
    guard payload.count >= MemoryLayout<Header>.size else { return nil }
    return payload.loadUnaligned(as: Header.self)
  }

  /// The attributes behind the header of the message's family.
  public func attributes<Header>(after _: Header.Type) -> Attributes {
    Attributes(payload, from: MemoryLayout<Header>.size)
  }

  /// The error in NLMSG_ERROR or NLMSG_DONE; nil for success.
  func failure(of attempt: String) -> NetlinkError? {
    guard let code = header(Int32.self), code != 0 else { return nil }
    var offset = MemoryLayout<Int32>.size
    if type == UInt16(NLMSG_ERROR), let error = header(nlmsgerr.self) {
      // NETLINK_CAP_ACK: the request's header comes back, its attributes do not.
      let isCapped = Int32(flags) & NLM_F_CAPPED != 0
      offset += isCapped ? MemoryLayout<nlmsghdr>.size : Int(error.msg.nlmsg_len)
    }
    var text: String?
    if Int32(flags) & NLM_F_ACK_TLVS != 0 {
      text = Attributes(payload, from: offset).first(NLMSGERR_ATTR_MSG)?.string
    }
    return NetlinkError(attempt: attempt, errno: Errno(0 &- code), text: text)
  }
}

/// The messages of one datagram.
struct Messages: Sequence, IteratorProtocol {
  private var rest: UnsafeRawBufferPointer

  init(_ bytes: UnsafeRawBufferPointer) { rest = bytes }

  @inline(never)
  mutating func next() -> Message? {
    guard let start = rest.baseAddress?.assumingMemoryBound(to: nlmsghdr.self),
      mnl_nlmsg_ok(start, Int32(rest.count))
    else { return nil }
    // libmnl reads a length of 2 GiB or more as a negative one.
    let length = Int(start.pointee.nlmsg_len)
    guard length <= rest.count else { return nil }
    let message = Message(UnsafeRawBufferPointer(rebasing: rest[..<length]))
    rest = UnsafeRawBufferPointer(rebasing: rest[Swift.min(aligned(length), rest.count)...])
    return message
  }
}

/// The attributes in a part of a message, up to the first that does not fit.
public struct Attributes: Sequence, IteratorProtocol {
  private var rest: UnsafeRawBufferPointer

  /// Reads attributes that the caller keeps in memory.
  /// - Parameter offset: where the first one begins; it is rounded up to a multiple of four.
  public init(_ bytes: UnsafeRawBufferPointer, from offset: Int = 0) {
    rest = UnsafeRawBufferPointer(rebasing: bytes[Swift.min(aligned(offset), bytes.count)...])
  }

  /// The next attribute; nil at the end, and at one that does not fit.
  @inline(never)
  public mutating func next() -> Attribute? {
    guard let start = rest.baseAddress?.assumingMemoryBound(to: nlattr.self),
      mnl_attr_ok(start, Int32(rest.count))
    else { return nil }
    let length = Int(mnl_attr_get_len(start))
    let attribute = Attribute(
      type: mnl_attr_get_type(start),
      isNest: UInt32(start.pointee.nla_type) & UInt32(NLA_F_NESTED) != 0,
      payload: UnsafeRawBufferPointer(rebasing: rest[MemoryLayout<nlattr>.size..<length]))
    rest = UnsafeRawBufferPointer(rebasing: rest[Swift.min(aligned(length), rest.count)...])
    return attribute
  }

  /// The first attribute of a type; nil if there is none.
  public func first(_ type: some KernelConstant) -> Attribute? { first(number: type.number) }

  @inline(never)
  private func first(number: UInt32) -> Attribute? { first { $0.type == number } }
}

/// One attribute of a message. Its values are nil if the payload is too short.
public struct Attribute {
  /// Without NLA_F_NESTED and NLA_F_NET_BYTEORDER.
  public let type: UInt16
  /// Whether NLA_F_NESTED is set. The kernel does not set it on every nest.
  public let isNest: Bool
  /// What follows the attribute's header. Valid only inside the closure that reads the message.
  public let payload: UnsafeRawBufferPointer

  /// A copy of the payload.
  public var bytes: [UInt8] { Array(payload) }
  /// The payload's first byte.
  public var uint8: UInt8? { value(UInt8.self) }
  /// The payload's first two bytes, in the host's byte order.
  public var uint16: UInt16? { value(UInt16.self) }
  /// The payload's first four bytes, in the host's byte order.
  public var uint32: UInt32? { value(UInt32.self) }
  /// The payload's first four bytes, in the host's byte order, with a sign.
  public var int32: Int32? { value(Int32.self) }
  /// The payload's first four bytes, in network byte order, which netfilter uses for integers.
  public var bigEndianUInt32: UInt32? { uint32.map { UInt32(bigEndian: $0) } }

  /// The text up to the first zero byte.
  public var string: String { String(zeroTerminated: payload) }

  /// The payload read as attributes.
  public var nested: Attributes { Attributes(payload) }

  /// The attributes after a structure at the start of the payload.
  public func attributes<Header>(after _: Header.Type) -> Attributes {
    Attributes(payload, from: MemoryLayout<Header>.size)
  }

  /// A kernel structure at the start of the payload.
  public func value<Value: BitwiseCopyable>(_: Value.Type) -> Value? {
    guard payload.count >= MemoryLayout<Value>.size else { return nil }
    return payload.loadUnaligned(as: Value.self)
  }
}

/// Rounds up to a multiple of four, as MNL_ALIGN does.
func aligned(_ length: Int) -> Int { (length + 3) & ~3 }
