// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNetlink
import Embedded
import Netlink
import System

/// The FORWARD chain of iptables-legacy. Its table is separate from nf_tables, and exists only if that
/// program was run in the network namespace. It is read through getsockopt(2), as that program
/// reads it, and changed by running that program.
struct LegacyForward: CustomStringConvertible {
  /// A rule of ours: packets from a prefix, or to it, are accepted.
  struct Accept: Equatable {
    let direction: Direction
    let prefix: IPPrefix
  }

  private let family: IPAddress.Family
  private let comment: String
  /// Whether the chain's policy is to drop; false if there is no such table.
  let drops: Bool
  /// The rules with the comment.
  let accepts: [Accept]

  /// Reads the chain.
  init(_ family: IPAddress.Family, comment: String) throws(NetlinkError) {
    self.family = family
    self.comment = comment
    let chain = try LegacyChain(family)
    drops = chain?.drops ?? false
    accepts = chain?.accepts(comment: comment, family) ?? []
  }

  var description: String { tables.forward }

  private var tables: LegacyTables { LegacyTables(family: family) }

  /// The rules that the chain needs to accept prefixes that its policy drops.
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

  /// Whether the program that changes the chain is installed.
  var canBeChanged: Bool { tables.canBeChanged }

  /// Appends rules to the others (`-A`), or deletes them (`-D`).
  func run(_ verb: String, _ accepts: [Accept]) throws(NetlinkError) {
    for accept in accepts {
      try tables.run(
        "change \(self)",
        [
          verb, "FORWARD", accept.direction == .source ? "-s" : "-d", "\(accept.prefix)",
          "-m", "comment", "--comment", comment, "-j", "ACCEPT",
        ])
    }
  }
}

// MARK: - Reading the table

/// What the kernel has in the FORWARD chain of iptables-legacy.
struct LegacyChain {
  /// A rule's bytes: `ipt_entry` or `ip6t_entry`, its matches and its target.
  typealias Entry = ArraySlice<UInt8>

  let drops: Bool
  let rules: [Entry]
  let family: IPAddress.Family
  /// All rules of the table.
  let table: ArraySlice<UInt8>
  /// The offsets in it of the chain's first rule and of the entry with the policy.
  let (forward, policy): (Int, Int)

  /// nil if there is no such table. Asking the kernel for a table makes it, so only a table that is
  /// listed is asked for.
  init?(_ family: IPAddress.Family) throws(NetlinkError) {
    guard try LegacyTables(family: family).has("filter") else { return nil }
    let attempt = "read the iptables-legacy table filter of IPv\(family.version)"
    let domain = family == .v4 ? AF_INET : AF_INET6
    try NetworkNamespace.requireOwn()
    let descriptor = socket(domain, humanz_sock_raw | humanz_sock_cloexec, Int32(IPPROTO_RAW))
    guard descriptor >= 0 else { throw NetlinkError(attempt: attempt, errno: .last) }
    let socket = FileDescriptor(descriptor)
    // The kernel answers EAGAIN if the table changes between the two questions.
    for _ in 0..<1000 {
      do throws(Errno) {
        try self.init(family, socket)
        return
      } catch {
        if error != .wouldBlock { throw NetlinkError(attempt: attempt, errno: error) }
      }
    }
    throw NetlinkError(
      attempt: attempt, errno: .wouldBlock, text: "it changed during each of 1000 tries")
  }

  private init(
    _ family: IPAddress.Family, _ socket: borrowing FileDescriptor
  ) throws(Errno) {
    // Both families have the same numbers and, but for the entries, the same structures.
    let level = Int32(family == .v4 ? IPPROTO_IP : IPPROTO_IPV6)
    var info = ipt_getinfo()
    LegacyChain.setName(&info.name)
    var size = socklen_t(MemoryLayout<ipt_getinfo>.size)
    guard getsockopt(socket.rawValue, level, Int32(IPT_SO_GET_INFO), &info, &size) == 0 else {
      throw .last
    }
    var request = ipt_get_entries()
    LegacyChain.setName(&request.name)
    request.size = info.size
    let header = MemoryLayout<ipt_get_entries>.size
    var answer = withUnsafeBytes(of: request) { [UInt8]($0) }
    answer += [UInt8](repeating: 0, count: Int(info.size))
    size = socklen_t(answer.count)
    guard getsockopt(socket.rawValue, level, Int32(IPT_SO_GET_ENTRIES), &answer, &size) == 0 else {
      throw .last
    }
    self.init(
      answer[header...], forward: Int(info.hook_entry.2), policy: Int(info.underflow.2), family)
  }

  /// Reads a table's rules, as IPT_SO_GET_ENTRIES gives them.
  /// - Parameters:
  ///   - forward: where the chain's first rule begins, `hook_entry` of IPT_SO_GET_INFO.
  ///   - policy: where the entry with the chain's policy begins, `underflow`. It ends the chain.
  init(_ table: ArraySlice<UInt8>, forward: Int, policy: Int, _ family: IPAddress.Family) {
    var rules: [Entry] = []
    var rest = table.dropFirst(forward)
    while rest.startIndex < table.startIndex + policy,
      let next = LegacyChain.offsets(of: rest, family)?.next, next > 0
    {
      rules.append(rest.prefix(next))
      rest = rest.dropFirst(next)
    }
    self.rules = rules
    self.family = family
    self.table = table
    (self.forward, self.policy) = (forward, policy)
    drops = LegacyChain.drops(table.dropFirst(policy), family)
  }

  /// The rules with a comment that accept a prefix.
  func accepts(comment: String, _ family: IPAddress.Family) -> [LegacyForward.Accept] {
    // In the rule the text of the match `comment` is between two zeros.
    let text = [0] + Array(comment.utf8) + [0]
    return rules.filter { $0.has(text) }.compactMap { LegacyForward.Accept($0, family) }
  }

  /// Where a rule's target begins and where the next rule does; nil if the bytes are too few.
  static func offsets(
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

  /// Whether the entry with a chain's policy drops: a verdict is stored as its negative less one.
  private static func drops(_ policy: Entry, _ family: IPAddress.Family) -> Bool {
    guard let target = offsets(of: policy, family)?.target else { return false }
    let verdict = policy.dropFirst(target + MemoryLayout<xt_entry_target>.size)
    guard verdict.count >= 4 else { return false }
    return verdict.withUnsafeBytes { $0.loadUnaligned(as: Int32.self) } == -NF_DROP - 1
  }

  private static func setName<Name: BitwiseCopyable>(_ name: inout Name) {
    withUnsafeMutableBytes(of: &name) { $0.copyBytes(from: "filter".utf8) }
  }
}

extension LegacyForward.Accept {
  /// Reads the start of `ipt_ip` or `ip6t_ip6`: source, destination, and the masks of both.
  fileprivate init?(_ entry: LegacyChain.Entry, _ family: IPAddress.Family) {
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
