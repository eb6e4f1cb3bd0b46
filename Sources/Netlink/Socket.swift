import CNI
import CNetlink

/// A netlink protocol family, which types a socket.
public protocol NetlinkFamily {
  /// A NETLINK_ constant.
  static var bus: Int32 { get }
}

/// NETLINK_ROUTE: links, addresses, routes, neighbours (rtnetlink(7)).
public enum RouteFamily: NetlinkFamily {
  public static var bus: Int32 { NETLINK_ROUTE }
}

/// NETLINK_NETFILTER: nf_tables and connection tracking.
public enum NetfilterFamily: NetlinkFamily {
  public static var bus: Int32 { NETLINK_NETFILTER }
}

public typealias RouteSocket = Socket<RouteFamily>
public typealias NetfilterSocket = Socket<NetfilterFamily>

/// A netlink socket of libmnl, which closes itself. It knows framing and nothing of what is in a
/// message, and stays in the network namespace it was opened in.
public struct Socket<Family: NetlinkFamily>: ~Copyable {
  private let handle: OpaquePointer
  private let buffer: UnsafeMutableRawBufferPointer

  /// Opens a socket in the calling thread's network namespace. The corresponding C functions are
  /// `mnl_socket_open2` and `mnl_socket_bind`.
  public init() throws(NetlinkError) {
    guard let handle = mnl_socket_open2(Family.bus, Int32(SOCK_CLOEXEC.rawValue)) else {
      throw NetlinkError("open a netlink socket")
    }
    guard mnl_socket_bind(handle, 0, pid_t(MNL_SOCKET_AUTOPID)) == 0 else {
      let error = NetlinkError("bind a netlink socket")
      mnl_socket_close(handle)
      throw error
    }
    self.handle = handle
    // What a kernel does not know of these it does without: they better messages and filter dumps.
    for option in [NETLINK_EXT_ACK, NETLINK_CAP_ACK, NETLINK_GET_STRICT_CHK] {
      var one: Int32 = 1
      mnl_socket_setsockopt(handle, option, &one, UInt32(MemoryLayout<Int32>.size))
    }
    buffer = .allocate(byteCount: 32768, alignment: 16)
  }

  deinit {
    buffer.deallocate()
    mnl_socket_close(handle)
  }

  /// Sends a request and waits for its acknowledgement.
  public borrowing func perform(_ request: Request) throws(NetlinkError) {
    try perform([request])
  }

  /// Sends requests in order, many in one system call, and waits until the kernel is through.
  ///
  /// Only the last of a call asks for an acknowledgement: the kernel answers errors unasked and in
  /// order, so that one answer serves for all where all is well. The kernel goes on after an error;
  /// the first is thrown.
  public borrowing func perform(_ requests: [Request]) throws(NetlinkError) {
    var rest = requests[...]
    var failure: NetlinkError?
    while !rest.isEmpty {
      // Each error's answer takes room in the socket's receive buffer: a few hundred surely fit.
      let batch = rest.prefix(256)
      rest = rest.dropFirst(batch.count)
      do throws(NetlinkError) { try exchange(batch) } catch { failure = failure ?? error }
    }
    if let failure { throw failure }
  }

  private borrowing func exchange(_ batch: ArraySlice<Request>) throws(NetlinkError) {
    var bytes: [UInt8] = []
    for (sequence, request) in batch.enumerated() {
      var request = request
      request.number(UInt32(sequence))
      if sequence == batch.count - 1 { request.add(flags: NLM_F_ACK) }
      bytes += request.bytes
      bytes += [UInt8](repeating: 0, count: (4 - bytes.count & 3) & 3)
    }
    let attempts = batch.map { $0.attempt }
    try send(bytes, attempts[0])
    var failure: NetlinkError?
    var done = false
    while !done {
      try receive(attempts[0]) { message in
        guard Int32(message.type) == NLMSG_ERROR, Int(message.sequence) < attempts.count else {
          return
        }
        if let error = message.error(attempts[Int(message.sequence)]) { failure = failure ?? error }
        if Int(message.sequence) == attempts.count - 1 { done = true }
      }
    }
    if let failure { throw failure }
  }

