import CNI
import CNetlink
import Dispatch
import Testing

@testable import Netfilter
@testable import Netlink

/// What nf_tables makes of our rules, and nft(8) of them.
@Suite struct NetfilterTests {
  private let network = NetworkName("demo")!

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
      #expect(try Masquerade.networks(socket).map(\.description) == ["demo"])

      // Other pods of the network join; other exceptions replace.
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
        network: NetworkName("other")!, inside: [prefix("10.0.0.0/24")], except: [])
      try other.install(socket)
      try Masquerade.remove(network: network, socket)
      #expect(try other.isInstalled(socket) && !masquerade.isInstalled(socket))
      try Masquerade.remove(network: NetworkName("other")!, socket)
      #expect(shell("nft list ruleset") == "")
    }
  }

  @Test func `many that install the same at once leave one of each`() throws {
    try inNewNamespace { _ in
      let own = try NetworkNamespace.callers()
      let descriptor = own.fileDescriptor
      let failures = Failures()
      let masquerade = masquerade
      DispatchQueue.concurrentPerform(iterations: 16) { number in
        do {
          let namespace = try NetworkNamespace(path: "/proc/self/fd/\(descriptor)")
          let socket = try namespace.run { () throws(NetlinkError) in try NetfilterSocket() }
          try masquerade.install(socket)
          try Masquerade(
            network: NetworkName("demo")!,
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

      // What a neighbour learns from an announcement shows whether the frame came through.
      let address = IPAddress("192.0.2.2")!
      var learned: [MACAddress?] = []
      for sender in [mac("02:00:00:00:00:02"), mac("02:00:00:00:00:03")] {
        try node.perform(
          .replaceNeighbour(Neighbour(address, index: host, mac: mac("02:00:00:00:00:99"))))
        try inside.announce([address], mac: sender, index: peer)
        learned.append(try node.neighbours(index: host).first { $0.address == address }?.mac)
      }
      #expect(learned == [mac("02:00:00:00:00:02"), mac("02:00:00:00:00:99")])

      try node.perform(.deleteLink(.index(host)))
      try SourceCheck.remove(port: port, socket)
      try SourceCheck.remove(port: port, socket)
      #expect(shell("nft list ruleset") == "")
    }
  }
}

/// What several threads report.
final class Failures: @unchecked Sendable {
  private let queue = DispatchQueue(label: "failures")
  private var list: [String] = []

  func append(_ failure: String) { queue.sync { list.append(failure) } }
  var all: [String] { queue.sync { list } }
}
