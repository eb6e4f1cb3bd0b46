// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNetlink

/// One of the kernel's netlink families.
public protocol NetlinkFamily {
  /// NETLINK_ROUTE and the like.
  static var number: Int32 { get }
}

/// Links, addresses, routes and neighbours: NETLINK_ROUTE, rtnetlink(7).
public enum RouteFamily: NetlinkFamily {
  /// NETLINK_ROUTE.
  public static var number: Int32 { NETLINK_ROUTE }
}

/// nf_tables and connection tracking: NETLINK_NETFILTER.
public enum NetfilterFamily: NetlinkFamily {
  /// NETLINK_NETFILTER.
  public static var number: Int32 { NETLINK_NETFILTER }
}

/// A socket for links, addresses, routes and neighbours.
public typealias RouteSocket = Socket<RouteFamily>
/// A socket for nf_tables and connection tracking.
public typealias NetfilterSocket = Socket<NetfilterFamily>

/// A netlink socket, typed by its family. It belongs to the network namespace in which it was opened, also
/// after its thread has entered another. It closes itself.
///
/// Every method throws the kernel's error if the kernel refuses a request, and `noBufferSpace` if the answer
/// was lost; for a dump see `dump`.
public struct Socket<Family: NetlinkFamily>: ~Copyable {
  private let connection: Connection

  /// Opens a socket in the calling thread's network namespace.
  /// - Throws: if no more descriptors can be opened, or the thread could not return from another namespace:
  ///   see `NetworkNamespace.run`.
  public init() throws(NetlinkError) {
    connection = try Connection(family: Family.number)
  }

  /// For a socket in a pod's network namespace. See `Connection.connectToKernel`.
  borrowing func connectToKernel() throws(NetlinkError) {
    try connection.connectToKernel()
  }

  /// Sends a request to the kernel.
  @inline(never)
  public borrowing func perform(_ request: Request) throws(NetlinkError) {
    try perform([request])
  }

  /// Sends requests to the kernel in order, up to 128 in one system call. They are not a transaction: a
  /// failure does not stop the requests behind it.
  /// - Throws: the first failure.
  @inline(never)
  public borrowing func perform(_ requests: [Request]) throws(NetlinkError) {
    if let failure = try failures(performing: requests).first { throw failure.error }
  }

  /// As `perform`, for a caller that needs all failures.
  /// - Returns: the failures, in order.
  /// - Throws: if the socket itself failed.
  @inline(never)
  public borrowing func failures(performing requests: [Request]) throws(NetlinkError) -> [Failure] {
    try connection.perform(requests)
  }

  /// Asks for one object.
  /// - Parameter read: reads a value from a message; nil for a message without one.
  /// - Returns: nil if no message of the answer had a value.
  public borrowing func get<Value>(
    _ request: Request, _ read: (Message) -> Value?
  ) throws(NetlinkError) -> Value? {
    let answer = try connection.get(request)
    return answer.withUnsafeBytes { Messages($0).lazy.compactMap(read).first }
  }

  /// Asks for all objects of a kind. The dump is repeated if the objects changed meanwhile or a part of it was lost.
  /// - Parameter read: reads a value from a message; nil for a message to leave out.
  /// - Throws: `wouldBlock` if that happened in each of 100 tries.
  public borrowing func dump<Value>(
    _ request: Request, _ read: (Message) -> Value?
  ) throws(NetlinkError) -> [Value] {
    let answer = try connection.dump(request)
    return answer.withUnsafeBytes { Messages($0).compactMap(read) }
  }

  /// As `dump`, one object at a time, for a kind with too many objects to keep in memory. An object may come
  /// twice if the objects changed during the dump.
  public borrowing func forEach(
    of request: Request, _ body: (Message) -> Void
  ) throws(NetlinkError) {
    try connection.dump(request, willRepeat: {}, body)
  }
}

/// One request of several that the kernel refused.
public struct Failure {
  /// The index of the request.
  public let index: Int
  /// Why it refused.
  public let error: NetlinkError
}

extension Socket where Family == NetfilterFamily {
  /// Sends requests to nf_tables as one transaction: all are carried out or none.
  ///
  /// Equivalent to: `nft -f FILE`. Messages: NFNL_MSG_BATCH_BEGIN, the requests, NFNL_MSG_BATCH_END.
  /// - Parameter generation: the generation of the ruleset that the requests were made for; nil for any.
  /// - Throws: the first failure; ERESTART if the ruleset has another generation by now.
  @inline(never)
  public borrowing func commit(
    _ requests: [Request], generation: UInt32? = nil
  ) throws(NetlinkError) {
    guard let first = requests.first else { return }
    let batch =
      [.beginBatch(first.attempt, generation: generation)] + requests + [.endBatch(first.attempt)]
    // Kernels before 6.10 do not acknowledge the batch itself, so the last request asks for it.
    let failures = try connection.exchange(batch, 0..<batch.count, acknowledging: requests.count)
    if let failure = failures.first { throw failure.error }
  }
}

extension Request {
  /// - Parameter attempt: what the transaction is for.
  static func beginBatch(_ attempt: String, generation: UInt32?) -> Request {
    var request = batch(attempt, NFNL_MSG_BATCH_BEGIN)
    if let generation { request.put(NFNL_BATCH_GENID, bigEndian(generation)) }
    return request
  }

  static func endBatch(_ attempt: String) -> Request { batch(attempt, NFNL_MSG_BATCH_END) }

  private static func batch(_ attempt: String, _ type: Int32) -> Request {
    var header = nfgenmsg()
    header.res_id = UInt16(NFNL_SUBSYS_NFTABLES).bigEndian
    return Request(attempt, type, header: header)
  }
}
