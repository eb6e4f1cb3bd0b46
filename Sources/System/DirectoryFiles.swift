// SPDX-License-Identifier: Apache-2.0
import CNetlink
import Embedded

extension Directory {
  /// The most bytes that `read` takes unless told otherwise: 64 KiB.
  public static let readLimit = 1 << 16

  /// The content of a file; nil if there is no such file. A FIFO without a writer is empty. The corresponding
  /// C function is `openat`.
  /// - Parameter limit: in bytes.
  /// - Throws: `fileTooLarge` for a file of more bytes; `isDirectory`, `tooManySymbolicLinkLevels` or
  ///   `noSuchAddressOrDevice` for a directory, a symbolic link or a socket.
  public borrowing func read(
    _ name: String, limit: Int = readLimit
  ) throws(SystemError) -> [UInt8]? {
    let raw = humanz_openat(rawValue, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0)
    guard raw >= 0 else {
      if Errno.last == .noSuchFileOrDirectory { return nil }
      throw .last("open \(path(of: name))")
    }
    let file = FileDescriptor(raw)
    do throws(Errno) {
      return try readAll(file.rawValue, limit: limit, endsAtShortRead: true)
    } catch {
      throw readError(error, path(of: name), limit: limit)
    }
  }

  /// The status of a file; nil if there is no file of the name; of a symbolic link, the link's own. The
  /// corresponding C function is `fstatat`.
  public borrowing func status(of name: String) throws(SystemError) -> stat? {
    var status = stat()
    guard fstatat(rawValue, name, &status, AT_SYMLINK_NOFOLLOW) == 0 else {
      if Errno.last == .noSuchFileOrDirectory { return nil }
      throw .last("get the status of \(path(of: name))")
    }
    return status
  }

  /// Makes a file, 0600. An existing file of the name, which a killed process may have left, is removed first.
  /// - Parameter durable: whether its content must be on the disk when this returns. Its name is on the
  ///   disk after `sync()`.
  public borrowing func write(
    _ name: String, _ bytes: [UInt8], durable: Bool = false
  ) throws(SystemError) {
    let file = FileDescriptor(try make(name))
    do throws(Errno) {
      try writeAll(file.rawValue, bytes)
      if durable { try valueOrErrno { fsync(file.rawValue) } }
    } catch {
      throw SystemError("write \(path(of: name))", error)
    }
  }

  /// Replaces a file in one step: a reader finds the old file or the new one, whole.
  /// - Parameters:
  ///   - mode: the file's permissions, whatever the umask is.
  ///   - durable: whether the new content must be on the disk before it takes the name. The change of the name
  ///     is on the disk after `sync()`.
  /// - Throws: an error after which the old file is unchanged.
  public borrowing func replace(
    _ name: String, _ bytes: [UInt8], mode: mode_t = 0o600, durable: Bool = true
  ) throws(SystemError) {
    // Runtimes read only names that end in `.conf`, `.conflist` or `.json`.
    let new = ".\(name).new"
    do throws(SystemError) {
      try write(new, bytes, durable: durable)
      if mode != 0o600 { try setMode(of: new, mode) }
      try rename(new, to: name)
    } catch {
      unlinkat(rawValue, new, 0)
      throw SystemError("write \(path(of: name))", error.errno)
    }
  }

  /// Replaces the file at an absolute path in one step, as `replace`. Links are followed as by
  /// `Directory.init`.
  /// - Throws: `noSuchFileOrDirectory` if the folder is missing or the path ends with a slash, and what
  ///   `replace` throws.
  public static func replaceFile(
    at path: String, _ bytes: [UInt8], mode: mode_t = 0o600, durable: Bool = true
  ) throws(SystemError) {
    let (folder, name) = parts(of: path)
    guard !name.isEmpty, let directory = try Directory(path: folder, make: false) else {
      throw SystemError("write \(path)", .noSuchFileOrDirectory)
    }
    try directory.replace(name, bytes, mode: mode, durable: durable)
  }

  /// A path's folder, with its last slash, and the name in it. Without a slash in the path the folder is
  /// empty; if the path ends with a slash, the name is.
  public static func parts(of path: String) -> (folder: String, name: String) {
    let name = path.utf8.last == UInt8(ascii: "/") ? "" : path.fields(separatedBy: "/").last ?? ""
    return (path.keeping(bytes: path.utf8.count - name.utf8.count), name)
  }

