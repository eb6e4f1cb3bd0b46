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
  /// How long to wait, in seconds: an ADD that holds it does nothing slow meanwhile.
  private static let patience = 10

  private let file: FileDescriptor

  /// - Throws: error 11 where it cannot be had in 10 s, 5 where its file cannot be opened.
  public init(_ mode: Mode) throws(CNIError) {
    mkdir(NodeLock.folder, 0o755)
    let file = try FileDescriptor(path: NodeLock.path, flags: O_RDONLY | O_CREAT | O_NOFOLLOW)
    do throws(FileLockError) {
      try file.lock(shared: mode == .shared, seconds: NodeLock.patience)
    } catch {
      switch error {
      case .busy:
        throw CNIError(
          .tryAgainLater, "\(NodeLock.path) has been locked for \(NodeLock.patience) s")
      case .system(let errno):
        throw CNIError(.io, "cannot lock \(NodeLock.path): \(SystemError(errno))")
      }
    }
    self.file = file
  }

  /// Gives it back.
  public consuming func unlock() {}
}
