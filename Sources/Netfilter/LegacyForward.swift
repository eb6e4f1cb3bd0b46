import CNI
import CNetlink
import Netlink

/// The FORWARD chain of iptables-legacy: a table apart from nf_tables, that only exists where that
/// program was run in the network namespace. It is read through getsockopt(2), as the program does
/// itself, and changed by the program.
struct LegacyForward: CustomStringConvertible {
  private let family: IPAddress.Family
  private let prefixes: [IPPrefix]
  private let comment: String
  /// The table's policy for FORWARD and its rules, as the kernel keeps them; nil where there is none.
  private let table: (drops: Bool, entries: [UInt8])?

  init(_ family: IPAddress.Family, prefixes: [IPPrefix], comment: String) {
    self.family = family
    self.prefixes = prefixes
    self.comment = comment
    table = prefixes.isEmpty ? nil : LegacyForward.read(family)
  }

  var description: String { "\(program) chain FORWARD" }

  private var program: String { family == .v4 ? "iptables-legacy" : "ip6tables-legacy" }

  /// Whether the chain drops what it is not told to accept.
  var isNeeded: Bool { table?.drops == true }

  /// Whether rules of the network are in the table, as many as there are to be.
  var isPresent: Bool {
    guard let table else { return false }
    // The match `comment` has its text in the rule, with a zero behind it.
    let text = Array(comment.utf8) + [0]
    var count = 0
    var rest = table.entries[...]
    while let start = rest.firstIndex(of: text[0]) {
      rest = rest[start...]
      if rest.starts(with: text) { count += 1 }
      rest = rest.dropFirst()
    }
    return count == 2 * prefixes.count
  }

  func insert() throws(NetlinkError) { try run("-I") }

  func delete() throws(NetlinkError) { try run("-D") }

  // MARK: - Running the program

  private func run(_ verb: String) throws(NetlinkError) {
    for prefix in prefixes {
      for side in ["-s", "-d"] {
        try run([
          "-w", "5", verb, "FORWARD", side, "\(prefix)", "-m", "comment", "--comment", comment,
          "-j", "ACCEPT",
        ])
      }
    }
  }

  private func run(_ arguments: [String]) throws(NetlinkError) {
    let attempt = "change \(self)"
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    // stdout is the result's.
    posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO)
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
    var words: [UnsafeMutablePointer<CChar>?] = ([program] + arguments).map { strdup($0) }
    words.append(nil)
    defer { for word in words { free(word) } }
    var process: pid_t = 0
    let error = posix_spawnp(&process, program, &actions, nil, words, humanz_environ())
    guard error == 0 else { throw NetlinkError(attempt: attempt, errno: error, text: program) }
    var status: Int32 = 0
    while waitpid(process, &status, 0) < 0 {
      if humanz_errno() != EINTR {
        throw NetlinkError(attempt: attempt, errno: humanz_errno())
      }
    }
    guard status == 0 else {
      throw NetlinkError(attempt: attempt, errno: EIO, text: "\(program) failed")
    }
  }

  // MARK: - Reading the table

  /// Reads the table `filter`. Asking the kernel for a table makes it, so it is only asked where the
  /// table is listed.
  private static func read(_ family: IPAddress.Family) -> (drops: Bool, entries: [UInt8])? {
    guard lists("/proc/thread-self/net/\(family == .v4 ? "ip" : "ip6")_tables_names", "filter")
    else { return nil }
    let domain = family == .v4 ? AF_INET : AF_INET6
    let descriptor = socket(
      domain, Int32(SOCK_RAW.rawValue | SOCK_CLOEXEC.rawValue), Int32(IPPROTO_RAW))
    guard descriptor >= 0 else { return nil }
    let socket = FileDescriptor(descriptor)
    // Both families have the same numbers and, but for the entries, the same structures.
    let level = Int32(family == .v4 ? IPPROTO_IP : IPPROTO_IPV6)
    var info = ipt_getinfo()
    setName(&info.name)
    var size = socklen_t(MemoryLayout<ipt_getinfo>.size)
    guard getsockopt(socket.rawValue, level, Int32(IPT_SO_GET_INFO), &info, &size) == 0 else {
      return nil
    }
    var request = ipt_get_entries()
    setName(&request.name)
    request.size = info.size
    let header = MemoryLayout<ipt_get_entries>.size
    var answer = withUnsafeBytes(of: request) { [UInt8]($0) }
    answer += [UInt8](repeating: 0, count: Int(info.size))
    size = socklen_t(answer.count)
    guard getsockopt(socket.rawValue, level, Int32(IPT_SO_GET_ENTRIES), &answer, &size) == 0 else {
      return nil
    }
    let entries = Array(answer[header...])
    return (drops(entries, at: Int(info.underflow.2), family), entries)
  }

  /// Whether the rule that stands for a chain's policy drops: a verdict is the negative of NF_DROP
  /// less one.
  private static func drops(_ entries: [UInt8], at offset: Int, _ family: IPAddress.Family) -> Bool
  {
    let size = family == .v4 ? MemoryLayout<ipt_entry>.size : MemoryLayout<ip6t_entry>.size
    return entries.withUnsafeBytes { bytes in
      guard offset + size <= bytes.count else { return false }
      let target =
        family == .v4
        ? bytes.loadUnaligned(fromByteOffset: offset, as: ipt_entry.self).target_offset
        : bytes.loadUnaligned(fromByteOffset: offset, as: ip6t_entry.self).target_offset
      let verdict = offset + Int(target) + MemoryLayout<xt_entry_target>.size
      guard verdict + 4 <= bytes.count else { return false }
      return bytes.loadUnaligned(fromByteOffset: verdict, as: Int32.self) == -NF_DROP - 1
    }
  }

  private static func lists(_ path: String, _ word: String) -> Bool {
    guard let file = try? FileDescriptor(path: path, flags: O_RDONLY),
      let bytes = try? file.readAll()
    else { return false }
    return bytes.split(separator: 0x0a).contains { $0.elementsEqual(word.utf8) }
  }

  private static func setName<Name: BitwiseCopyable>(_ name: inout Name) {
    withUnsafeMutableBytes(of: &name) { $0.copyBytes(from: "filter".utf8) }
  }
}
