// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNI
import Netlink
import Tables
import TestSupport
import Testing

@testable import Node

/// An attachment's neighbours and connections on the node are deleted with it, and no others.
@Suite struct TracesTests {
  private let network = NetworkName("demo")!

  @Test func `neighbours are an attachment's by address or by MAC address`() throws {
    try onNode { node, pod in
      // The kernel deletes the neighbours of a link without a carrier.
      try node.addPort("veth0", podEnd: "eth0", pod)
      try pod.bringUp(name("eth0"))
      let index = try node.kernel.index(of: "veth0")
      let host = HostInterface(of: attachment("pod"), on: network)
      try node.kernel.perform([.changeLink(.index(index), LinkChange(up: true))])
      let said = shell(
        """
        n() { ip neigh replace $1 lladdr $2 dev veth0 nud $3; }
        n 192.0.2.2 02:00:00:00:00:09 stale; n 192.0.2.3 \(host.podMAC) stale
        n 192.0.2.4 02:00:00:00:00:04 stale; n 192.0.2.5 \(host.podMAC) permanent
        n 192.0.2.6 02:00:00:00:00:06 stale
        """)
      #expect(said == "")
      var result = CNIResult()
      result.interfaces = [
        ResultInterface(
          name: name("eth0"), mac: mac("02:00:00:00:00:06"), sandbox: "/run/netns/gone")
      ]
      result.ips = [
        ResultIP(prefix("192.0.2.2/24"), gateway: nil, interface: 0),
        ResultIP(prefix("192.0.2.77/24"), gateway: nil, interface: 0),
      ]
      #expect(try left(on: index, node).count == 5)
      let stranger = AttachmentTraces(of: attachment("other"), on: network)
      try node.forget([stranger], among: node.kernel.neighbours())
      #expect(try left(on: index, node).count == 5)
      // DEL has the result and no namespace.
      let traces = AttachmentTraces(
        of: attachment("pod"), on: network, result, sandbox: "/run/netns/gone")
      #expect(traces.host == host)
      let neighbours = try node.kernel.neighbours()
      try node.forget([traces], among: neighbours)
      #expect(try left(on: index, node) == ["192.0.2.4", "192.0.2.5"])
      try node.forget([traces], among: neighbours)
    }
  }

  /// The IPv4 neighbours on a link.
  private func left(on index: LinkIndex, _ node: borrowing Node) throws -> [String] {
    try node.kernel.neighbours(of: index).filter { $0.mac != nil && $0.address.family == .v4 }
      .map { "\($0.address)" }.sorted()
  }

  @Test func `attachments to a network are counted by the aliases of its ports`() throws {
    try onNode { node, _ in
      try node.kernel.perform([.addBridge(name("cni0")), .addBridge(name("b1"))])
      let bridge = try node.kernel.index(of: "cni0")
      #expect(try !node.kernel.hasAttachments(to: network))
      #expect(try node.hasLink(name("b1")) && !node.hasLink(name("b2")))
      let alias = HostInterface(of: attachment("pod"), on: network).alias
      try node.kernel.perform([.changeLink(.name(name("b1")), LinkChange(alias: alias))])
      #expect(try node.kernel.hasAttachments(to: network))
      #expect(try !node.kernel.hasAttachments(to: network, bridge: bridge))
      #expect(try !node.kernel.hasAttachments(to: NetworkName("demo2")!))
    }
  }

  @Test func `forwarding is turned on for one family`() throws {
    try onNode { node, _ in
      // A new namespace has the machine's IPv4 setting.
      try Sysctl.write("net/ipv4/ip_forward", "0")
      #expect(!Forwarding.isOn(.v4) && !Forwarding.isOn(.v6))
      #expect(Forwarding.isPossible(.v4) && Forwarding.isPossible(.v6))
      try Forwarding.enable(.v4, on: node)
      #expect(Forwarding.isOn(.v4) && !Forwarding.isOn(.v6))
      try Forwarding.enable(.v4, on: node)
      try Forwarding.enable(.v6, on: node)
      #expect(Forwarding.isOn(.v6))
    }
  }

  @Test func `the node's lock is shared by those that add, and one's alone to remove`() throws {
    try onNode { _, _ in
      let first = try NodeLock(.shared)
      let second = try NodeLock(.shared)
      #expect(shell("flock --nonblock --exclusive /run/humanz/node.lock true; echo $?") == "1\n")
      first.unlock()
      second.unlock()
      let alone = try NodeLock(.exclusive)
      #expect(shell("flock --nonblock --shared /run/humanz/node.lock true; echo $?") == "1\n")
      alone.unlock()
      #expect(shell("flock --nonblock --exclusive /run/humanz/node.lock true; echo $?") == "0\n")
      #expect(shell("stat --format %a /run/humanz/node.lock /run/humanz") == "600\n700\n")
    }
  }
}