  /// Opens a new file. An existing one is removed, never truncated: it may be a hard link to a lease.
  private borrowing func make(_ name: String) throws(SystemError) -> Int32 {
    for _ in 0..<2 {
      let raw = humanz_openat(rawValue, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600)
      if raw >= 0 { return raw }
      guard Errno.last == .fileExists else { break }
      try remove(name)
    }
    throw .last("make \(path(of: name))")
  }

  /// Sets the permissions of a file that was just made. The corresponding C function is `fchmodat`.
  public borrowing func setMode(of name: String, _ mode: mode_t) throws(SystemError) {
    guard fchmodat(rawValue, name, mode, 0) == 0 else {
      throw .last("set the mode of \(path(of: name))")
    }
  }

  /// Renames a file in the directory, in place of one that has the new name. The corresponding C function
  /// is `renameat`.
  public borrowing func rename(_ name: String, to newName: String) throws(SystemError) {
    guard renameat(rawValue, name, rawValue, newName) == 0 else {
      throw .last("write \(path(of: newName))")
    }
  }

  /// Removes a file. The corresponding C function is `unlinkat`.
  /// - Returns: whether there was one.
  /// - Throws: `isDirectory` for a directory.
  @discardableResult
  public borrowing func remove(_ name: String) throws(SystemError) -> Bool {
    if unlinkat(rawValue, name, 0) == 0 { return true }
    guard Errno.last == .noSuchFileOrDirectory else { throw .last("remove \(path(of: name))") }
    return false
  }

  /// Removes an empty directory. The corresponding C function is `unlinkat` with AT_REMOVEDIR.
  /// - Returns: false if the directory is not empty or does not exist.
  /// - Throws: `notDirectory` for a file.
  @discardableResult
  public borrowing func removeEmptyDirectory(_ name: String) throws(SystemError) -> Bool {
    if unlinkat(rawValue, name, AT_REMOVEDIR) == 0 { return true }
    guard [.directoryNotEmpty, .noSuchFileOrDirectory].contains(Errno.last) else {
      throw .last("remove \(path(of: name))")
    }
    return false
  }

  /// Renames a file, in place of one that has the new name, here or in another directory. The
  /// corresponding C function is `renameat`.
  public borrowing func rename(
    _ name: String, to newName: String, in other: borrowing Directory
  ) throws(SystemError) {
    guard renameat(rawValue, name, other.rawValue, newName) == 0 else {
      throw .last("write \(other.path(of: newName))")
    }
  }

  /// Gives a file a second name. The corresponding C function is `linkat`.
  /// - Returns: false if another file has that name.
  public borrowing func link(
    _ name: String, as newName: String, in other: borrowing Directory
  ) throws(SystemError) -> Bool {
    if linkat(rawValue, name, other.rawValue, newName, 0) == 0 { return true }
    guard Errno.last == .fileExists else { throw .last("make \(other.path(of: newName))") }
    return false
  }

  /// Writes the names in the directory to the disk. Costs nothing on tmpfs. The corresponding C
  /// function is `fsync`.
  public borrowing func sync() throws(SystemError) {
    guard fsync(rawValue) == 0 else { throw .last("write \(path)") }
  }

  /// The names in the directory that do not begin with a dot.
  public borrowing func names() throws(SystemError) -> [String] {
    var names: [String] = []
    try forEachName { names.append(String(cString: $0)) }
    return names
  }

  /// Calls `body` with each name in the directory that does not begin with a dot. The corresponding C function
  /// is `readdir`.
  public borrowing func forEachName(
    _ body: (UnsafePointer<CChar>) -> Void
  ) throws(SystemError) {
    let raw = humanz_openat(rawValue, ".", O_RDONLY | O_DIRECTORY, 0)
    guard raw >= 0, let stream = fdopendir(raw) else {
      let error = SystemError.last("list \(path)")
      close(raw)
      throw error
    }
    defer { closedir(stream) }
    while true {
      // The end and an error both give nil: only errno tells them apart.
      humanz_set_errno(0)
      guard let entry = readdir(stream) else { break }
      let name = humanz_dirent_name(entry)!
      if name[0] != CChar(UInt8(ascii: ".")) { body(name) }
    }
    guard Errno.last.rawValue == 0 else { throw .last("list \(path)") }
  }
}
