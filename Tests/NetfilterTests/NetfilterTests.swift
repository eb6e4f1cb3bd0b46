// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNetlink
import Dispatch
import System
import Tables
import TestSupport
import Testing

@testable import Netfilter
@testable import Netlink

/// Our rules as nf_tables stores them and nft(8) lists them.
@Suite struct NetfilterTests {
  private let network = "demo"

  private var masquerade: Masquerade {
    Masquerade(
      network: network, inside: [prefix("100.100.0.0/24"), prefix("fd00:100::/60")],
      except: [prefix("100.100.0.0/17"), prefix("fd00::/16")])
  }

  @Test func `masquerade is readable, found again and removed`() throws {
    try inNewNamespace { _ in
      let socket = try NetfilterSocket()
      #expect(try masquerade.isInstalled(socket) == false)
      try Masquerade.remove(network: network, socket)
      try masquerade.install(socket)
      #expect(
        shell("nft list ruleset") == """
          table inet humanz {
          \tchain masquerade-demo {
          \t\ttype nat hook postrouting priority srcnat; policy accept;
          \t\tip saddr 100.100.0.0/24 ip daddr != 100.100.0.0/17 ip daddr != 224.0.0.0/4 masquerade comment "pods 100.100.0.0/24"
          \t\tip6 saddr fd00:100::/60 ip6 daddr != fd00::/16 ip6 daddr != ff00::/8 masquerade comment "pods fd00:100::/60"
          \t}
          }

          """)
      #expect(try masquerade.isInstalled(socket))
      #expect(try Masquerade.networks(socket) == ["demo"])

      // Subnets of other pods are added; other exceptions replace the old ones.
      let more = Masquerade(
        network: network, inside: [prefix("100.100.9.0/24")], except: [prefix("100.0.0.0/8")])
      try more.install(socket)
      #expect(try masquerade.isInstalled(socket) && more.isInstalled(socket))
      let changed = Masquerade(network: network, inside: [prefix("100.100.9.0/24")], except: [])
      #expect(try changed.isInstalled(socket) == false)
      try changed.install(socket)
      #expect(try changed.isInstalled(socket) && !more.isInstalled(socket))
      #expect(shell("nft list ruleset | grep -c 'pods 100.100.9.0/24'") == "1\n")

      let other = Masquerade(
        network: "other", inside: [prefix("10.0.0.0/24")], except: [])
      try other.install(socket)
      try Masquerade.remove(network: network, socket)
      #expect(try other.isInstalled(socket) && !masquerade.isInstalled(socket))
      try Masquerade.remove(network: "other", socket)
      #expect(shell("nft list ruleset") == "")
    }
  }

  @Test func `many that install the same at once leave one of each`() throws {
    try inNewNamespace { _ in
      let own = try NetworkNamespace.current()
      let descriptor = own.fileDescriptor
      let failures = Failures()
      let masquerade = masquerade
      DispatchQueue.concurrentPerform(iterations: 16) { number in
        do {
          let namespace = try NetworkNamespace(path: "/proc/self/fd/\(descriptor)")
          let socket = try namespace.run { () throws(NetlinkError) in try NetfilterSocket() }
          try masquerade.install(socket)
          try Masquerade(
            network: "demo",
            inside: [prefix("10.0.\(number).0/24")], except: []
          ).install(socket)
        } catch { failures.append("\(error)") }
      }
      #expect(failures.all == [])
      #expect(shell("nft list ruleset | grep -c comment") == "18\n")
      #expect(shell("nft list ruleset | grep comment | sort | uniq -d") == "")
    }
  }

  @Test func `a port may send from its own address only`() throws {
    let pod = try makeNamespace()
    let descriptor = pod.fileDescriptor
    try inNewNamespace { node in
      let port = name("veth0123456789a")
      try node.perform(
        .addVethPair(
          VethPair(
            name: port, mac: mac("02:00:00:00:00:01"), peerName: name("eth0"),
            peerMAC: mac("02:00:00:00:00:02"), peerNamespace: descriptor)))
      let inside = try NetworkNamespace(path: "/proc/self/fd/\(descriptor)")
      let podSocket = try inside.openRouteSocket()
      let host = try #require(try node.link(named: port)).index
      let peer = try #require(try podSocket.link(named: name("eth0"))).index
      try podSocket.perform(.changeLink(.index(peer), LinkChange(up: true)))
      try node.perform([
        .changeLink(.index(host), LinkChange(up: true)),
        .replaceAddress(InterfaceAddress(prefix: prefix("192.0.2.1/24"), index: host)),
      ])
      let socket = try NetfilterSocket()
      let check = SourceCheck(
        port: port, mac: mac("02:00:00:00:00:02"), comment: "demo container eth0")
      #expect(try check.isInstalled(socket) == false)
      try check.install(socket)
      try check.install(socket)
      #expect(
        shell("nft list ruleset") == """
          table netdev humanz {
          \tchain veth0123456789a {
          \t\ttype filter hook ingress device "veth0123456789a" priority filter; policy accept;
          \t\tether saddr != 02:00:00:00:00:02 drop comment "demo container eth0"
          \t}
          }

          """)
      #expect(try check.isInstalled(socket))
      #expect(try SourceCheck.ports(socket) == [port])
      let other = SourceCheck(port: port, mac: mac("02:00:00:00:00:03"), comment: "x")
      #expect(try other.isInstalled(socket) == false)

      // A neighbour that learns from an announcement shows that the frame passed.
      let address = IPAddress("192.0.2.2")!
      try podSocket.perform([
        .changeLink(.index(peer), LinkChange(announces: true)),
        .replaceAddress(InterfaceAddress(prefix: prefix("192.0.2.2/24"), index: peer)),
      ])
      for _ in 0..<200 where try podSocket.link(index: peer)?.isRunning != true { usleep(10_000) }
      let unknown = mac("02:00:00:00:00:99")
      var learned: [MACAddress?] = []
      for sender in [mac("02:00:00:00:00:02"), mac("02:00:00:00:00:03")] {
        #expect(shell("ip neigh replace \(address) lladdr \(unknown) dev \(port) nud stale") == "")
        try podSocket.perform(.changeLink(.index(peer), LinkChange(mac: sender)))
        var known: MACAddress? = unknown
        for _ in 0..<50 where known == unknown {
          usleep(10_000)
          known = try node.neighbours(index: host).first { $0.address == address }?.mac
        }
        learned.append(known)
      }
      #expect(learned == [mac("02:00:00:00:00:02"), unknown])

      try node.perform(.deleteLink(.index(host)))
      try SourceCheck.remove(port: port, socket)
      try SourceCheck.remove(port: port, socket)
      #expect(shell("nft list ruleset") == "")
    }
  }
}

