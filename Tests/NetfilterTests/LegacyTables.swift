// SPDX-License-Identifier: Apache-2.0
import Tables

/// A table `filter` of iptables-legacy 1.8.9, from IPT_SO_GET_INFO and IPT_SO_GET_ENTRIES of Linux 6.18 on a
/// 64-bit machine, after these commands (for IPv6 with `ip6tables-legacy`, fd00:100::/32 and 2001:db8::/32)
///
///     iptables-legacy -P FORWARD DROP
///     iptables-legacy -A INPUT -s 10.0.0.0/8 -m comment --comment "humanz demo" -j ACCEPT
///     iptables-legacy -A FORWARD -s 10.0.0.0/8 -j DROP
///     iptables-legacy -A FORWARD -s 100.100.0.0/16 -m comment --comment "humanz demo" -j ACCEPT
///     iptables-legacy -A FORWARD -d 100.100.0.0/16 -m comment --comment "humanz demo" -j ACCEPT
///     iptables-legacy -A FORWARD -d 100.100.0.0/16 -m comment --comment "humanz demo2" -j ACCEPT
///     iptables-legacy -A OUTPUT -d 100.100.0.0/16 -m comment --comment "humanz demo" -j ACCEPT
struct LegacyTable {
  /// The offset of the first rule of FORWARD, and its policy.
  let forward: Int
  let policy: Int
  let bytes: [UInt8]

  /// - Parameter text: hexadecimal digits; `zN` means N zeros.
  private init(forward: Int, policy: Int, _ text: String) {
    self.forward = forward
    self.policy = policy
    bytes = text.split(whereSeparator: { $0.isWhitespace }).flatMap { word in
      word.first == "z"
        ? [UInt8](repeating: 0, count: Int(word.dropFirst())!) : Tables.bytes(String(word))
    }
  }

  static let v4 = LegacyTable(
    forward: 592, policy: 2064,
    """
    0a z7 ff z79 9001b80102 z19 2001636f6d6d656e74 z23 68756d616e7a2064656d6f z245 28 z31
    feffffff z92 7000980002 z19 28 z31 feffffff z4 0a z7 ff z79 7000980004 z19 28 z31 ffffffff
    z4 6464 z6 ffff z78 9001b80104 z19 2001636f6d6d656e74 z23 68756d616e7a2064656d6f z245 28
    z31 feffffff z8 6464 z6 ffff z74 9001b80104 z19 2001636f6d6d656e74 z23
    68756d616e7a2064656d6f z245 28 z31 feffffff z8 6464 z6 ffff z74 9001b80104 z19
    2001636f6d6d656e74 z23 68756d616e7a2064656d6f32 z244 28 z31 feffffff z92 7000980004 z19 28
    z31 ffffffff z8 6464 z6 ffff z74 9001b80108 z19 2001636f6d6d656e74 z23
    68756d616e7a2064656d6f z245 28 z31 feffffff z92 7000980008 z19 28 z31 feffffff z92 7000b0
    z21 40004552524f52 z25 4552524f52 z27
    """)

  static let v6 = LegacyTable(
    forward: 704, policy: 2400,
    """
    20010db8 z28 ffffffff z104 c801f00102 z23 2001636f6d6d656e74 z23 68756d616e7a2064656d6f
    z245 28 z31 feffffff z144 a800d00002 z23 28 z31 feffffff z4 20010db8 z28 ffffffff z104
    a800d00004 z23 28 z31 ffffffff z4 fd0001 z29 ffffffff z104 c801f00104 z23
    2001636f6d6d656e74 z23 68756d616e7a2064656d6f z245 28 z31 feffffff z20 fd0001 z29 ffffffff
    z88 c801f00104 z23 2001636f6d6d656e74 z23 68756d616e7a2064656d6f z245 28 z31 feffffff z20
    fd0001 z29 ffffffff z88 c801f00104 z23 2001636f6d6d656e74 z23 68756d616e7a2064656d6f32
    z244 28 z31 feffffff z144 a800d00004 z23 28 z31 ffffffff z20 fd0001 z29 ffffffff z88
    c801f00108 z23 2001636f6d6d656e74 z23 68756d616e7a2064656d6f z245 28 z31 feffffff z144
    a800d00008 z23 28 z31 feffffff z144 a800e8 z25 40004552524f52 z25 4552524f52 z27
    """)
}
