// SPDX-License-Identifier: Apache-2.0
import CNetlink
import Embedded

/// An open directory. Its methods take the names of its files, not paths (see DirectoryFiles.swift), and
/// follow no symbolic link in it. They throw the error of the system call, with the path of the file in its
/// message.
public struct Directory: ~Copyable {
  /// The absolute path that it was opened by, for messages.
  public let path: String
  private let descriptor: FileDescriptor

  /// The descriptor, for `openat` and the like. It is closed with this value.
  public var rawValue: Int32 { descriptor.rawValue }

  /// Opens a directory by the path of its parent and its name.
  ///
  /// A symbolic link on the way is followed only if its directory belongs to root or to this process's user
  /// and nobody else may write to it: in other directories any user can make a link. The directory itself is
  /// never a link.
  /// - Parameters:
  ///   - path: the absolute path of the parent.
  ///   - make: whether to make the missing directories of the path, 0700. If not, the result is nil if one is
  ///     missing.
  /// - Throws: also if a file, or a link that is not followed, is in the place of a directory.
  public init?(_ name: String, in path: String, make: Bool) throws(SystemError) {
    let fullPath = "\(path)/\(name)"
    // Most paths exist and have no link in them: then one call is enough (Linux 5.6).
    let raw = humanz_openat2(
      AT_FDCWD, fullPath, O_RDONLY | O_DIRECTORY, UInt64(RESOLVE_NO_SYMLINKS))
    if raw >= 0 {
      self.init(FileDescriptor(raw), path: fullPath)
      return
    }
    guard let parent = try Directory(path: path, make: make),
      let directory = try parent.directory(name, make: make)
    else { return nil }
    self = directory
  }

  /// Opens a directory by its absolute path. Links are followed as by the other initializer, and the
  /// directory itself may be one.
  /// - Parameters:
  ///   - make: as of the other initializer.
  ///   - nearest: whether to open the last existing directory on the path if the rest is missing.
  public init?(path: String, make: Bool, nearest: Bool = false) throws(SystemError) {
    var current = try Directory("/", at: AT_FDCWD, path: "/", flags: 0)
    for name in path.fields(separatedBy: "/") {
      guard let next = try current.directory(name, make: make, followsLinks: current.isPrivate)
      else {
        guard nearest else { return nil }
        break
      }
      current = next
    }
    self = current
  }

  private init(_ descriptor: consuming FileDescriptor, path: String) {
    self.descriptor = descriptor
    self.path = path
  }

  private init(_ name: String, at: Int32, path: String, flags: Int32) throws(SystemError) {
    let raw = humanz_openat(at, name, O_RDONLY | O_DIRECTORY | flags, 0)
    guard raw >= 0 else { throw .last("open \(path)") }
    self.init(FileDescriptor(raw), path: path)
  }

  /// Opens a directory in this one; nil if it is missing and `make` is false.
  /// - Parameter followsLinks: whether the name may be a symbolic link.
  public borrowing func directory(
    _ name: String, make: Bool, followsLinks: Bool = false
  ) throws(SystemError) -> Directory? {
    let path = path(of: name)
    let flags = followsLinks ? 0 : O_NOFOLLOW
    do throws(SystemError) {
      return try Directory(name, at: rawValue, path: path, flags: flags)
    } catch {
      guard error.errno == .noSuchFileOrDirectory else { throw error }
      guard make else { return nil }
    }
    guard mkdirat(rawValue, name, 0o700) == 0 || Errno.last == .fileExists else {
      throw .last("make \(path)")
    }
    return try Directory(name, at: rawValue, path: path, flags: O_NOFOLLOW)
  }

  /// Whether only root and this process's user may put files into it.
  private var isPrivate: Bool {
    var status = stat()
    return fstat(rawValue, &status) == 0 && status.st_mode & 0o022 == 0
      && (status.st_uid == 0 || status.st_uid == geteuid())
  }

  /// The reason why no file can be made in it; nil if one can. If the file system is almost full, `noSpace`.
  public var reasonUnwritable: Errno? {
    guard faccessat(rawValue, ".", W_OK | X_OK, 0) == 0 else { return .last }
    var system = statfs()
    guard fstatfs(rawValue, &system) == 0 else { return .last }
    // A file system that does not count blocks or files reports a total of 0.
    let isFull = system.f_blocks > 0 && system.f_bfree < Directory.spaceNeeded
    let hasNoFiles = system.f_files > 0 && system.f_ffree < Directory.spaceNeeded
    return isFull || hasNoFiles ? .noSpace : nil
  }

  /// A file system with fewer free blocks or files than this counts as full: a caller makes several small
  /// files.
  private static let spaceNeeded: UInt = 4

  /// The path of a file of this name in it, for messages.
  public borrowing func path(of name: String) -> String {
    path == "/" ? "/\(name)" : "\(path)/\(name)"
  }
}