/// Rules that accept a network's packets in other firewalls.
@Suite struct ForwardAcceptTests {
  private let accept = ForwardAccept(
    network: "demo", prefixes: [prefix("100.100.0.0/16"), prefix("fd00:100::/32")])

  private let rules4 = """
    -A FORWARD -s 100.100.0.0/16 -m comment --comment "humanz demo" -j ACCEPT
    -A FORWARD -d 100.100.0.0/16 -m comment --comment "humanz demo" -j ACCEPT

    """

  @Test func `nothing is made where nothing drops`() throws {
    try inNewNamespace { _ in
      let socket = try NetfilterSocket()
      #expect(try accept.isInstalled(socket))
      _ = shell("iptables-nft -A FORWARD -j LOG; iptables-legacy -A FORWARD -j LOG")
      #expect(try accept.isInstalled(socket) && accept.droppingChains(socket).isEmpty)
      try accept.install(socket)
      #expect(!shell("iptables-nft -S; iptables-legacy -S").contains("humanz"))
    }
  }

  @Test func `chains of iptables-nft let the network through, behind all others`() throws {
    try inNewNamespace { _ in
      let socket = try NetfilterSocket()
      _ = shell(
        "iptables-nft -P FORWARD DROP; iptables-nft -A FORWARD -s 10.0.0.0/8 -j DROP;"
          + "ip6tables-nft -P FORWARD DROP")
      #expect(try accept.isInstalled(socket) == false)
      #expect(
        try accept.droppingChains(socket)
          == ["nftables chain ip filter FORWARD", "nftables chain ip6 filter FORWARD"])
      try accept.install(socket)
      try accept.install(socket)
      #expect(try accept.isInstalled(socket) && accept.droppingChains(socket).isEmpty)
      #expect(
        shell("iptables-nft -S FORWARD")
          == "-P FORWARD DROP\n-A FORWARD -s 10.0.0.0/8 -j DROP\n" + rules4)
      #expect(
        shell("ip6tables-nft -S FORWARD")
          == "-P FORWARD DROP\n"
          + rules4.split(separator: "\n").map {
            $0.split(separator: "100.100.0.0/16").joined(separator: "fd00:100::/32") + "\n"
          }.joined())
      // The check notices a rule that somebody removed.
      _ = shell("iptables-nft -D FORWARD 2")
      #expect(try accept.isInstalled(socket) == false)
      try accept.install(socket)
      #expect(try accept.isInstalled(socket))
      try accept.remove(socket)
      try accept.remove(socket)
      #expect(
        shell("iptables-nft -S FORWARD; ip6tables-nft -S FORWARD")
          == "-P FORWARD DROP\n-A FORWARD -s 10.0.0.0/8 -j DROP\n-P FORWARD DROP\n")
    }
  }

  @Test func `chains of an nftables ruleset let the network through`() throws {
    try inNewNamespace { _ in
      let socket = try NetfilterSocket()
      _ = shell(
        "nft add table inet firewall; "
          + "nft add chain inet firewall f '{ type filter hook forward priority 0; policy drop; }';"
          + "nft add chain inet firewall i '{ type filter hook input priority 0; policy drop; }'")
      #expect(try accept.isInstalled(socket) == false)
      try accept.install(socket)
      #expect(try accept.isInstalled(socket))
      #expect(
        shell("nft list chain inet firewall f | grep accept | sort") == """
          \t\tip daddr 100.100.0.0/16 accept comment "humanz demo"
          \t\tip saddr 100.100.0.0/16 accept comment "humanz demo"
          \t\tip6 daddr fd00:100::/32 accept comment "humanz demo"
          \t\tip6 saddr fd00:100::/32 accept comment "humanz demo"

          """)
      #expect(!shell("nft list chain inet firewall i").contains("accept"))
      try accept.remove(socket)
      #expect(try accept.isInstalled(socket) == false)
    }
  }

  @Test func `chains of iptables-legacy let the network through, the program run once`() throws {
    try inNewNamespace { _ in
      let socket = try NetfilterSocket()
      _ = shell("iptables-legacy -P FORWARD DROP; ip6tables-legacy -P FORWARD DROP")
      #expect(
        try accept.droppingChains(socket)
          == ["iptables-legacy chain FORWARD", "ip6tables-legacy chain FORWARD"])
      try accept.install(socket)
      #expect(try accept.isInstalled(socket))
      let rules = shell("iptables-legacy -S FORWARD")
      #expect(rules == "-P FORWARD DROP\n" + rules4)
      try accept.install(socket)
      #expect(shell("iptables-legacy -S FORWARD") == rules)
      // A network with a longer name is a different one.
      let longer = ForwardAccept(
        network: "demo2", prefixes: [prefix("100.100.0.0/16")])
      #expect(try longer.isInstalled(socket) == false)
      try accept.remove(socket)
      #expect(shell("iptables-legacy -S FORWARD") == "-P FORWARD DROP\n")
    }
  }
}

