// SPDX-License-Identifier: Apache-2.0
import CNetlink
import Embedded

/// The program's own arguments, without its name; bytes that are not UTF-8 become U+FFFD. Embedded Swift has
/// no `CommandLine`. See proc_pid_cmdline(5).
/// - Throws: if /proc is not mounted.
public func commandLineArguments() throws(SystemError) -> [String] {
  let line = String(decoding: try FileDescriptor.contents(of: "/proc/self/cmdline"))
  return Array(line.fields(separatedBy: "\0", omittingEmpty: false).dropFirst().dropLast())
}

/// An environment variable; nil if it is unset; bytes that are not UTF-8 become U+FFFD. The corresponding C
/// function is `getenv`.
public func environmentVariable(_ name: String) -> String? {
  getenv(name).map { String(cString: $0) }
}

/// A path with the working directory before it if it is relative; unchanged if /proc is not mounted.
public func absolutePath(_ path: String) -> String {
  guard path.utf8.first != UInt8(ascii: "/") else { return path }
  let folder = linkTarget("/proc/self/cwd")
  if folder.isEmpty { return path }
  let rest = path.begins(with: "./") ? path.dropping(bytes: 2) : path
  return "\(folder.count == 1 ? "" : String(decoding: folder))/\(rest)"
}

/// The process's environment as `NAME=VALUE`, with some variables replaced or added.
func environment(setting changes: [(name: String, value: String)]) -> [String] {
  var variables: [String] = []
  var next = humanz_environ()
  while let pointer = next?.pointee {
    let variable = String(cString: pointer)
    if !changes.contains(where: { variable.begins(with: "\($0.name)=") }) {
      variables.append(variable)
    }
    next = next?.successor()
  }
  return variables + changes.map { "\($0.name)=\($0.value)" }
}

/// The folder of the running program, without a slash at its end (empty for the root); nil if /proc is not
/// mounted.
public func executableFolder() -> String? {
  let path = linkTarget("/proc/self/exe")
  return path.lastIndex(of: UInt8(ascii: "/")).map { String(decoding: path[..<$0]) }
}

/// The target of a symbolic link; empty if it cannot be read. The corresponding C function is `readlink`.
private func linkTarget(_ path: String) -> ArraySlice<UInt8> {
  var buffer = [UInt8](repeating: 0, count: 4096)
  let count = buffer.withUnsafeMutableBytes {
    readlink(path, $0.baseAddress!.assumingMemoryBound(to: CChar.self), $0.count)
  }
  return buffer[..<max(count, 0)]
}
