import Addresses
import CNetlink
import Embedded
import Netlink
import System

/// The FORWARD chain of iptables-legacy: a table apart from nf_tables, that only exists where that
/// program was run in the network namespace. It is read through getsockopt(2), as the program does
/// itself, and changed by the program.
struct LegacyForward: CustomStringConvertible {
  /// A rule of ours: packets from a prefix, or to it, are accepted.
  struct Accept: Equatable {
    let direction: Direction
    let prefix: IPPrefix
  }

  private let family: IPAddress.Family
  private let comment: String
  /// Whether there is such a table.
  let isThere: Bool
  /// Whether the chain drops what it is not told to accept; false where there is no such table.
  let drops: Bool
  /// The rules with the comment.
  let accepts: [Accept]

  init(_ family: IPAddress.Family, comment: String) {
    self.family = family
    self.comment = comment
    let table = LegacyForward.read(family)
    isThere = table != nil
    drops = table?.drops ?? false
    // The match `comment` has its text in the rule, a zero before and behind it.
    let text = [0] + Array(comment.utf8) + [0]
    accepts = table?.rules.filter { $0.has(text) }.compactMap { Accept($0, family) } ?? []
  }

  var description: String { "\(program) chain FORWARD" }

  private var program: String { family == .v4 ? "iptables-legacy" : "ip6tables-legacy" }

  /// What the chain needs to let prefixes through that it would drop.
  func missing(for prefixes: [IPPrefix]) -> [Accept] {
    var missing: [Accept] = []
    for prefix in prefixes where drops && prefix.family == family {
      for direction in [Direction.source, .destination] {
        let accept = Accept(direction: direction, prefix: prefix)
        if !accepts.contains(accept) { missing.append(accept) }
      }
    }
    return missing
  }

  // MARK: - Running the program

  /// Appends rules to the others (`-A`), or deletes them (`-D`).
  func run(_ verb: String, _ accepts: [Accept]) throws(NetlinkError) {
    for accept in accepts {
      try run([
        "-w", "5", verb, "FORWARD", accept.direction == .source ? "-s" : "-d", "\(accept.prefix)",
        "-m", "comment", "--comment", comment, "-j", "ACCEPT",
      ])
    }
  }

  private func run(_ arguments: [String]) throws(NetlinkError) {
    let attempt = "change \(self)"
    let outcome: Program.Outcome
    do { outcome = try Program(program, arguments: arguments).run() } catch {
      throw NetlinkError(attempt: attempt, errno: error.errno, text: program)
    }
    guard outcome.status == 0 else {
      throw NetlinkError(
        attempt: attempt, errno: .ioError,
        text: "\(program) ended with status \(outcome.status)")
    }
  }

  // MARK: - Reading the table

  /// A rule's bytes: `ipt_entry` or `ip6t_entry`, its matches and its target.
  fileprivate typealias Entry = ArraySlice<UInt8>

  /// Reads the chain. Asking the kernel for a table makes it, so it is only asked where the table is
  /// listed.
  private static func read(_ family: IPAddress.Family) -> (drops: Bool, rules: [Entry])? {
    guard lists("/proc/thread-self/net/\(family == .v4 ? "ip" : "ip6")_tables_names", "filter")
    else { return nil }
    let domain = family == .v4 ? AF_INET : AF_INET6
    let descriptor = socket(domain, humanz_sock_raw | humanz_sock_cloexec, Int32(IPPROTO_RAW))
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
    // The chain ends with the rule that stands for its policy.
    var rules: [Entry] = []
    var rest = answer[header...].dropFirst(Int(info.hook_entry.2))
    let policy = header + Int(info.underflow.2)
    while rest.startIndex < policy, let next = offsets(of: rest, family)?.next, next > 0 {
      rules.append(rest.prefix(next))
      rest = rest.dropFirst(next)
    }
    return (drops(answer[header...].dropFirst(Int(info.underflow.2)), family), rules)
  }

  /// Where a rule's target begins and where the next rule does; nil where the bytes are too few.
  private static func offsets(
    of entry: Entry, _ family: IPAddress.Family
  ) -> (target: Int, next: Int)? {
    let size = family == .v4 ? MemoryLayout<ipt_entry>.size : MemoryLayout<ip6t_entry>.size
    guard entry.count >= size else { return nil }
    return entry.withUnsafeBytes { bytes in
      if family == .v4 {
        let entry = bytes.loadUnaligned(as: ipt_entry.self)
        return (Int(entry.target_offset), Int(entry.next_offset))
      }
      let entry = bytes.loadUnaligned(as: ip6t_entry.self)
      return (Int(entry.target_offset), Int(entry.next_offset))
    }
  }

  /// Whether the rule that stands for a chain's policy drops: a verdict is the negative of NF_DROP
  /// less one.
  private static func drops(_ policy: Entry, _ family: IPAddress.Family) -> Bool {
    guard let target = offsets(of: policy, family)?.target else { return false }
    let verdict = policy.dropFirst(target + MemoryLayout<xt_entry_target>.size)
    guard verdict.count >= 4 else { return false }
    return verdict.withUnsafeBytes { $0.loadUnaligned(as: Int32.self) } == -NF_DROP - 1
  }

  private static func lists(_ path: String, _ word: String) -> Bool {
    guard let bytes = try? FileDescriptor.contents(of: path) else { return false }
    return bytes.split(separator: 0x0a).contains { $0.elementsEqual(word.utf8) }
  }

  private static func setName<Name: BitwiseCopyable>(_ name: inout Name) {
    withUnsafeMutableBytes(of: &name) { $0.copyBytes(from: "filter".utf8) }
  }
}

extension LegacyForward.Accept {
  /// Reads what `ipt_ip` or `ip6t_ip6` begins with: source, destination, and the masks of both.
  fileprivate init?(_ entry: LegacyForward.Entry, _ family: IPAddress.Family) {
    let size = family.bits / 8
    func field(_ index: Int) -> IPAddress? {
      IPAddress(bytes: entry.dropFirst(index * size).prefix(size))
    }
    for (index, direction) in [Direction.source, .destination].enumerated() {
      guard let address = field(index), let mask = field(index + 2) else { return nil }
      if mask.value == 0 { continue }
      self.init(
        direction: direction, prefix: IPPrefix(address, length: mask.value.nonzeroBitCount))
      return
    }
    return nil
  }
}

extension ArraySlice where Element == UInt8 {
  /// Whether the bytes occur among these.
  fileprivate func has(_ bytes: [UInt8]) -> Bool {
    var rest = self
    while rest.count >= bytes.count {
      if rest.starts(with: bytes) { return true }
      rest = rest.dropFirst()
    }
    return false
  }
}
