// SPDX-License-Identifier: Apache-2.0
import CNetlink

/// One netlink message to the kernel, as a value: it can be built, compared and batched without a
/// socket.
///
/// A request is built by adding attributes in order:
///
///     var request = Request(
///       "create bridge cni0", RTM_NEWLINK, flags: NLM_F_CREATE | NLM_F_EXCL, header: ifinfomsg())
///     request.put(IFLA_IFNAME, "cni0")
///     request.nest(IFLA_LINKINFO) { $0.put(IFLA_INFO_KIND, "bridge") }
public struct Request: Equatable, Sendable {
  /// What the message does, as it follows "cannot" in an error.
  public let attempt: String
  /// The message, followed by zeros.
  private var storage: [UInt8]

  /// Begins a message with the header of its family (`ifinfomsg`, `rtmsg`, `nfgenmsg`, ...).
  /// NLM_F_REQUEST is always set. The socket sets the acknowledgement flag and the sequence number.
  /// - Parameters:
  ///   - attempt: as it follows "cannot": `create bridge cni0`.
  ///   - type: RTM_NEWLINK and the like.
  public init<Header: BitwiseCopyable>(
    _ attempt: String, _ type: some KernelConstant, flags: Int32 = 0, header: Header
  ) {
    self.init(attempt, number: type.number, flags: flags)
    put(header: header)
  }

  @inline(never)
  private init(_ attempt: String, number: UInt32, flags: Int32) {
    self.attempt = attempt
    storage = [UInt8](repeating: 0, count: 256)
    withMessage { message, _ in
      mnl_nlmsg_put_header(message)
      message.pointee.nlmsg_type = UInt16(number)
      message.pointee.nlmsg_flags = UInt16(NLM_F_REQUEST | flags)
    }
  }

  /// The message, as long as its header says.
  public var bytes: ArraySlice<UInt8> {
    storage[..<storage.withUnsafeBytes { Int($0.loadUnaligned(as: UInt32.self)) }]
  }

  public static func == (left: Request, right: Request) -> Bool {
    left.attempt == right.attempt && left.bytes == right.bytes
  }
}

// MARK: - Attributes

extension Request {
  /// Adds an attribute with these bytes. The corresponding C function is `mnl_attr_put`.
  public mutating func put(_ type: some KernelConstant, _ bytes: [UInt8]) {
    put(number: type.number, bytes)
  }

  /// Adds an attribute of one byte.
  public mutating func put(_ type: some KernelConstant, _ value: UInt8) {
    put(number: type.number, UInt32(value), size: 1)
  }
  /// Adds an attribute of two bytes, in the host's byte order. For network byte order see `bigEndian`.
  public mutating func put(_ type: some KernelConstant, _ value: UInt16) {
    put(number: type.number, UInt32(value), size: 2)
  }
  /// Adds an attribute of four bytes, in the host's byte order.
  public mutating func put(_ type: some KernelConstant, _ value: UInt32) {
    put(number: type.number, value, size: 4)
  }
  /// Adds an attribute of four bytes, in the host's byte order.
  public mutating func put(_ type: some KernelConstant, _ value: Int32) {
    put(number: type.number, UInt32(bitPattern: value), size: 4)
  }

  /// Adds an attribute with a text and a zero byte after it.
  public mutating func put(_ type: some KernelConstant, _ text: String) {
    put(number: type.number, text)
  }

  /// Adds an attribute with a kernel structure as it is in memory.
  public mutating func put<Value: BitwiseCopyable>(_ type: some KernelConstant, value: Value) {
    withUnsafeBytes(of: value) { put(number: type.number, raw: $0) }
  }

  // The generic functions above only convert the constant. The work is here once, not in each of their hundreds
  // of callers.

  @inline(never)
  private mutating func put(number: UInt32, _ bytes: [UInt8]) {
    bytes.withUnsafeBytes { put(number: number, raw: $0) }
  }

  /// Adds the first bytes of an integer in the order of the machine, which is little-endian.
  @inline(never)
  private mutating func put(number: UInt32, _ value: UInt32, size: Int) {
    withUnsafeBytes(of: value.littleEndian) {
      put(number: number, raw: UnsafeRawBufferPointer(rebasing: $0[..<size]))
    }
  }

  @inline(never)
  private mutating func put(number: UInt32, _ text: String) {
    put(number: number, Array(text.utf8) + [0])
  }

  /// Adds an attribute that contains those that `body` adds. The corresponding C functions are
  /// `mnl_attr_nest_start` and `mnl_attr_nest_end`; they keep a pointer, which a growing message
  /// invalidates.
  public mutating func nest(_ type: some KernelConstant, _ body: (inout Request) -> Void) {
    let start = begin(nest: type.number)
    body(&self)
    setLength(at: start)
  }

