// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNI
import Netlink
import Tables
import TestSupport
import Testing

@testable import Node

/// The node's own addresses on a bridge.
@Suite struct GatewayTests {
  private func ip(_ address: String, _ gateway: String?) -> ResultIP {
    ResultIP(prefix(address), gateway: gateway.map { Tables.address($0) })
  }

  private func gateways(_ texts: [String]) -> [Gateway] { texts.map { Gateway(prefix($0)) } }

  @Test func `a result's gateways are each there once`() {
    let ips = [
      ip("192.0.2.2/24", "192.0.2.1"), ip("192.0.2.3/24", "192.0.2.1"),
      ip("fd00::2/64", "fd00::1"), ip("198.51.100.2/24", nil),
    ]
    #expect(Gateway.all(of: ips) == gateways(["192.0.2.1/24", "fd00::1/64"]))
    #expect(Gateway.families(of: ips) == [.v4, .v6])
    #expect(Gateway.families(of: [ips[2]]) == [.v6] && Gateway.families(of: []) == [])
  }

  /// Runs `body` on a node whose bridge has these addresses.
  private func withBridge(
    _ present: [String], _ body: (borrowing Node, GatewayLink) throws -> Void
  ) throws {
    try onNode { node, _ in
      try node.kernel.perform([.addBridge(name("cni0"))])
      let bridge = try #require(try node.kernel.link(name("cni0")))
      try node.kernel.perform(
        [.changeLink(.index(bridge.index), LinkChange(up: true, withoutLinkLocal: true))]
          + present.map {
            .replaceAddress(
              InterfaceAddress(prefix: prefix($0), index: bridge.index, skipsDAD: true))
          })
      let link = try #require(try GatewayLink.find(on: bridge, vlan: nil, of: node))
      try body(node, link)
    }
  }

  private func addresses(_ node: borrowing Node, _ bridge: GatewayLink) throws -> [String] {
    try node.kernel.addresses(of: bridge.link.index).map { "\($0.prefix)" }.filter {
      !$0.hasPrefix("fe80")
    }.sorted()
  }

  @Test func `gateways are put on the bridge, and their reverse is told before`() throws {
    try withBridge(["203.0.113.1/24"]) { node, bridge in
      let wanted = gateways(["192.0.2.1/24", "fd00::1/64"])
      var undo: [Request] = []
      #expect(throws: CNIError.self) { try node.check(wanted, on: bridge) }
      try node.setGateways(wanted, on: bridge) { undo += $0 }
      #expect(try addresses(node, bridge) == ["192.0.2.1/24", "203.0.113.1/24", "fd00::1/64"])
      try node.check(wanted, on: bridge)
      // Again: nothing changes, and there is nothing to undo.
      try node.setGateways(wanted, on: bridge) { _ in Issue.record("nothing is changed") }
      try node.kernel.perform(undo)
      #expect(try addresses(node, bridge) == ["203.0.113.1/24"])
      let error = #expect(throws: CNIError.self) { try node.check(wanted, on: bridge) }
      #expect(
        error?.code == .checkFailed
          && error?.message == "the gateway address 192.0.2.1/24 is missing from cni0")
    }
  }

  @Test(arguments: [
    ("192.0.2.254/24", false, true), ("192.0.2.1/16", false, true),
    ("203.0.113.1/24", false, false), ("203.0.113.1/24", true, true),
    ("fd00::fe/64", false, false), ("fd00::fe/64", true, false),
  ])
  func `another address of the subnet is an error, or replaced`(
    present: String, alone: Bool, isRefused: Bool
  ) throws {
    try withBridge([present]) { node, bridge in
      let wanted = gateways(["192.0.2.1/24"])
      var undo: [Request] = []
      guard isRefused else {
        try node.setGateways(wanted, on: bridge, alone: alone) { undo += $0 }
        #expect(try addresses(node, bridge) == [present, "192.0.2.1/24"].sorted())
        return
      }
      let error = #expect(throws: CNIError.self) {
        try node.setGateways(wanted, on: bridge, alone: alone) { undo += $0 }
      }
      #expect(error?.code == .exists && undo.isEmpty)
      #expect(try addresses(node, bridge) == [present])
      try node.setGateways(wanted, on: bridge, force: true, alone: alone) { undo += $0 }
      #expect(try addresses(node, bridge) == ["192.0.2.1/24"])
      try node.kernel.perform(undo)
      #expect(try addresses(node, bridge) == [present])
    }
  }
}