/// The check of senders through an overlay.
@Suite struct TunnelCheckTests {
  private func source(_ peer: String, _ pods: String) -> TunnelCheck.Source {
    TunnelCheck.Source(peer: address(peer), pods: prefix(pods))
  }

  private func check(_ network: String, port: UInt16 = 4790, id: UInt32 = 72) -> TunnelCheck {
    TunnelCheck(
      network: network, port: port, id: id,
      sources: [
        source("10.2.0.10", "100.100.1.0/24"), source("10.2.0.10", "100.100.1.128/25"),
        source("10.2.0.10", "fd00:1::/64"), source("fd02::10", "100.100.2.0/24"),
        source("fd02::10", "fd00:2::/64"),
      ])
  }

  @Test func `a check is made once, and again for other peers`() throws {
    try inNewNamespace { _ in
      let socket = try NetfilterSocket()
      #expect(try check("one").isInstalled(socket) == false)
      try check("one").install(socket)
      #expect(try check("one").isInstalled(socket))
      let rules = shell("nft -a list ruleset")
      for text in [
        "10.2.0.10 . 100.100.1.0/24", "10.2.0.10 . 10.2.0.10", "10.2.0.10 . fd00:1::/64",
        "fd02::10 . 100.100.2.0/24", "fd02::10 . fd02::10", "udp dport 4790 drop",
      ] { #expect(rules.contains(text), "\(rules)") }
      try check("one").install(socket)
      #expect(shell("nft -a list ruleset") == rules)
      for other in [check("one", port: 4791), check("one", id: 73)] {
        #expect(try other.isInstalled(socket) == false)
      }
      let fewer = TunnelCheck(
        network: "one", port: 4790, id: 72, sources: [source("10.2.0.9", "100.100.9.0/24")])
      try fewer.install(socket)
      #expect(try fewer.isInstalled(socket) && !check("one").isInstalled(socket))
      #expect(!shell("nft list ruleset").contains("10.2.0.10"))
      #expect(shell("nft list chain inet humanz overlay | grep -c drop") == "1\n")
    }
  }

  @Test func `two networks share the chain, and the last one takes it away`() throws {
    try inNewNamespace { _ in
      let socket = try NetfilterSocket()
      try check("one").install(socket)
      try check("two").install(socket)
      #expect(try check("one").isInstalled(socket) && check("two").isInstalled(socket))
      #expect(try TunnelCheck.remove(network: "one", socket) == false)
      #expect(try check("two").isInstalled(socket))
      #expect(!shell("nft list ruleset").contains("overlay-one"))
      #expect(try TunnelCheck.remove(network: "two", socket))
      #expect(try TunnelCheck.remove(network: "two", socket))
      #expect(shell("nft list ruleset") == "")
    }
  }

  @Test(arguments: ["one", "strangers"])
  func `a network's other port takes the first one's rules away`(network: String) throws {
    try inNewNamespace { _ in
      let socket = try NetfilterSocket()
      try check(network).install(socket)
      try check(network, port: 4791).install(socket)
      #expect(try check(network, port: 4791).isInstalled(socket))
      #expect(!shell("nft list ruleset").contains("4790"))
      #expect(try check(network).otherNetwork(socket) == nil)
      // The device may have the port of another network.
      try check("two", port: 4792).install(socket)
      #expect(shell("nft list chain inet humanz overlay").contains("udp dport 4791 drop"))
      #expect(try check(network, port: 4791).isInstalled(socket))
      #expect(try check(network).otherNetwork(socket) == "two")
    }
  }

  @Test func `five thousand peers go into one transaction`() throws {
    try inNewNamespace { _ in
      let socket = try NetfilterSocket()
      let sources = (0..<5000).map { number in
        source(
          "fd02::\(String(number + 1, radix: 16))", "fd00:\(String(number + 1, radix: 16))::/64")
      }
      let check = TunnelCheck(network: "many", port: 4790, id: 72, sources: sources)
      try check.install(socket)
      #expect(try check.isInstalled(socket))
    }
  }
}

/// Connections of an address that gets a new owner.
@Suite struct ConnectionTrackingTests {
  /// The original destinations of all connections; the kernel itself sends to multicast groups now and
  /// then.
  private func destinations(_ socket: borrowing NetfilterSocket) throws -> [String] {
    let type = NFNL_SUBSYS_CTNETLINK << 8 | Int32(IPCTNL_MSG_CT_GET.rawValue)
    return try socket.dump(Request("list connections", type, header: nfgenmsg())) { message in
      let tuple = message.attributes(after: nfgenmsg.self).first(CTA_TUPLE_ORIG)?.nested
      let addresses = tuple?.first(CTA_TUPLE_IP)?.nested
      let destination = addresses?.first(CTA_IP_V4_DST) ?? addresses?.first(CTA_IP_V6_DST)
      return destination.flatMap { IPAddress(bytes: $0.payload) }
    }.filter { !prefix("224.0.0.0/4").contains($0) && !prefix("ff00::/8").contains($0) }.map(
      \.description
    ).sorted()
  }