  /// Begins a nest.
  /// - Returns: where it begins in the message.
  @inline(never)
  private mutating func begin(nest number: UInt32) -> Int {
    let start = bytes.count
    put(
      number: UInt32(NLA_F_NESTED) | number, raw: UnsafeRawBufferPointer(start: nil, count: 0))
    return start
  }

  /// Adds a structure that begins with its own length, followed by its attributes, as RTA_MULTIPATH has
  /// for each next hop.
  public mutating func put<Header: BitwiseCopyable>(
    lengthPrefixed header: Header, _ body: (inout Request) -> Void
  ) {
    let start = bytes.count
    put(header: header)
    body(&self)
    setLength(at: start)
  }

  /// Writes at `start` the length of everything from there on, as `mnl_attr_nest_end` does.
  @inline(never)
  private mutating func setLength(at start: Int) {
    let length = bytes.count - start
    precondition(length <= Int(UInt16.max), "an attribute's length has 16 bits")
    storage.withUnsafeMutableBytes {
      $0.storeBytes(of: UInt16(length), toByteOffset: start, as: UInt16.self)
    }
  }

  /// Adds a family's header, also inside an attribute, as in VETH_INFO_PEER.
  public mutating func put<Header: BitwiseCopyable>(header: Header) {
    withUnsafeBytes(of: header) { put(rawHeader: $0) }
  }

  @inline(never)
  private mutating func put(rawHeader header: UnsafeRawBufferPointer) {
    reserve(header.count + Int(MNL_ALIGNTO))
    withMessage { message, _ in
      let extra = mnl_nlmsg_put_extra_header(message, header.count)
      UnsafeMutableRawBufferPointer(start: extra, count: header.count).copyMemory(from: header)
    }
  }

  @inline(never)
  private mutating func put(number: UInt32, raw: UnsafeRawBufferPointer) {
    precondition(raw.count <= Int(UInt16.max) - 4, "an attribute's length has 16 bits")
    while !withMessage({
      mnl_attr_put_check($0, $1, UInt16(number), raw.count, raw.baseAddress)
    }) { reserve(raw.count + 64) }
  }

  /// Makes room for `count` more bytes.
  private mutating func reserve(_ count: Int) {
    let missing = bytes.count + count - storage.count
    if missing > 0 {
      storage += [UInt8](repeating: 0, count: max(missing, storage.count))
    }
  }

  /// Gives libmnl a pointer to the message and the size of its storage. An array's elements are aligned
  /// to 16 bytes, more than libmnl needs.
  @discardableResult
  private mutating func withMessage<Value>(
    _ body: (UnsafeMutablePointer<nlmsghdr>, Int) -> Value
  ) -> Value {
    storage.withUnsafeMutableBytes {
      body($0.baseAddress!.assumingMemoryBound(to: nlmsghdr.self), $0.count)
    }
  }
}

// MARK: - Constants

/// A number from the kernel's headers. Swift imports C's anonymous enumerations as `Int`, its macros as
/// `Int32` and its named enumerations as types of their own; a message takes all of them.
public protocol KernelConstant {
  /// The number as the kernel has it.
  var number: UInt32 { get }
}

extension Int: KernelConstant {
  public var number: UInt32 { UInt32(self) }
}
extension Int32: KernelConstant {
  public var number: UInt32 { UInt32(self) }
}
extension UInt16: KernelConstant {
  public var number: UInt32 { UInt32(self) }
}
extension UInt32: KernelConstant {
  public var number: UInt32 { self }
}
extension KernelConstant where Self: RawRepresentable, RawValue == UInt32 {
  public var number: UInt32 { rawValue }
}

extension rtattr_type_t: KernelConstant {}
extension rt_scope_t: KernelConstant {}
extension rt_class_t: KernelConstant {}
extension net_device_flags: KernelConstant {}
extension in6_addr_gen_mode: KernelConstant {}
extension nlmsgerr_attrs: KernelConstant {}
extension nfnl_batch_attributes: KernelConstant {}

/// The bytes of an integer in network byte order.
public func bigEndian<Integer: FixedWidthInteger>(_ value: Integer) -> [UInt8] {
  withUnsafeBytes(of: value.bigEndian) { Array($0) }
}

/// Lets a `switch` over an attribute's type use the kernel's constants.
public func ~= (constant: some KernelConstant, value: UInt16) -> Bool {
  constant.number == value
}
