import CNetlink
import Embedded
import System

/// An open network namespace. It closes itself. See network_namespaces(7).
public struct NetworkNamespace: ~Copyable {
  public let fileDescriptor: Int32
  private let path: String

  /// Opens the namespace at a path such as `/run/netns/NAME` or `/proc/PID/ns/net`.
  /// - Throws: an error with `isMissing` where there is nothing at the path, with `isNotANamespace`
  ///   where there is something else.
  public init(path: String) throws(NetlinkError) {
    try self.init(opening: path, isKnown: false)
  }

  private init(opening path: String, isKnown: Bool) throws(NetlinkError) {
    let attempt = "open network namespace \(path)"
    // O_NONBLOCK: the path may lead to a pipe without a writer.
    let descriptor = path.withCString { humanz_open($0, O_RDONLY | O_NONBLOCK, 0) }
    guard descriptor >= 0 else { throw .last(attempt) }
    guard isKnown || isNetworkNamespace(descriptor) else {
      close(descriptor)
      throw NetlinkError(
        attempt: attempt, errno: .invalidArgument, text: NetlinkError.notANamespace)
    }
    fileDescriptor = descriptor
    self.path = path
  }

  deinit { close(fileDescriptor) }

  /// The network namespace of the calling thread.
  public static func callers() throws(NetlinkError) -> NetworkNamespace {
    try NetworkNamespace(opening: "/proc/thread-self/ns/net", isKnown: true)
  }

  /// Whether the calling thread is in this namespace.
  public var isCallers: Bool {
    var own = stat()
    var callers = stat()
    guard fstat(fileDescriptor, &own) == 0, stat("/proc/thread-self/ns/net", &callers) == 0 else {
      return false
    }
    return own.st_dev == callers.st_dev && own.st_ino == callers.st_ino
  }

  /// Opens a socket to this namespace, which can be used from any namespace.
  public borrowing func openRouteSocket() throws(NetlinkError) -> RouteSocket {
    try run { () throws(NetlinkError) in try RouteSocket() }
  }

  /// Runs `body` with the calling thread inside the namespace: for opening sockets, and for
  /// `/proc/sys/net`, which belongs to the reading thread's namespace. If the thread cannot return, the
  /// process ends: it must not go on in the wrong namespace.
  ///
  /// Equivalent to: `nsenter --net=PATH ...`. The corresponding C function is `setns`.
  public borrowing func run<Value: ~Copyable>(
    _ body: () throws(NetlinkError) -> Value
  ) throws(NetlinkError) -> Value {
    let callers = try NetworkNamespace.callers()
    guard setns(fileDescriptor, CLONE_NEWNET) == 0 else {
      throw .last("enter network namespace \(path)")
    }
    defer { callers.returnTo() }
    return try body()
  }

  /// As `run`, inside a new network namespace. It is removed when the last thing that `body` opened in
  /// it is closed.
  ///
  /// Equivalent to: `unshare --net ...`. The corresponding C function is `unshare`.
  public static func runInNew<Value: ~Copyable>(
    _ body: () throws(NetlinkError) -> Value
  ) throws(NetlinkError) -> Value {
    let callers = try NetworkNamespace.callers()
    guard unshare(CLONE_NEWNET) == 0 else { throw .last("make a network namespace") }
    defer { callers.returnTo() }
    return try body()
  }

  private borrowing func returnTo() {
    if setns(fileDescriptor, CLONE_NEWNET) != 0 {
      fatalError("cannot return to the network namespace \(path)")
    }
  }
}

private func isNetworkNamespace(_ descriptor: Int32) -> Bool {
  var fileSystem = statfs()
  return fstatfs(descriptor, &fileSystem) == 0 && Int(fileSystem.f_type) == NSFS_MAGIC
    && humanz_namespace_type(descriptor) == CLONE_NEWNET
}

extension NetlinkError {
  fileprivate static let notANamespace = "it is not a network namespace"

  /// Whether the path leads to something other than a network namespace.
  public var isNotANamespace: Bool { text == NetlinkError.notANamespace }
}
