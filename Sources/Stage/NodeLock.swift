import CNI
import CNetlink

/// The lock on what the attachments of a node share: bridges, and the rules of networks.
///
/// Who adds to a shared thing holds it shared, from looking whether the thing is there to being
/// counted among its users; who takes a thing away because nobody uses it holds it exclusively. The
/// kernel gives it back when the process ends, however it ends. See flock(2).
public struct NodeLock: ~Copyable {
  public enum Mode {
    case shared, exclusive
  }

  private static let folder = "/run/humanz"
  private static let path = "/run/humanz/node.lock"
  /// How long to wait, in milliseconds: an ADD that holds it does nothing slow meanwhile.
  private static let patience = 10_000

  private let file: FileDescriptor

  /// - Throws: error 11 where it cannot be had in 10 s, 5 where its file cannot be opened.
  public init(_ mode: Mode) throws(CNIError) {
    mkdir(NodeLock.folder, 0o755)
    let file = try FileDescriptor(path: NodeLock.path, flags: O_RDONLY | O_CREAT | O_NOFOLLOW)
    try NodeLock.lock(file.rawValue, mode == .shared ? LOCK_SH : LOCK_EX)
    self.file = file
  }

  private static func lock(_ descriptor: Int32, _ operation: Int32) throws(CNIError) {
    for _ in 0..<patience {
      if flock(descriptor, operation | LOCK_NB) == 0 { return }
      let error = SystemError.last
      guard error.errno == EWOULDBLOCK || error.errno == EINTR else {
        throw CNIError(.io, "cannot lock \(path): \(error)")
      }
      usleep(1000)
    }
    throw CNIError(.tryAgainLater, "\(path) has been locked for \(patience / 1000) s")
  }

  /// Gives it back.
  public consuming func unlock() {}
}
