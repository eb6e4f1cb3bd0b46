// SPDX-License-Identifier: Apache-2.0
import Addresses
import TestSupport
import Testing

@testable import Routes

/// The pod subnets of a cluster that get routes.
@Suite struct ClusterSubnetsTests {
  private let subnets = ClusterSubnets(
    own: [prefix("10.244.0.0/24"), prefix("fd00:244::/64")],
    addresses: [address("192.168.0.1"), address("192.168.0.2"), address("fd00:192::2")])

  private func peer(_ name: String, _ subnet: String) -> ClusterFile.Peer {
    let subnet = prefix(subnet)
    return ClusterFile.Peer(
      name: name, subnet: subnet,
      via: [address(subnet.family == .v4 ? "192.168.0.2" : "fd00:192::2")])
  }

  private func usable(_ peers: ClusterFile.Peer...) -> (names: [String], problems: [String]) {
    var problems: [String] = []
    return (subnets.usable(peers, &problems).map { $0.name }, problems)
  }

  @Test func `peers come in the order of their subnets`() {
    let found = usable(
      peer("c", "fd00:244:1::/64"), peer("b", "10.244.2.0/24"), peer("a", "10.244.1.0/24"))
    #expect(found.names == ["a", "b", "c"] && found.problems == [])
  }

  @Test(arguments: [
    "10.0.0.0/8", "0.0.0.0/0", "10.244.0.128/25", "10.244.0.0/24", "169.254.169.254/32",
    "127.0.0.0/16", "224.0.0.0/24", "192.168.0.0/24", "192.168.0.2/32", "::/0", "fd00:244::/64",
    "fe80::/64", "ff00::/16", "::1/128", "fd00:192::/64", "0.0.0.0/24",
  ])
  func `a subnet that is this node's, a node's address's or reserved is left out`(subnet: String) {
    let found = usable(peer("bad", subnet), peer("good", "10.244.1.0/24"))
    #expect(found.names == ["good"])
    #expect(found.problems.count == 1 && found.problems[0].contains("bad has the pod subnet"))
  }

  @Test func `of subnets that overlap the one with the usual length goes first`() {
    let found = usable(
      peer("wide", "10.244.0.0/14"), peer("half", "10.244.1.128/25"),
      peer("usual", "10.244.1.0/24"),
      peer("other", "10.244.7.0/25"), peer("again", "10.244.1.0/24"))
    #expect(found.names == ["usual", "other"])
    #expect(
      found.problems.sorted() == [
        "again has the pod subnet 10.244.1.0/24 that usual has already",
        "half has the pod subnet 10.244.1.128/25, which overlaps with 10.244.1.0/24 of usual",
        "wide has the pod subnet 10.244.0.0/14, which overlaps with 10.244.0.0/24 of this node",
      ])
  }
}
