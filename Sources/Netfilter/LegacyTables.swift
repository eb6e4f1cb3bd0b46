// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNetlink
import Embedded
import Netlink
import System

/// One family's tables of iptables-legacy. They are separate from nf_tables, and exist only if that program was
/// run in the network namespace. The program changes them.
struct LegacyTables {
  let family: IPAddress.Family

  var program: String { family == .v4 ? "iptables-legacy" : "ip6tables-legacy" }

  /// The chain FORWARD, for messages.
  var forward: String { "\(program) chain FORWARD" }

  /// Whether the program is installed.
  var canBeChanged: Bool { executablePath(of: program) != nil }

  /// Whether the table exists. Listing it by the program, or a request to the kernel, would make it.
  func has(_ table: String) throws(NetlinkError) -> Bool {
    let path = "/proc/thread-self/net/\(family == .v4 ? "ip" : "ip6")_tables_names"
    do throws(SystemError) {
      let names = try FileDescriptor.contents(of: path)
      return String(decoding: names).fields(separatedBy: "\n").contains(table)
    } catch {
      // A kernel without iptables-legacy has no such file.
      if error.errno == .noSuchFileOrDirectory { return false }
      throw NetlinkError(
        attempt: "read the iptables-legacy table \(table) of IPv\(family.version)",
        errno: error.errno)
    }
  }

  /// Runs the program, which waits for its lock for at most 5 seconds.
  /// - Parameters:
  ///   - attempt: for the error.
  ///   - tool: `-restore`, or nothing for the program itself.
  /// - Returns: what it printed.
  @inline(never) @discardableResult
  func run(
    _ attempt: String, tool: String = "", _ arguments: [String], input: [UInt8] = []
  ) throws(NetlinkError) -> [UInt8] {
    let program = program + tool
    guard let path = executablePath(of: program) else {
      throw NetlinkError(
        attempt: attempt, errno: .noSuchFileOrDirectory,
        text: "\(program) is neither in PATH nor in the system's folders: install iptables")
    }
    let outcome: Program.Outcome
    do throws(SystemError) {
      outcome = try Program(path, arguments: ["-w", "5"] + arguments).run(input: input)
    } catch {
      throw NetlinkError(attempt: attempt, errno: error.errno, text: path)
    }
    // RESOURCE_PROBLEM of xtables: the lock, or EAGAIN of the kernel.
    if outcome.status == 4 {
      throw NetlinkError(
        attempt: attempt, errno: .wouldBlock,
        text: "another process holds the lock of \(program), or has just changed the table")
    }
    guard outcome.status == 0 else {
      throw NetlinkError(
        attempt: attempt, errno: .ioError,
        text: "\(program) ended with status \(outcome.status)")
    }
    return outcome.output
  }
}