  /// With and without the kernel's own filter for an address.
  @Test(arguments: [(4096, false), (4096, true), (0, true)])
  func `connections of an address are forgotten, others are not`(
    unfiltered: Int, alwaysLists: Bool
  ) throws {
    try inNewNamespace { node in
      let socket = try NetfilterSocket()
      try ConnectionTracking.forget(
        [address("192.0.2.1")], unfiltered: unfiltered, alwaysLists: alwaysLists)
      _ = shell(
        "nft add table inet t; nft add chain inet t c '{ type nat hook postrouting priority 0; }'")
      _ = shell("nft add rule inet t c ip daddr 203.0.113.0/24 masquerade")
      try node.perform(.addBridge(name("br0")))
      let index = try #require(try node.link(named: name("br0"))).index
      try node.perform([
        .changeLink(.index(index), LinkChange(up: true)),
        .replaceAddress(InterfaceAddress(prefix: prefix("192.0.2.1/24"), index: index)),
        .replaceAddress(InterfaceAddress(prefix: prefix("198.51.100.1/24"), index: index)),
        .replaceAddress(
          InterfaceAddress(prefix: prefix("fd00::1/64"), index: index, skipsDAD: true)),
        .replaceRoute(
          Route(
            destination: prefix("203.0.113.0/24"), nextHops: [NextHop(device: index)],
            source: address("198.51.100.1"))),
      ])
      _ = shell(
        """
        bash -c 'for d in 192.0.2.9/53 192.0.2.9/54 198.51.100.7/53 203.0.113.7/53 fd00::9/53
        do echo x > /dev/udp/$d; done'
        """)
      let all = ["192.0.2.9", "192.0.2.9", "198.51.100.7", "203.0.113.7", "fd00::9"]
      #expect(try destinations(socket) == all)
      try ConnectionTracking.forget(
        [address("192.0.2.77"), address("fd00::77")], unfiltered: unfiltered,
        alwaysLists: alwaysLists)
      #expect(try destinations(socket) == all)
      try ConnectionTracking.forget(
        [address("192.0.2.9")], unfiltered: unfiltered, alwaysLists: alwaysLists)
      #expect(try destinations(socket) == Array(all[2...]))
      try ConnectionTracking.forget(
        [address("198.51.100.1"), address("fd00::9")], unfiltered: unfiltered,
        alwaysLists: alwaysLists)
      #expect(try destinations(socket) == [])
    }
  }
}

/// The failures that several threads report.
final class Failures: @unchecked Sendable {
  private let queue = DispatchQueue(label: "failures")
  private var list: [String] = []

  func append(_ failure: String) { queue.sync { list.append(failure) } }
  var all: [String] { queue.sync { list } }
}
