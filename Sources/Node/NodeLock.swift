// SPDX-License-Identifier: Apache-2.0
import CNI
import CNetlink
import Embedded
import Netlink
import System

/// The lock on what the attachments of a node share: bridges, and the rules of networks.
///
/// A process that adds to a shared object holds the lock shared, from checking whether the object exists
/// until the process counts as a user of the object. A process that removes an unused object holds the lock
/// exclusively. The kernel releases the lock when the process ends. See flock(2).
public struct NodeLock: ~Copyable {
  /// Shared with other holders, or held by one process alone: LOCK_SH and LOCK_EX of flock(2).
  public enum Mode {
    case shared, exclusive
  }

  private static let folder = "/run/humanz"
  private static let path = "/run/humanz/node.lock"
  /// How long to wait, in seconds: an ADD does nothing slow while it holds the lock.
  private static let patience = 10

  private let file: FileDescriptor

  /// Waits for the lock.
  /// - Throws: error 11 if another process holds it for 10 s, 5 if its file cannot be opened.
  public init(_ mode: Mode) throws(CNIError) {
    // With the mode that the lease store gives it: either may be the first to make it.
    mkdir(NodeLock.folder, 0o700)
    let file = try NodeLock.openFile()
    do throws(Errno) {
      try file.lock(shared: mode == .shared, seconds: NodeLock.patience)
    } catch {
      if error == .wouldBlock {
        throw CNIError(
          .tryAgainLater,
          "\(NodeLock.path) has been locked by another process for \(NodeLock.patience) seconds")
      }
      throw CNIError(SystemError("lock \(NodeLock.path)", error))
    }
    self.file = file
  }

  private static func openFile() throws(CNIError) -> FileDescriptor {
    do {
      // Without O_NONBLOCK opening a FIFO of that name would wait for a writer. flock(2) locks it as any file.
      return try FileDescriptor(path: path, flags: O_RDONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK)
    } catch {
      throw CNIError(error)
    }
  }

  /// Releases the lock.
  public consuming func unlock() {}
}
