import CNI
import CNetlink
import Testing

@testable import Netlink

/// What the kernel makes of our requests, in namespaces of the tests' own.
@Suite struct KernelTests {
  @Test func `a pair is made in one message, its peer in the pod's namespace`() throws {
    let pod = try makeNamespace()
    let podDescriptor = pod.fileDescriptor
    try inNewNamespace { node in
      try node.perform([
        .addBridge(name("br0"), mac: mac("02:00:00:00:00:01"), mtu: 1400),
        .changeLink(.name(name("br0")), LinkChange(up: true, withoutLinkLocal: false)),
      ])
      let bridge = try #require(try node.link(named: name("br0")))
      #expect(bridge.kind == "bridge")
      #expect(bridge.mac == mac("02:00:00:00:00:01"))
      #expect(bridge.mtu == 1400)
      #expect(bridge.isUp)

      try node.perform([
        .addVethPair(
          VethPair(
            name: name("veth0"), mac: mac("02:00:00:00:00:02"), mtu: 1300, master: bridge.index,
            peerName: name("eth0"), peerMAC: mac("02:00:00:00:00:03"),
            peerNamespace: podDescriptor)),
        .changeLink(
          .name(name("veth0")), LinkChange(alias: "net/container/eth0", withoutLinkLocal: true)),
        .changeLink(.name(name("veth0")), LinkChange(up: true)),
        .changeBridgePort(.name(name("veth0")), BridgePort(hairpin: true, isolated: true)),
      ])
      let host = try #require(try node.link(named: name("veth0")))
      #expect(host.kind == "veth")
      #expect(host.mac == mac("02:00:00:00:00:02"))
      #expect(host.mtu == 1300)
      #expect(host.master == bridge.index)
      #expect(host.alias == "net/container/eth0")
      #expect(host.isUp && !host.isRunning)
      #expect(host.port == BridgePort(hairpin: true, isolated: true, learning: true))
      #expect(host.peerNamespaceID != nil)
      #expect(try node.links(master: bridge.index) == [host])
      #expect(try node.links().map(\.name).contains(name("br0")))
    }
    // Deleting the node's namespace deletes the pair; make another to look at the peer.
    try inNewNamespace { node in
      try node.perform(
        .addVethPair(
          VethPair(
            name: name("veth0"), mac: mac("02:00:00:00:00:02"), mtu: 1300,
            peerName: name("eth1"), peerMAC: mac("02:00:00:00:00:03"),
            peerNamespace: podDescriptor)))
      let pod = try NetworkNamespace(path: "/proc/self/fd/\(podDescriptor)").openRouteSocket()
      let peer = try #require(try pod.link(named: name("eth1")))
      #expect(peer.mac == mac("02:00:00:00:00:03"))
      #expect(peer.mtu == 1300)
      #expect(peer.master == nil)
      #expect(try node.link(index: 4711) == nil)
      try node.perform(.deleteLink(.name(name("veth0"))))
      #expect(try pod.link(named: name("eth1")) == nil)
    }
  }
}
