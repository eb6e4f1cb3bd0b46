import CNetlink
import Embedded
import System

/// A network namespace that is held open, and closes itself. See network_namespaces(7).
public struct NetworkNamespace: ~Copyable {
  public let fileDescriptor: Int32
  private let path: String

  /// Opens the namespace at a path such as `/run/netns/NAME` or `/proc/PID/ns/net`.
  /// - Throws: `isMissing` where there is nothing at the path; `isNotANamespace` where there is
  ///   something else.
  public init(path: String) throws(NetlinkError) {
    try self.init(opening: path, isKnown: false)
  }

  private init(opening path: String, isKnown: Bool) throws(NetlinkError) {
    let attempt = "open network namespace \(path)"
    // O_NONBLOCK: what is at the path may be a pipe that nobody writes to.
    let descriptor = path.withCString { humanz_open($0, O_RDONLY | O_NONBLOCK, 0) }
    guard descriptor >= 0 else { throw .last(attempt) }
    guard isKnown || isNetworkNamespace(descriptor) else {
      close(descriptor)
      throw NetlinkError(attempt: attempt, errno: .invalidArgument, text: NetlinkError.notANamespace)
    }
    fileDescriptor = descriptor
    self.path = path
  }

  deinit { close(fileDescriptor) }

  /// The network namespace of the calling thread.
  public static func callers() throws(NetlinkError) -> NetworkNamespace {
    try NetworkNamespace(opening: "/proc/thread-self/ns/net", isKnown: true)
  }

  /// Whether it is the one the calling thread is in.
  public var isCallers: Bool {
    var own = stat()
    var callers = stat()
    guard fstat(fileDescriptor, &own) == 0, stat("/proc/thread-self/ns/net", &callers) == 0 else {
      return false
    }
    return own.st_dev == callers.st_dev && own.st_ino == callers.st_ino
  }

  /// Opens a socket that speaks to this namespace from wherever it is used.
  public borrowing func openRouteSocket() throws(NetlinkError) -> RouteSocket {
    try run { () throws(NetlinkError) in try RouteSocket() }
  }

  /// Runs `body` with the calling thread inside the namespace: for sockets, and for `/proc/sys/net`,
  /// which shows the namespace of the thread that looks. A thread that cannot come back must not go
  /// on as if it had: the process ends.
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

  /// As `run`, inside a new network namespace, which goes when nothing that `body` opened is left.
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

  /// Whether a path that should lead to a network namespace leads to something else.
  public var isNotANamespace: Bool { text == NetlinkError.notANamespace }
}
