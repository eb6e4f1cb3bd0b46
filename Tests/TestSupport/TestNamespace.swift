// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNetlink
import Netlink
// A test that imports this module gets the shorthands too.
@_exported import Tables

/// A new, empty network namespace. It lives as long as this value, or a file or socket in it.
package func makeNamespace() throws -> NetworkNamespace {
  try NetworkNamespace.runInNew { () throws(NetlinkError) in try NetworkNamespace.current() }
}

/// Runs `body` with the calling thread in a new, empty network namespace with loopback up. A synchronous test
/// function stays on its thread, so its expectations see this namespace.
package func inNewNamespace(_ body: (borrowing RouteSocket) throws -> Void) throws {
  let namespace = try makeNamespace()
  var result: Result<Void, any Error> = .success(())
  try namespace.run { () throws(NetlinkError) in
    let socket = try RouteSocket()
    try socket.perform(.changeLink(.name(.init("lo")!), LinkChange(up: true)))
    do { try body(socket) } catch { result = .failure(error) }
  }
  try result.get()
}

/// The output of a shell command, run in the calling thread's network namespace.
package func shell(_ command: String) -> String {
  guard let pipe = popen("exec 2>&1; \(command)", "r") else { return "cannot start a shell" }
  defer { pclose(pipe) }
  var output: [UInt8] = []
  var chunk = [UInt8](repeating: 0, count: 4096)
  while true {
    let count = fread(&chunk, 1, chunk.count, pipe)
    if count == 0 { return String(decoding: output, as: UTF8.self) }
    output += chunk[..<count]
  }
}
