// SPDX-License-Identifier: Apache-2.0
import CNetlink
import System

/// A netlink socket of any family: sends messages in datagrams and matches the answers.
///
/// The kernel carries out a message before `sendmsg` returns, so all answers are in the queue by then and
/// nothing here blocks. Each message has its own sequence number: an answer that a failed call has left in the
/// queue is not mistaken for the answer to the next one.
public struct Connection: ~Copyable {
  private let socket: OpaquePointer
  private let buffer: UnsafeMutableRawBufferPointer
  /// The sequence number of the next message.
  private let nextSequence: UnsafeMutablePointer<UInt32>

  /// The limits of one `sendmsg`. The kernel answers each message that fails, and all answers must fit
  /// into the socket's receive buffer (208 KiB, about 270 answers).
  private static let messagesAtOnce = 128
  private static let bytesAtOnce = 64 << 10

  /// The corresponding C function is `mnl_socket_open2`.
  ///
  /// The socket is not bound: the kernel gives it an address with the first message.
  init(family: Int32) throws(NetlinkError) {
    try NetworkNamespace.requireOwn()
    let flags = humanz_sock_cloexec | humanz_sock_nonblock
    guard let socket = mnl_socket_open2(family, flags) else {
      throw .last("open a netlink socket")
    }
    self.socket = socket
    nextSequence = .allocate(capacity: 1)
    nextSequence.initialize(to: 1)
    // The kernel fills up to 32 KiB of a dump at once.
    buffer = .allocate(byteCount: 32768, alignment: 16)
    // On a kernel that lacks one of them, errors have no text, answers are longer, or a dump is
    // filtered only here.
    for option in [NETLINK_EXT_ACK, NETLINK_CAP_ACK, NETLINK_GET_STRICT_CHK] {
      var on: Int32 = 1
      mnl_socket_setsockopt(socket, option, &on, socklen_t(MemoryLayout<Int32>.size))
    }
  }

  deinit {
    mnl_socket_close(socket)
    buffer.deallocate()
    nextSequence.deallocate()
  }

  /// Makes the kernel refuse messages of other senders. A process with CAP_NET_ADMIN in the network namespace
  /// could otherwise send messages to this socket, and faster than they are read.
  ///
  /// The corresponding C function is `connect`.
  borrowing func connectToKernel() throws(NetlinkError) {
    guard humanz_connect_to_kernel(mnl_socket_get_fd(socket)) == 0 else {
      throw .last("connect a netlink socket")
    }
  }

  /// Sends requests in as few datagrams as possible.
  borrowing func perform(_ requests: [Request]) throws(NetlinkError) -> [Failure] {
    var failures: [Failure] = []
    var first = 0
    while first < requests.count {
      var end = first
      var size = 0
      repeat {
        size += requests[end].bytes.count
        end += 1
      } while end < requests.count && end - first < Connection.messagesAtOnce
        && size + requests[end].bytes.count <= Connection.bytesAtOnce
      failures += try exchange(requests, first..<end, acknowledging: end - 1)
      first = end
    }
    return failures
  }

  /// Sends some of the requests in one datagram and reads the answers. Only the request `last` asks for an
  /// acknowledgement; the kernel reports errors of each request.
  borrowing func exchange(
    _ requests: [Request], _ range: Range<Int>, acknowledging last: Int
  ) throws(NetlinkError) -> [Failure] {
    var datagram: [UInt8] = []
    datagram.reserveCapacity(range.reduce(0) { $0 + requests[$1].bytes.count + 3 })
    let first = nextSequence.pointee
    for index in range {
      append(requests[index], to: &datagram, flags: index == last ? NLM_F_ACK : 0)
    }
    try send(datagram, requests[range.lowerBound].attempt)

    var failures: [Failure] = []
    var isAnswered = false
    var received = Received.datagram(0)
    while !isAnswered && received != .nothing {
      received = try receive(requests[last].attempt)
      for message in messages(of: received) {
        let index = range.lowerBound + Int(message.sequence &- first)
        guard message.type == UInt16(NLMSG_ERROR), range.contains(index) else { continue }
        if let error = message.failure(of: requests[index].attempt) {
          failures.append(Failure(index: index, error: error))
        }
        isAnswered = isAnswered || index == last
      }
    }
    // A batch of nf_tables may be refused as a whole: then there is one answer.
    if !isAnswered && failures.isEmpty { throw NetlinkError.lostAnswer(requests[last].attempt) }
    return failures
  }

  /// Asks for one object.
  /// - Returns: the messages of the answer.
  borrowing func get(_ request: Request) throws(NetlinkError) -> [UInt8] {
    var answer: [UInt8] = []
    guard try ask(request, flags: 0, { answer.append($0) }) else {
      throw NetlinkError.lostAnswer(request.attempt)
    }
    return answer
  }

