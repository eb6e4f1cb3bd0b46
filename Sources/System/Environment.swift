import CNetlink
import Embedded

/// The program's own arguments, without its name. Embedded Swift has no `CommandLine`.
public func commandLineArguments() throws(SystemError) -> [String] {
  try FileDescriptor.contents(of: "/proc/self/cmdline")
    .split(separator: 0, omittingEmptySubsequences: false).dropFirst().dropLast()
    .map { String(decoding: $0, as: UTF8.self) }
}

/// An environment variable; nil where it is unset. The corresponding C function is `getenv`.
public func environmentVariable(_ name: String) -> String? {
  getenv(name).map { String(cString: $0) }
}

/// The process's environment as `NAME=VALUE`, with some variables replaced or added.
func environment(setting changes: [(name: String, value: String)]) -> [String] {
  var variables: [String] = []
  var next = humanz_environ()
  while let pointer = next?.pointee {
    let variable = String(cString: pointer)
    if !changes.contains(where: { variable.utf8.starts(with: "\($0.name)=".utf8) }) {
      variables.append(variable)
    }
    next = next?.successor()
  }
  return variables + changes.map { "\($0.name)=\($0.value)" }
}

/// The folder of the running program. The corresponding C function is `readlink`.
public func executableFolder() -> String? {
  var buffer = [UInt8](repeating: 0, count: 4096)
  let count = buffer.withUnsafeMutableBytes {
    readlink("/proc/self/exe", $0.baseAddress!.assumingMemoryBound(to: CChar.self), $0.count)
  }
  guard count > 0, let slash = buffer[..<count].lastIndex(of: UInt8(ascii: "/")) else { return nil }
  return String(decoding: buffer[..<slash], as: UTF8.self)
}
