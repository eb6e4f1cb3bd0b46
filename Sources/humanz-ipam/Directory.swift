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

  /// Opens a directory in the one of a path, making what is missing of both with mode 0700.
  ///
  /// A link on the way is followed only where none but its owner can have put it: not out of a
  /// directory that everybody may write to. The directory itself is never a link.
  /// - Parameter make: whether to make it; nil is returned where it is missing otherwise.
  init?(_ name: String, in path: String, make: Bool) throws(StoreError) {
    let whole = "\(path)/\(name)"
    // Mostly everything is there and nothing a link: then one call does (Linux 5.6).
    let raw = humanz_openat2(
      AT_FDCWD, whole, O_RDONLY | O_DIRECTORY, UInt64(RESOLVE_NO_SYMLINKS))
    if raw >= 0 {
      self.init(FileDescriptor(raw), path: whole)
      return
    }
    guard let parent = try Directory(path: path, make: make),
      let directory = try parent.directory(name, make: make)
    else { return nil }
    self = directory
  }

  /// Opens a directory by its path alone, following links as above.
  /// - Parameter nearest: whether the last one on the path that is there will do for one that is not.
  init?(path: String, make: Bool, nearest: Bool = false) throws(StoreError) {
    var current = try Directory("/", at: AT_FDCWD, path: "/", flags: 0)
    for name in path.fields(separatedBy: "/") {
      guard let next = try current.directory(name, make: make, followsLinks: !current.isPublic)
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

  private init(_ name: String, at: Int32, path: String, flags: Int32) throws(StoreError) {
    let raw = humanz_openat(at, name, O_RDONLY | O_DIRECTORY | flags, 0)
    guard raw >= 0 else { throw .last("open", path) }
    self.init(FileDescriptor(raw), path: path)
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

  /// Why no files can be made in it, as `errno`; nil where they can.
  var unwritable: Int32? {
    guard faccessat(rawValue, ".", W_OK | X_OK, 0) == 0 else { return humanz_errno() }
    var system = statfs()
    guard fstatfs(rawValue, &system) == 0 else { return humanz_errno() }
    // A file system that does not count its blocks or files says that it has none at all.
    let isFull = system.f_blocks > 0 && system.f_bfree < Directory.need
    let hasNoFiles = system.f_files > 0 && system.f_ffree < Directory.need
    return isFull || hasNoFiles ? ENOSPC : nil
  }

  /// The blocks and files that an ADD takes at most, for two addresses: two files beside each other,
  /// and each that is replaced once more.
  private static let need: UInt = 4

  borrowing func path(of name: String) -> String {
    path == "/" ? "/\(name)" : "\(path)/\(name)"
  }
}

// MARK: - Files

extension Directory {
  /// The content of a file, 64 KiB of it at most; nil where there is no such file.
  borrowing func read(_ name: String) throws(StoreError) -> [UInt8]? {
    let raw = humanz_openat(rawValue, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0)
    guard raw >= 0 else {
      if humanz_errno() == ENOENT { return nil }
      throw .last("open", path(of: name))
    }
    let file = FileDescriptor(raw)
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 4096)
    var count = 0
    repeat {
      count = CNetlink.read(file.rawValue, &chunk, chunk.count)
      guard count >= 0 else { throw .last("read", path(of: name)) }
      bytes += chunk[..<count]
    } while count == chunk.count && bytes.count < 1 << 16
    return bytes
  }

  /// What the kernel knows of a file; nil where there is none of the name.
  borrowing func status(of name: String) throws(StoreError) -> stat? {
    var status = stat()
    guard fstatat(rawValue, name, &status, AT_SYMLINK_NOFOLLOW) == 0 else {
      if humanz_errno() == ENOENT { return nil }
      throw .last("look at", path(of: name))
    }
    return status
  }

  /// Makes a file, 0600, in the place of one that an earlier process may have left.
  /// - Parameter durable: whether it is to be on the disk when this returns.
  borrowing func write(
    _ name: String, _ bytes: [UInt8], durable: Bool = false
  ) throws(StoreError) {
    let path = path(of: name)
    let file = FileDescriptor(try make(name))
    let written = CNetlink.write(file.rawValue, bytes, bytes.count)
    if written >= 0, written < bytes.count {
      throw .system(attempt: "write", path: path, errno: ENOSPC)
    }
    guard written >= 0, !durable || fsync(file.rawValue) == 0 else { throw .last("write", path) }
  }

  /// An open file that is new. Never an old one cut short: that may have another name, and be a lease.
  private borrowing func make(_ name: String) throws(StoreError) -> Int32 {
    for _ in 0..<2 {
      let raw = humanz_openat(rawValue, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600)
      if raw >= 0 { return raw }
      guard humanz_errno() == EEXIST else { break }
      try remove(name)
    }
    throw .last("make", path(of: name))
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

  /// Gives a file a second name.
  /// - Returns: whether that was to be had: false where there is a file of the name.
  borrowing func link(
    _ name: String, as newName: String, in other: borrowing Directory
  ) throws(StoreError) -> Bool {
    if linkat(rawValue, name, other.rawValue, newName, 0) == 0 { return true }
    guard humanz_errno() == EEXIST else { throw .last("make", other.path(of: newName)) }
    return false
  }

  /// Has the names in the directory on the disk. Free on tmpfs.
  borrowing func sync() throws(StoreError) {
    guard fsync(rawValue) == 0 else { throw .last("write", path) }
  }

  /// The names in the directory that do not begin with a dot.
  borrowing func names() throws(StoreError) -> [String] {
    var names: [String] = []
    try eachName { names.append(String(cString: $0)) }
    return names
  }

  /// Goes through the names in the directory that do not begin with a dot.
  borrowing func eachName(_ body: (UnsafePointer<CChar>) -> Void) throws(StoreError) {
    let raw = humanz_openat(rawValue, ".", O_RDONLY | O_DIRECTORY, 0)
    guard raw >= 0, let stream = fdopendir(raw) else { throw .last("list", path) }
    defer { closedir(stream) }
    while let entry = readdir(stream) {
      let name = humanz_dirent_name(entry)!
      if name[0] != CChar(UInt8(ascii: ".")) { body(name) }
    }
  }
}

extension StoreError {
  /// The failure of the call that has just returned.
  static func last(_ attempt: String, _ path: String) -> StoreError {
    .system(attempt: attempt, path: path, errno: humanz_errno())
  }

  /// nil for what is no failure of the system's.
  var errno: Int32? {
    if case .system(_, _, let errno) = self { errno } else { nil }
  }
}
