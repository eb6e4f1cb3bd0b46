import CNI
import CNetlink

/// A directory that is open, and the files in it, each named by its last part alone.
///
/// Nothing below it is reached through a symbolic link.
struct Directory: ~Copyable {
  /// For messages.
  let path: String
  private let descriptor: FileDescriptor

  var rawValue: Int32 { descriptor.rawValue }

  /// Opens a directory by its path, making what is missing of it with mode 0700.
  ///
  /// A link on the way is followed only where none but its owner can have put it: not out of a
  /// directory that everybody may write to.
  /// - Parameter make: whether to make it; nil is returned where it is missing otherwise.
  init?(path: String, make: Bool) throws(StoreError) {
    var current = try Directory("/", at: AT_FDCWD, path: "/", flags: 0)
    for name in path.fields(separatedBy: "/") {
      guard let next = try current.directory(name, make: make, followsLinks: !current.isPublic)
      else { return nil }
      current = next
    }
    self = current
  }

  private init(_ name: String, at: Int32, path: String, flags: Int32) throws(StoreError) {
    let raw = humanz_openat(at, name, O_RDONLY | O_DIRECTORY | flags, 0)
    guard raw >= 0 else { throw .last("open", path) }
    self.path = path
    descriptor = FileDescriptor(raw)
  }

  /// Opens a directory in this one; nil where it is missing and not to be made.
  borrowing func directory(
    _ name: String, make: Bool, followsLinks: Bool = false
  ) throws(StoreError) -> Directory? {
    let path = path(of: name)
    let flags = followsLinks ? 0 : O_NOFOLLOW
    do throws(StoreError) {
      return try Directory(name, at: rawValue, path: path, flags: flags)
    } catch {
      guard error.errno == ENOENT else { throw error }
      guard make else { return nil }
    }
    guard mkdirat(rawValue, name, 0o700) == 0 || humanz_errno() == EEXIST else {
      throw .last("make", path)
    }
    return try Directory(name, at: rawValue, path: path, flags: O_NOFOLLOW)
  }

  /// Whether everybody may put files into it.
  private var isPublic: Bool {
    var status = stat()
    return fstat(rawValue, &status) != 0 || status.st_mode & 0o002 != 0
  }

  /// Why no file can be made in it, as `errno`; nil where one can.
  var unwritable: Int32? {
    faccessat(rawValue, ".", W_OK | X_OK, 0) == 0 ? nil : humanz_errno()
  }

  borrowing func path(of name: String) -> String {
    path == "/" ? "/\(name)" : "\(path)/\(name)"
  }
}

// MARK: - Files

extension Directory {
  /// The content of a file and when it was written; nil where there is no such file.
  borrowing func read(_ name: String) throws(StoreError) -> (bytes: [UInt8], written: timespec)? {
    let raw = humanz_openat(rawValue, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0)
    guard raw >= 0 else {
      if humanz_errno() == ENOENT { return nil }
      throw .last("open", path(of: name))
    }
    let file = FileDescriptor(raw)
    var status = stat()
    guard fstat(raw, &status) == 0 else { throw .last("read", path(of: name)) }
    var bytes = [UInt8](repeating: 0, count: min(Int(status.st_size), 1 << 16))
    let count = CNetlink.read(file.rawValue, &bytes, bytes.count)
    guard count >= 0 else { throw .last("read", path(of: name)) }
    bytes.removeLast(bytes.count - count)
    return (bytes, status.st_mtim)
  }

  /// The size of a file in bytes; nil where there is none of the name.
  borrowing func size(of name: String) throws(StoreError) -> Int? {
    var status = stat()
    guard fstatat(rawValue, name, &status, AT_SYMLINK_NOFOLLOW) == 0 else {
      if humanz_errno() == ENOENT { return nil }
      throw .last("look at", path(of: name))
    }
    return Int(status.st_size)
  }

  /// Makes a file, 0600, in the place of one that an earlier process may have left, and has it on the
  /// disk before it returns.
  borrowing func write(_ name: String, _ bytes: [UInt8]) throws(StoreError) {
    try remove(name)
    let path = path(of: name)
    let raw = humanz_openat(rawValue, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600)
    guard raw >= 0 else { throw .last("make", path) }
    let file = FileDescriptor(raw)
    let written = CNetlink.write(file.rawValue, bytes, bytes.count)
    if written >= 0, written < bytes.count {
      throw .system(attempt: "write", path: path, errno: ENOSPC)
    }
    guard written >= 0, fsync(raw) == 0 else { throw .last("write", path) }
  }

  /// Removes a file.
  /// - Returns: whether there was one.
  @discardableResult
  borrowing func remove(_ name: String) throws(StoreError) -> Bool {
    if unlinkat(rawValue, name, 0) == 0 { return true }
    guard humanz_errno() == ENOENT else { throw .last("remove", path(of: name)) }
    return false
  }

  /// Gives a file the name of another, or a new one, here or in another directory.
  borrowing func rename(
    _ name: String, to newName: String, in other: borrowing Directory
  ) throws(StoreError) {
    guard renameat(rawValue, name, other.rawValue, newName) == 0 else {
      throw .last("write", other.path(of: newName))
    }
  }

  /// Gives a file a second name, which must be new.
  borrowing func link(
    _ name: String, as newName: String, in other: borrowing Directory
  ) throws(StoreError) {
    guard linkat(rawValue, name, other.rawValue, newName, 0) == 0 else {
      throw .last("make", other.path(of: newName))
    }
  }

  /// Has the names in the directory on the disk. Free on tmpfs.
  borrowing func sync() throws(StoreError) {
    guard fsync(rawValue) == 0 else { throw .last("write", path) }
  }

  /// The names in the directory that do not begin with a dot.
  borrowing func names() throws(StoreError) -> [String] {
    let raw = humanz_openat(rawValue, ".", O_RDONLY | O_DIRECTORY, 0)
    guard raw >= 0, let stream = fdopendir(raw) else { throw .last("list", path) }
    defer { closedir(stream) }
    var names: [String] = []
    while let entry = readdir(stream) {
      let name = humanz_dirent_name(entry)!
      if name[0] != CChar(UInt8(ascii: ".")) { names.append(String(cString: name)) }
    }
    return names
  }
}

extension StoreError {
  /// The failure of the call that has just returned.
  static func last(_ attempt: String, _ path: String) -> StoreError {
    .system(attempt: attempt, path: path, errno: humanz_errno())
  }

  fileprivate var errno: Int32? {
    if case .system(_, _, let errno) = self { errno } else { nil }
  }
}
