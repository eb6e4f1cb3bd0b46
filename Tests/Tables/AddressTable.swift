// SPDX-License-Identifier: Apache-2.0
import Addresses
import Embedded

package enum AddressTable {
  /// Texts, and the parsed address as it is written.
  package static let addresses: [Case] =
    [
      ("::ffff:10.1.2.3", "10.1.2.3"), ("::ffff:a01:203", "10.1.2.3"), ("::FFFF:0:0", "0.0.0.0"),
      ("::fffe:10.1.2.3", "::fffe:a01:203"), ("::1.2.3.4", "::102:304"),
      ("64:ff9b::1.2.3.4", "64:ff9b::102:304"),
      ("1:0:0:2:0:0:0:3", "1:0:0:2::3"), ("1:0:0:2:3:0:0:4", "1::2:3:0:0:4"),
      ("1:0:2:3:4:5:6:7", "1:0:2:3:4:5:6:7"),
      ("0:0:0:0:0:0:0:0", "::"), ("0::1", "::1"), ("1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"),
      ("2001:DB8::0A", "2001:db8::a"), ("255.255.255.255", "255.255.255.255"),
    ].map { (input, canonical) in
      Case(input, is: canonical) { text(IPAddress(input)) }
    }
    + [
      "", "1.2.3", "1.2.3.4.5", "1.2.3.256", "01.2.3.4", "1.2.3.4 ", "0x1.2.3.4", "1..2.3", ":",
      ":::", "1:", ":1", "1::2::3", "12345::", "::g", "1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7::8:9",
      "fe80::1%eth0", "::1.2.3", "::1.2.3.4:5", "1:2:3:4:5:6:7:1.2.3.4", "١.2.3.4",
    ].map { input in
      Case("\"\(input)\"", is: "nil") { text(IPAddress(input)) }
    }
    + [
      ("10.0.0.255", "10.0.1.0"), ("255.255.255.255", "nil"), ("fd00::ffff", "fd00::1:0"),
      ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "nil"),
    ].map { (input, next) in
      Case("after \(input)", is: next) { text(IPAddress(input)?.advanced(by: 1)) }
    }

  /// Texts, and the parsed prefix, its network and its last address.
  package static let prefixes: [Case] =
    [
      ("100.100.1.2/24", "100.100.1.0/24", "100.100.1.255"),
      ("10.0.0.1/32", "10.0.0.1/32", "10.0.0.1"),
      ("10.9.8.7/0", "0.0.0.0/0", "255.255.255.255"), ("10.0.0.3/31", "10.0.0.2/31", "10.0.0.3"),
      ("fd00:100:100::5/64", "fd00:100:100::/64", "fd00:100:100:0:ffff:ffff:ffff:ffff"),
      ("fd00::1/0", "::/0", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
      ("::1/128", "::1/128", "::1"),
    ].map { (input, network, last) in
      Case(input, is: "\(input) \(network) \(last)") {
        guard let prefix = IPPrefix(input) else { return "nil" }
        return "\(prefix) \(prefix.network) \(prefix.last)"
      }
    }
    + [
      "10.0.0.0", "10.0.0.0/", "/24", "10.0.0.0/33", "::/129", "10.0.0.0/024", "10.0.0.0/+8",
      "10.0.0.0/ 8", "10.0.0.0/-1", "10.0.0.0/8/9", "10.0.0/8", "10.0.0.0/255.0.0.0",
      "10.0.0.0/256",
    ].map { input in
      Case(input, is: "nil") { text(IPPrefix(input)) }
    }

  /// MAC addresses and interface names.
  package static let names: [Case] =
    [
      ("02:00:5e:10:00:ff", "02:00:5e:10:00:ff"), ("02-00-5E-10-00-FF", "02:00:5e:10:00:ff"),
      ("02:00:5E:10:00:ff", "02:00:5e:10:00:ff"), ("", "nil"), ("02:00:5e:10:00", "nil"),
      ("02:00:5e:10:00:ff:00", "nil"), ("02:00:5e:10:00:fg", "nil"), ("02:00-5e:10:00:ff", "nil"),
      ("0200.5e10.00ff", "nil"), ("02005e1000ff", "nil"), (" 2:00:5e:10:00:ff", "nil"),
      ("02:00:5e:10:00:f", "nil"),
    ].map { (input, canonical) in
      Case("MAC \(input)", is: canonical) { text(MACAddress(input)) }
    }
    + ["eth0", "a", "123456789012345", "...", "veth-é", "eth0.100", "-"].map { input in
      Case("interface \(input)", is: input) { text(InterfaceName(input)) }
    }
    + [
      "", ".", "..", "1234567890123456", "a/b", "a:b", "a b", "pc%d", "a\t", "a\n", "a\u{0}",
      "ééééééééé", "à",
    ].map { input in
      Case("interface \(input)", is: "nil") { text(InterfaceName(input)) }
    }
}