  /// Asks for one object, to which the kernel answers with the object or an error.
  /// - Returns: the answer's payload after the netlink header.
  public borrowing func get(_ request: Request) throws(NetlinkError) -> ArraySlice<UInt8> {
    try send(request.bytes, request.attempt)
    while true {
      var answer: ArraySlice<UInt8>?
      var failure: NetlinkError?
      try receive(request.attempt) { message in
        if Int32(message.type) == NLMSG_ERROR {
          failure = message.error(request.attempt)
        } else {
          answer = message.payload
        }
      }
      if let failure { throw failure }
      if let answer { return answer }
    }
  }

  /// Asks for all objects of a kind, again where the kernel says that the answer was interrupted by a
  /// change.
  /// - Returns: the answers' payloads after the netlink header.
  public borrowing func dump(_ request: Request) throws(NetlinkError) -> [ArraySlice<UInt8>] {
    var request = request
    request.add(flags: NLM_F_DUMP)
    var attempts: UInt32 = 0
    while true {
      attempts += 1
      request.number(attempts)
      try send(request.bytes, request.attempt)
      var answers: [ArraySlice<UInt8>] = []
      var failure: NetlinkError?
      var (done, interrupted) = (false, false)
      while !done {
        try receive(request.attempt) { message in
          guard message.sequence == attempts else { return }
          interrupted = interrupted || message.flags & UInt16(NLM_F_DUMP_INTR) != 0
          switch Int32(message.type) {
          case NLMSG_DONE:
            failure = message.error(request.attempt)
            done = true
          case NLMSG_ERROR:
            failure = message.error(request.attempt)
            done = true
          default: answers.append(message.payload)
          }
        }
      }
      if !interrupted || attempts == 16 {
        if let failure { throw failure }
        return answers
      }
    }
  }

  private borrowing func send(_ bytes: [UInt8], _ attempt: String) throws(NetlinkError) {
    guard mnl_socket_sendto(handle, bytes, bytes.count) >= 0 else { throw NetlinkError(attempt) }
  }

  /// Receives one datagram and calls `body` with each message in it.
  private borrowing func receive(
    _ attempt: String, _ body: (Message) -> Void
  ) throws(NetlinkError) {
    let count = mnl_socket_recvfrom(handle, buffer.baseAddress, buffer.count)
    if count < 0 {
      if humanz_errno() == EINTR { return }
      throw NetlinkError(attempt)
    }
    var rest = Array(buffer[..<count])[...]
    while let header = rest.structure(nlmsghdr()) {
      let length = Int(header.nlmsg_len)
      guard length >= MemoryLayout<nlmsghdr>.size, length <= rest.count else { return }
      body(
        Message(
          type: header.nlmsg_type, flags: header.nlmsg_flags, sequence: header.nlmsg_seq,
          payload: rest.prefix(length).dropFirst(MemoryLayout<nlmsghdr>.size)))
      rest = rest.dropFirst((length + 3) & ~3)
    }
  }
}

/// A message that was received.
private struct Message {
  let type: UInt16
  let flags: UInt16
  let sequence: UInt32
  let payload: ArraySlice<UInt8>

  /// The error in NLMSG_ERROR or NLMSG_DONE; nil for an acknowledgement.
  func error(_ attempt: String) -> NetlinkError? {
    let code: Int32 = payload.integer()
    guard code != 0 else { return nil }
    var text: String?
    if flags & UInt16(NLM_F_ACK_TLVS) != 0 {
      // Behind the code stands the header of the request, and with it, unless capped, its payload.
      let request = payload.dropFirst(4)
      let capped = flags & UInt16(NLM_F_CAPPED) != 0
      let length = capped ? MemoryLayout<nlmsghdr>.size : Int(request.integer(as: UInt32.self))
      text = Attributes(request.dropFirst((length + 3) & ~3))[Int(NLMSGERR_ATTR_MSG.rawValue)]?.text
    }
    return NetlinkError(attempt: attempt, errno: -code, text: text)
  }
}
