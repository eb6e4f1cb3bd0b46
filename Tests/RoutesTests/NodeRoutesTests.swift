// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNI
import Netlink
import Node
import Tables
import TestSupport
import Testing

@testable import Routes

/// The node's routes, compared with its peers on a kernel.
@Suite struct NodeRoutesTests {
  /// Runs `body` on a node whose uplink has 192.0.2.1/24 and fd01::1/64, and whose bridge `cni0` has the subnet
  /// of the node's pods, 10.244.0.0/24.
  private func onNode(_ body: (borrowing Node) throws -> Void) throws {
    try inNewNamespace { socket in
      let own = try NetworkNamespace.current()
      try socket.perform([
        .addVethPair(
          VethPair(
            name: name("uplink"), mac: mac("02:00:00:00:00:01"), peerName: name("far"),
            peerMAC: mac("02:00:00:00:00:02"), peerNamespace: own.fileDescriptor)),
        .addBridge(name("cni0")),
      ])
      for (link, addresses) in [
        ("far", []), ("uplink", ["192.0.2.1/24", "fd01::1/64"]), ("cni0", ["10.244.0.1/24"]),
      ] {
        let index = try #require(try socket.link(named: name(link))).index
        try socket.perform(
          [.changeLink(.index(index), LinkChange(up: true))]
            + addresses.map {
              .replaceAddress(InterfaceAddress(prefix: prefix($0), index: index, skipsDAD: true))
            })
      }
      try body(Node())
    }
  }

  private func peer(_ keys: String) throws -> Peer {
    try Peer(Keys(try #require(try JSON(parsing: Array(keys.utf8)).object)))
  }

  private func peers(_ keys: [String]) throws -> PeerList {
    PeerList(try keys.map { try peer($0) })
  }

  private let network = [prefix("10.244.0.0/16"), prefix("fd00:244::/32")]

  private func routes(
    _ list: PeerList, unreachable: Bool = false, _ node: borrowing Node
  ) throws -> NodeRoutes {
    try NodeRoutes(list, unreachable: unreachable ? network : [], staleWithin: network, node)
  }

  /// As `routes`, where the subnet of the node's pods is known.
  private func ownRoutes(_ list: PeerList, _ node: borrowing Node) throws -> NodeRoutes {
    try NodeRoutes(list, own: [prefix("10.244.0.1/24")], staleWithin: network, node)
  }

  /// `STATE DESTINATION` of each finding.
  private func states(
    _ list: PeerList, unreachable: Bool = false, all: Bool = true, _ node: borrowing Node
  ) throws -> [String] {
    try routes(list, unreachable: unreachable, node).findings(all: all, on: node).map {
      "\($0.state) \($0.route.destination)"
    }
  }

  private let two = [
    #"{"subnet":"10.244.1.0/24","via":"192.0.2.2"}"#,
    #"{"subnet":"fd00:244:1::/64","via":["fd01::2","fd01::3"],"mtu":1400}"#,
  ]

  @Test func `missing routes are made, and are then installed`() throws {
    try onNode { node in
      let list = try peers(two)
      let own = ["foreign 10.244.0.0/24"]
      #expect(
        try states(list, node) == own + ["missing 10.244.1.0/24", "missing fd00:244:1::/64"])
      #expect(try routes(list, node).repair(on: node) == [])
      #expect(
        try states(list, node) == own + ["installed 10.244.1.0/24", "installed fd00:244:1::/64"])
      #expect(try states(list, all: false, node) == [])
      #expect(try routes(list, node).problems(on: node) == [])
      let made = shell("ip route show proto 72; ip -6 route show proto 72")
      #expect(made.contains("10.244.1.0/24 via 192.0.2.2 dev uplink"))
      #expect(made.contains("nexthop via fd01::2 dev uplink weight 1"))
      #expect(made.contains("mtu 1400"))
    }
  }