  /// Asks for all objects of a kind, and again if they changed during the dump or a part of it was lost.
  /// - Returns: the messages of the answer.
  borrowing func dump(_ request: Request) throws(NetlinkError) -> [UInt8] {
    var answer: [UInt8] = []
    try dump(request, willRepeat: { answer = [] }, { answer.append($0) })
    return answer
  }

  /// As `dump`, but passes on each message as it comes instead of storing the answer.
  /// - Parameter willRepeat: is called before the dump is repeated.
  borrowing func dump(
    _ request: Request, willRepeat: () -> Void, _ take: (Message) -> Void
  ) throws(NetlinkError) {
    for _ in 0..<100 {
      if try ask(request, flags: NLM_F_DUMP, take) { return }
      willRepeat()
    }
    throw NetlinkError(
      attempt: request.attempt, errno: .wouldBlock,
      text: "the list changed, or a part of it was lost, in each of 100 tries")
  }

  /// - Returns: whether the answer is complete.
  private borrowing func ask(
    _ request: Request, flags: Int32, _ take: (Message) -> Void
  ) throws(NetlinkError) -> Bool {
    var datagram: [UInt8] = []
    let sequence = nextSequence.pointee
    append(request, to: &datagram, flags: flags)
    try send(datagram, request.attempt)

    var isComplete = true
    var isDone = false
    var failure: NetlinkError?
    while !isDone {
      let received = try receive(request.attempt)
      for message in messages(of: received) where message.sequence == sequence {
        if Int32(message.flags) & NLM_F_DUMP_INTR != 0 { isComplete = false }
        switch Int32(message.type) {
        case NLMSG_ERROR, NLMSG_DONE:
          failure = message.failure(of: request.attempt)
          isDone = true
        default:
          take(message)
          isDone = isDone || flags & NLM_F_DUMP == 0
        }
      }
      if received == .overrun { isComplete = false }
      if received == .nothing {
        isComplete = false
        isDone = true
      }
    }
    if let failure { throw failure }
    return isComplete
  }
}

extension [UInt8] {
  /// Appends a message, padded to a multiple of four bytes.
  fileprivate mutating func append(_ message: Message) {
    self += message.bytes
    while count % Int(NLMSG_ALIGNTO) != 0 { append(0) }
  }
}

// MARK: - Datagrams

extension Connection {
  private enum Received: Equatable {
    /// The number of bytes in the buffer.
    case datagram(Int)
    /// The kernel had to drop some (ENOBUFS).
    case overrun
    case nothing
  }

  private borrowing func append(
    _ request: Request, to datagram: inout [UInt8], flags: Int32
  ) {
    let start = datagram.count
    datagram += request.bytes
    while datagram.count % Int(NLMSG_ALIGNTO) != 0 { datagram.append(0) }
    datagram.withUnsafeMutableBytes { bytes in
      var header = bytes.loadUnaligned(fromByteOffset: start, as: nlmsghdr.self)
      header.nlmsg_flags |= UInt16(flags)
      header.nlmsg_seq = nextSequence.pointee
      bytes.storeBytes(of: header, toByteOffset: start, as: nlmsghdr.self)
    }
    nextSequence.pointee &+= 1
  }

  private borrowing func send(_ datagram: [UInt8], _ attempt: String) throws(NetlinkError) {
    // A transaction of nf_tables is one datagram, and the send buffer has 208 KiB by default.
    if datagram.count > 128 << 10 {
      var size = Int32(clamping: datagram.count * 2)
      setsockopt(
        mnl_socket_get_fd(socket), SOL_SOCKET, SO_SNDBUFFORCE, &size,
        socklen_t(MemoryLayout<Int32>.size))
    }
    do throws(Errno) {
      try valueOrErrno { mnl_socket_sendto(socket, datagram, datagram.count) }
    } catch {
      throw NetlinkError(attempt: attempt, errno: error)
    }
  }

  /// Reads a datagram from the queue into the buffer.
  private borrowing func receive(_ attempt: String) throws(NetlinkError) -> Received {
    do throws(Errno) {
      return .datagram(
        try valueOrErrno { received() })
    } catch {
      if error == .noBufferSpace { return .overrun }
      // Empty the queue as far as it can be read. What is left has an old sequence number.
      while received() >= 0 {}
      if error == .wouldBlock { return .nothing }
      throw NetlinkError(attempt: attempt, errno: error)
    }
  }

  /// The number of bytes that the kernel has sent, or -1.
  private borrowing func received() -> Int {
    humanz_receive_from_kernel(mnl_socket_get_fd(socket), buffer.baseAddress, buffer.count)
  }

  /// The messages in the buffer, valid until the next `receive`.
  private borrowing func messages(of received: Received) -> Messages {
    var count = 0
    if case .datagram(let size) = received { count = size }
    return Messages(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
  }
}

extension NetlinkError {
  fileprivate static func lostAnswer(_ attempt: String) -> NetlinkError {
    NetlinkError(attempt: attempt, errno: .noBufferSpace, text: "the answer was lost")
  }
}
