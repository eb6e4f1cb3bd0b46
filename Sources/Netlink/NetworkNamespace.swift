import CNI
import CNetlink

/// A network namespace that is held open.
public struct NetworkNamespace: ~Copyable {
  public let fileDescriptor: Int32
  private let path: String

  /// Opens the namespace at a path and makes sure that it is one. The corresponding C functions are
  /// `open`, `fstatfs` and `ioctl` with NS_GET_NSTYPE (ioctl_nsfs(2)).
  /// - Throws: `errno` ENOENT where nothing is at the path, EINVAL where it is something else.
  public init(path: String) throws(NetlinkError) {
    let descriptor = humanz_open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0)
    guard descriptor >= 0 else { throw NetlinkError("open the network namespace \(path)") }
    var filesystem = statfs()
    guard fstatfs(descriptor, &filesystem) == 0, filesystem.f_type == NSFS_MAGIC,
      humanz_namespace_type(descriptor) == CLONE_NEWNET
    else {
      close(descriptor)
      throw NetlinkError(
        attempt: "open the network namespace \(path)", errno: EINVAL,
        text: "it is no network namespace")
    }
    fileDescriptor = descriptor
    self.path = path
  }

  /// The namespace the calling thread is in.
  public static func callers() throws(NetlinkError) -> NetworkNamespace {
    try NetworkNamespace(path: "/proc/thread-self/ns/net")
  }

  deinit { close(fileDescriptor) }

  /// Whether it is the one the calling thread is in.
  public var isCallers: Bool {
    var (mine, this) = (stat(), stat())
    return stat("/proc/thread-self/ns/net", &mine) == 0 && fstat(fileDescriptor, &this) == 0
      && mine.st_dev == this.st_dev && mine.st_ino == this.st_ino
  }

  /// Opens a socket inside; it stays there, the thread comes back.
  public borrowing func openRouteSocket() throws(NetlinkError) -> RouteSocket {
    let home = try NetworkNamespace.callers()
    try enter()
    defer { home.comeBack() }
    return try RouteSocket()
  }

  /// Does something inside that netlink cannot: sysctls, packet sockets.
  public borrowing func run(_ body: () throws(NetlinkError) -> Void) throws(NetlinkError) {
    let home = try NetworkNamespace.callers()
    try enter()
    defer { home.comeBack() }
    try body()
  }

  /// The corresponding C function is `setns`, which moves the calling thread alone.
  private borrowing func enter() throws(NetlinkError) {
    guard setns(fileDescriptor, CLONE_NEWNET) == 0 else {
      throw NetlinkError("enter the network namespace \(path)")
    }
  }

  /// A thread that stayed in a pod would change the pod for the node.
  private borrowing func comeBack() {
    guard setns(fileDescriptor, CLONE_NEWNET) == 0 else {
      fatalError("cannot come back to the node's network namespace")
    }
  }
}