  @Test func `the kernel's route to this node's own pods is made again as it was`() throws {
    try onNode { node in
      let list = try peers(two)
      let before = shell("ip route show 10.244.0.0/24")
      _ = try ownRoutes(list, node).repair(on: node)
      #expect(try ownRoutes(list, node).findings(on: node).isEmpty)
      _ = shell("ip route del 10.244.0.0/24 dev cni0")
      let finding = try #require(try ownRoutes(list, node).findings(on: node).first)
      #expect(finding.message == "own subnet 10.244.0.0/24: its route is missing")
      #expect(finding.isRepairable && finding.peer == nil)
      var repaired: [NodeRoutes.Finding] = []
      #expect(try ownRoutes(list, node).repair(on: node, &repaired) == [])
      #expect(repaired.map { "\($0.state)" } == ["missing"])
      #expect(shell("ip route show 10.244.0.0/24") == before)
      // A link that is down is not set up.
      _ = shell("ip link set cni0 down")
      #expect(
        try ownRoutes(list, node).repair(on: node) == ["own subnet 10.244.0.0/24: cni0 is down"])
    }
  }

  @Test func `a peer with an address of this node is left out, another with its subnet is refused`()
    throws
  {
    try onNode { node in
      let list = try peers(
        two + [
          #"{"subnet":"10.244.0.0/24","via":"192.0.2.1"}"#,
          #"{"subnet":"10.244.0.128/25","via":"192.0.2.3"}"#,
        ])
      let routes = try ownRoutes(list, node)
      #expect(
        try routes.findings(on: node).map { "\($0.state) \($0.route.destination)" } == [
          "refused 10.244.0.128/25", "missing 10.244.1.0/24", "missing fd00:244:1::/64",
        ])
    }
  }

  @Test func `the own subnets of a result have the gateways in them`() {
    let subnets = NodeRoutes.ownSubnets(of: [
      ResultIP(prefix("10.244.0.5/24"), gateway: address("10.244.0.1")),
      ResultIP(prefix("10.244.0.6/24"), gateway: address("10.244.0.1")),
      ResultIP(prefix("fd00:244::5/64"), gateway: nil),
      ResultIP(prefix("10.9.9.9/32"), gateway: address("10.244.0.1")),
      // A gateway outside of its subnet is accepted.
      ResultIP(prefix("10.8.0.5/24"), gateway: address("10.7.0.1")),
    ])
    #expect(
      subnets == [prefix("10.244.0.1/24"), prefix("fd00:244::/64"), prefix("10.8.0.0/24")])
  }

  @Test func `the rest of the network is unreachable, a link's own part of it is not`() throws {
    try onNode { node in
      let list = try peers(two)
      _ = try routes(list, unreachable: true, node).repair(on: node)
      #expect(try states(list, unreachable: true, all: false, node) == [])
      #expect(
        shell("ip route show type unreachable").contains("unreachable 10.244.0.0/16 proto 72"))
      // If no key asks for it any more, it is stale.
      #expect(
        try states(list, all: false, node) == ["stale 10.244.0.0/16", "stale fd00:244::/32"])
      // If a link has the whole network, nothing of it remains.
      _ = shell("ip address add 10.244.255.254/16 dev cni0")
      let left = try states(list, unreachable: true, all: false, node)
      #expect(left.filter { $0.hasSuffix("/16") } == [])
    }
  }

  @Test func `a peer that has a whole prefix of the network gets its route`() throws {
    try onNode { node in
      let list = try peers([#"{"subnet":"fd00:244::/32","via":"fd01::2"}"#])
      #expect(try routes(list, unreachable: true, node).repair(on: node) == [])
      #expect(
        try states(list, unreachable: true, node) == [
          "installed 10.244.0.0/16", "foreign 10.244.0.0/24", "installed fd00:244::/32",
        ])
      #expect(shell("ip -6 route show fd00:244::/32").contains("via fd01::2 dev uplink"))
    }
  }

  @Test func `a different route is named beside the one that is wanted`() throws {
    try onNode { node in
      let list = try peers([#"{"subnet":"10.244.1.0/24","via":["192.0.2.2","192.0.2.3"]}"#])
      #expect(
        shell(
          "ip route add 10.244.1.0/24 proto 72 nexthop via 192.0.2.2 weight 2 nexthop via 192.0.2.3"
        ) == "")
      let uplink = try #require(try node.kernel.link(name("uplink"))).index
      #expect(
        try routes(list, node).problems(on: node) == [
          "peer (10.244.1.0/24): its route is 10.244.1.0/24 via 192.0.2.2 dev number \(uplink) weight 2 "
            + "via 192.0.2.3 dev number \(uplink) weight 1, not "
            + "10.244.1.0/24 via 192.0.2.2 weight 1 via 192.0.2.3 weight 1"
        ])
    }
  }

  @Test func `a route whose link goes while it is made is reported`() throws {
    try onNode { node in
      let list = try peers([#"{"subnet":"fd00:244:1::/64","via":"fd01::2","dev":"uplink"}"#])
      let routes = try routes(list, node)
      #expect(shell("ip link delete uplink") == "")
      let problems = routes.repair(on: node)
      #expect(
        problems.count == 1 && problems[0].contains("cannot add route fd00:244:1::/64")
          && problems[0].contains("No such device"), "\(problems)")
    }
  }

  @Test(arguments: [
    ("ip route replace 10.244.1.0/24 via 192.0.2.9 proto 72", "different", true),
    ("ip route replace 10.244.1.0/24 via 192.0.2.2 mtu 1300 proto 72", "different", true),
    ("ip route replace unreachable 10.244.1.0/24 proto 72", "different", true),
    ("ip route replace 10.244.1.0/24 via 192.0.2.2 proto 72 metric 5", "installed", true),
    ("ip route replace 10.244.1.0/24 via 192.0.2.2 proto static", "installed", true),
    ("ip route replace 10.244.1.0/24 via 192.0.2.9 proto static", "conflicting", false),
    ("ip route replace 10.244.1.0/24 dev uplink proto 72", "different", true),
  ])
  func `a route that is there is right, repaired, or somebody else's`(
    command: String, state: String, becomesRight: Bool
  ) throws {
    try onNode { node in
      #expect(shell(command) == "")
      let list = try peers([two[0]])
      #expect(
        try states(list, node).filter { $0.hasSuffix("10.244.1.0/24") } == [
          "\(state) 10.244.1.0/24"
        ])
      let problems = try routes(list, node).repair(on: node)
      #expect(problems.isEmpty == becomesRight, "\(problems)")
      let left = try states(list, all: false, node)
      #expect(left.isEmpty == becomesRight)
      if !becomesRight { #expect(shell("ip route show 10.244.1.0/24").contains("192.0.2.9")) }
    }
  }

  @Test func `a route that no peer needs is stale within the network alone`() throws {
    try onNode { node in
      let commands = [
        "ip route add 10.244.9.0/24 via 192.0.2.2 proto 72",
        "ip route add 10.99.0.0/24 via 192.0.2.2 proto 72",
        "ip route add 10.244.8.0/24 via 192.0.2.2 proto static",
      ]
      #expect(shell(commands.joined(separator: ";")) == "")
      let list = PeerList([])
      let states = try states(list, node)
      #expect(
        states == [
          "foreign 10.244.0.0/24", "foreign 10.244.8.0/24", "stale 10.244.9.0/24",
        ])
      #expect(try routes(list, node).repair(on: node) == [])
      let left = shell("ip route show")
      #expect(!left.contains("10.244.9.0/24"))
      #expect(left.contains("10.244.8.0/24") && left.contains("10.99.0.0/24"))
    }
  }

  @Test func `a peer that cannot be reached gets no route, and keeps the others from none`() throws
  {
    try onNode { node in
      let list = try peers([
        #"{"name":"b","subnet":"10.244.1.0/24","via":"198.51.100.2"}"#,
        #"{"subnet":"10.244.2.0/24","via":"192.0.2.2","dev":"gone"}"#,
        #"{"subnet":"10.244.3.0/24","via":["192.0.2.3","198.51.100.3"]}"#, two[0],
        #"{"subnet":"10.244.4.0/24","via":"192.0.2.4","dev":"uplink"}"#,
      ])
      let problems = try routes(list, node).repair(on: node)
      #expect(
        problems == [
          "peer b (10.244.1.0/24): the next hop 198.51.100.2 is not on-link",
          "peer (10.244.1.0/24) has the subnet of peer b (10.244.1.0/24)",
          "peer (10.244.2.0/24): there is no link gone",
          "peer (10.244.3.0/24): the next hop 198.51.100.3 is not on-link",
        ])
      #expect(
        shell("ip route show proto 72") == """
          10.244.3.0/24 via 192.0.2.3 dev uplink 
          10.244.4.0/24 via 192.0.2.4 dev uplink 

          """)
      // STATUS does not report what the next ADD repairs.
      #expect(
        try routes(list, node).problems(includingRepairable: false, on: node) == problems)
    }
  }

  @Test func `this node among its peers is passed over`() throws {
    try onNode { node in
      let list = try peers([
        #"{"name":"own","subnet":"10.244.0.0/24","via":"192.0.2.1"}"#, two[0],
      ])
      #expect(try states(list, all: false, node) == ["missing 10.244.1.0/24"])
    }
  }

  @Test func `a subnet of this node's own pods leads to no peer`() throws {
    try onNode { node in
      let list = try peers([#"{"subnet":"10.244.0.128/25","via":"192.0.2.2"}"#])
      #expect(shell("ip route add 10.244.0.128/25 via 192.0.2.2 proto 72") == "")
      #expect(
        try states(list, all: false, node) == ["refused 10.244.0.128/25", "stale 10.244.0.128/25"])
      _ = try routes(list, node).repair(on: node)
      #expect(shell("ip route show proto 72") == "")
    }
  }

  @Test func `peers outside of the network are refused by name`() throws {
    try onNode { node in
      let list = PeerList(
        [try peer(two[0]), try peer(#"{"name":"c","subnet":"10.99.0.0/24","via":"192.0.2.3"}"#)],
        within: network)
      #expect(
        try routes(list, node).repair(on: node)
          == ["peer c (10.99.0.0/24): its subnet is outside of \"network\""])
      #expect(try states(list, all: false, node) == ["refused 10.99.0.0/24"])
    }
  }
}
