// SPDX-License-Identifier: Apache-2.0
import CNetlink
import Embedded
import System

/// An open network namespace. It closes itself. See network_namespaces(7).
public struct NetworkNamespace: ~Copyable {
  /// The descriptor of the namespace's file. It is closed with this value: a caller does not close it.
  public let fileDescriptor: Int32
  private let path: String

  /// Opens the namespace at a path such as `/run/netns/NAME` or `/proc/PID/ns/net`.
  /// - Throws: an error with `isMissing` if nothing is at the path; `invalidArgument` or another one if it is
  ///   not a network namespace.
  public init(path: String) throws(NetlinkError) {
    try self.init(opening: path, checksType: true)
  }

  private init(opening path: String, checksType: Bool) throws(NetlinkError) {
    let attempt = "open network namespace \(path)"
    // O_NONBLOCK: the path may lead to a pipe without a writer.
    let descriptor = path.withCString { humanz_open($0, O_RDONLY | O_NONBLOCK, 0) }
    guard descriptor >= 0 else { throw .last(attempt) }
    if checksType {
      do throws(NetlinkError) { try requireNetworkNamespace(descriptor, attempt) } catch {
        close(descriptor)
        throw error
      }
    }
    fileDescriptor = descriptor
    self.path = path
  }

  deinit { close(fileDescriptor) }

  /// Locks the namespace's file until it is closed. Another process that locks it waits. The corresponding C
  /// function is `flock`.
  /// - Parameter seconds: how long to wait for another holder.
  /// - Precondition: `seconds` is at least 1.
  /// - Throws: `wouldBlock` if another process holds the lock all that time.
  public borrowing func lock(seconds: Int) throws(Errno) {
    try flockFile(fileDescriptor, seconds: seconds)
  }

  /// The network namespace of the calling thread.
  /// - Throws: if /proc is not mounted.
  public static func current() throws(NetlinkError) -> NetworkNamespace {
    try NetworkNamespace(opening: "/proc/thread-self/ns/net", checksType: false)
  }

  /// Whether the calling thread is in this namespace.
  public var isCurrent: Bool {
    var own = stat()
    var current = stat()
    guard fstat(fileDescriptor, &own) == 0, stat("/proc/thread-self/ns/net", &current) == 0 else {
      return false
    }
    return own.st_dev == current.st_dev && own.st_ino == current.st_ino
  }

  /// Opens a socket in this namespace. The socket can be used from any namespace.
  /// - Throws: if the thread cannot enter the namespace or return, as `run`, or no more descriptors can be
  ///   opened.
  public borrowing func openRouteSocket() throws(NetlinkError) -> RouteSocket {
    let socket = try run { () throws(NetlinkError) in try RouteSocket() }
    try socket.connectToKernel()
    return socket
  }

  /// Runs `body` with the calling thread inside the namespace: for opening sockets, and for `/proc/sys/net`,
  /// which belongs to the reading thread's namespace.
  ///
  /// Equivalent to: `nsenter --net=PATH ...`. The corresponding C function is `setns`.
  /// - Throws: what `body` throws; `notPermitted` without CAP_SYS_ADMIN; also if the thread cannot return.
  ///   From then on no socket can be opened: it would belong to the wrong namespace.
  public borrowing func run<Value: ~Copyable>(
    _ body: () throws(NetlinkError) -> Value
  ) throws(NetlinkError) -> Value {
    try NetworkNamespace.run(
      { () throws(NetlinkError) in
        guard setns(fileDescriptor, CLONE_NEWNET) != 0 else { return }
        throw .last("enter network namespace \(path)")
      }, body)
  }

  /// As `run`, inside a new network namespace. It is removed when the last file or socket that `body` opened
  /// in it is closed.
  ///
  /// Equivalent to: `unshare --net ...`. The corresponding C function is `unshare`.
  /// - Throws: as `run`.
  public static func runInNew<Value: ~Copyable>(
    _ body: () throws(NetlinkError) -> Value
  ) throws(NetlinkError) -> Value {
    try run(
      { () throws(NetlinkError) in
        guard unshare(CLONE_NEWNET) != 0 else { return }
        throw .last("make a network namespace")
      }, body)
  }

  /// Runs `body` after `leave` has moved the calling thread into another namespace, then moves it back.
  private static func run<Value: ~Copyable>(
    _ leave: () throws(NetlinkError) -> Void, _ body: () throws(NetlinkError) -> Value
  ) throws(NetlinkError) -> Value {
    let own = try NetworkNamespace.current()
    Trap.setOwnNamespace(own.fileDescriptor)
    do throws(NetlinkError) { try leave() } catch {
      Trap.setOwnNamespace(-1)
      throw error
    }
    let result: Value
    do throws(NetlinkError) { result = try body() } catch {
      try own.enterAgain()
      throw error
    }
    try own.enterAgain()
    return result
  }

  /// Tries for a second: the kernel may be out of memory for a moment. A thread that cannot return can still use
  /// its open sockets, to undo and to report. It opens no other one and sets no sysctl: they would be those of
  /// the wrong namespace.
  private borrowing func enterAgain() throws(NetlinkError) {
    for _ in 0..<100 {
      if setns(fileDescriptor, CLONE_NEWNET) == 0 {
        Trap.setOwnNamespace(-1)
        return
      }
      usleep(10_000)
    }
    let error = NetlinkError.last("return to the process's own network namespace")
    // `run` closes this descriptor next: a trap must not use it.
    Trap.setOwnNamespace(-1)
    NetworkNamespace.returnFailure = error
    throw error
  }

  /// Why the thread could not return to its own namespace; nil if it is there.
  nonisolated(unsafe) private static var returnFailure: NetlinkError?

  /// For what opens a socket of this process's own namespace.
  /// - Throws: if the thread could not return to that namespace.
  public static func requireOwn() throws(NetlinkError) {
    if let returnFailure { throw returnFailure }
  }
}

private func requireNetworkNamespace(
  _ descriptor: Int32, _ attempt: String
) throws(NetlinkError) {
  var fileSystem = statfs()
  guard fstatfs(descriptor, &fileSystem) == 0 else { throw .last(attempt) }
  var type = Int(fileSystem.f_type) == NSFS_MAGIC ? humanz_namespace_type(descriptor) : 0
  // qemu's user emulation has no NS_GET_NSTYPE (ENOSYS). setns(2) compares the type, too.
  if type < 0, Errno.last == .notImplemented { type = CLONE_NEWNET }
  guard type >= 0 else { throw .last(attempt) }
  guard type == CLONE_NEWNET
  else {
    throw NetlinkError(
      attempt: attempt, errno: .invalidArgument, text: "it is not a network namespace")
  }
}

extension Socket where Family == RouteFamily {
  /// The ID that this socket's namespace has for another one, as in `Link.peerNamespaceID`; nil if the kernel
  /// has not assigned one.
  ///
  /// Equivalent to: `ip netns list-id`. Message: RTM_GETNSID.
  @inline(never)
  public borrowing func id(
    of namespace: borrowing NetworkNamespace
  ) throws(NetlinkError) -> Int32? {
    try get(.getNamespaceID(namespace.fileDescriptor)) { message in
      guard RTM_NEWNSID ~= message.type else { return nil }
      return message.attributes(after: rtgenmsg.self).first(NETNSA_NSID)?.int32
    }.flatMap { $0 < 0 ? nil : $0 }
  }
}

extension Request {
  static func getNamespaceID(_ descriptor: Int32) -> Request {
    var request = Request("read the ID of a network namespace", RTM_GETNSID, header: rtgenmsg())
    request.put(NETNSA_FD, descriptor)
    return request
  }
}
