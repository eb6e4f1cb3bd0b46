// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNetlink
import System
import Tables
import TestSupport
import Testing

@testable import Netlink

/// The effect of our requests on a kernel, in the tests' own namespaces.
@Suite struct KernelTests {
  @Test func `a pair is made in one message, its peer in the pod's namespace`() throws {
    let pod = try makeNamespace()
    let podDescriptor = pod.fileDescriptor
    try inNewNamespace { node in
      try node.perform([
        .addBridge(name("br0"), mac: mac("02:00:00:00:00:01"), mtu: 1400),
        .changeLink(.name(name("br0")), LinkChange(up: true)),
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
    // The node's namespace is gone, and the pair with it: make another pair to look at the peer.
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

  @Test func `a batch tells which of its requests was refused, and does the others`() throws {
    try inNewNamespace { node in
      let pairs = (0..<300).map { Request.addBridge(name("b\($0)")) }
      var requests = pairs
      requests.insert(.deleteLink(.index(4711)), at: 150)
      requests.insert(.addBridge(name("b0")), at: 290)
      let failures = try node.failures(performing: requests)
      #expect(failures.map(\.index) == [150, 290])
      #expect(failures[0].error.isMissing && failures[1].error.exists)
      #expect(failures[0].error.description == "cannot delete link number 4711: No such device")
      #expect(try node.links().count == 301)
      #expect {
        try node.perform(requests)
      } throws: {
        ($0 as? NetlinkError)?.attempt == "create bridge b0"
      }
      #expect(try node.link(named: name("b0"))?.kind == "bridge", "the socket still works")
    }
  }

  @Test func `more failures than the receive buffer holds at once are all told`() throws {
    try inNewNamespace { node in
      let requests = [Request](repeating: .deleteLink(.index(4711)), count: 2000)
      let failures = try node.failures(performing: requests)
      let links = try node.links()
      #expect(failures.count == 2000 && links.count == 1)
    }
  }

  @Test func `the kernel's own sentence is in the error`() throws {
    try inNewNamespace { node in
      let route = Route(
        destination: prefix("10.0.0.0/8"), nextHops: [NextHop(gateway: address("192.0.2.1"))])
      #expect {
        try node.perform(.replaceRoute(route))
      } throws: {
        "\($0)" == "cannot set route 10.0.0.0/8 via 192.0.2.1: Network is unreachable "
          + "(Nexthop has invalid gateway)"
      }
    }
  }

  @Test func `addresses are read back as they were set`() throws {
    try inNewNamespace { node in
      try node.perform(.addBridge(name("br0")))
      let index = try #require(try node.link(named: name("br0"))).index
      let wanted = [
        InterfaceAddress(prefix: prefix("10.1.2.3/24"), index: index),
        InterfaceAddress(prefix: prefix("10.9.9.9/31"), index: index),
        InterfaceAddress(prefix: prefix("fd00::2/64"), index: index, skipsDAD: true),
      ]
      try node.perform(wanted.map { .replaceAddress($0) })
      try node.perform(wanted.map { .replaceAddress($0) })
      try node.perform(.changeLink(.index(index), LinkChange(up: true, withoutLinkLocal: true)))
      #expect(try node.addresses(index: index, family: .v4) == Array(wanted[..<2]))
      #expect(try node.addresses(index: index, family: .v6).contains(wanted[2]))
      #expect(try node.addresses(family: .v4).map(\.index) == [1, index, index])
      try node.perform(.deleteAddress(wanted[0]))
      #expect(try node.addresses(index: index, family: .v4) == [wanted[1]])
    }
  }

  @Test func `a link made without a link-local address has none`() throws {
    try inNewNamespace { node in
      try node.perform([
        .addBridge(name("br0")),
        .changeLink(.name(name("br0")), LinkChange(withoutLinkLocal: true)),
        .changeLink(.name(name("br0")), LinkChange(up: true, promiscuous: true)),
      ])
      let link = try #require(try node.link(named: name("br0")))
      #expect(link.isPromiscuous)
      #expect(try node.addresses(index: link.index).isEmpty)
      try node.perform(
        .changeLink(.index(link.index), LinkChange(up: false, name: name("br1"), mtu: 1280)))
      #expect(try node.link(index: link.index)?.name == name("br1"))
      #expect(try node.link(index: link.index)?.mtu == 1280)
      #expect(try node.link(named: name("br0")) == nil)
    }
  }

  /// A kernel with VLAN filtering does it; the error of one without names the attempt.
  @Test func `VLANs are filtered, or the kernel's refusal is plain`() throws {
    try inNewNamespace { node in
      let own = try NetworkNamespace.current()
      try node.perform([
        .addBridge(name("br0")),
        .addVethPair(
          VethPair(
            name: name("p0"), mac: mac("02:00:00:00:00:01"), peerName: name("p1"),
            peerMAC: mac("02:00:00:00:00:02"), peerNamespace: own.fileDescriptor)),
      ])
      let bridge = try #require(try node.link(named: name("br0"))).index
      let port = try #require(try node.link(named: name("p0"))).index
      try node.perform(.changeLink(.index(port), LinkChange(master: bridge)))
      let vlans = [BridgeVLAN(1...1), BridgeVLAN(10...20), BridgeVLAN(30...30, isPVID: true)]
      let failures = try node.failures(
        performing: [.filterVLANs(bridge: .name(name("br0")))]
          + vlans.map { .addBridgeVLAN(port, $0) })
      if try node.link(index: bridge)?.filtersVLANs == true {
        #expect(failures.isEmpty)
        #expect(try node.bridgeVLANs(index: port) == vlans)
      } else {
        #expect(failures.map(\.error.errno) == [Errno](repeating: .notSupported, count: 4))
        #expect(
          failures.first?.error.description.hasPrefix(
            "cannot set VLAN filtering of bridge br0: Operation not supported") == true)
      }
    }
  }

  @Test func `a namespace is told from what is none`() throws {
    #expect {
      _ = try NetworkNamespace(path: "/run/netns/no-such-namespace").fileDescriptor
    } throws: {
      ($0 as? NetlinkError)?.isMissing == true
    }
    for path in ["/dev/null", "/proc/self/ns/uts", "/tmp"] {
      #expect {
        _ = try NetworkNamespace(path: path).fileDescriptor
      } throws: {
        ($0 as? NetlinkError)?.text == "it is not a network namespace"
      }
    }
    let own = try NetworkNamespace.current()
    let other = try makeNamespace()
    var seen = [own.isCurrent, other.isCurrent]
    var forwarding: String?
    try other.run { () throws(NetlinkError) in
      seen += [own.isCurrent, other.isCurrent]
      try Sysctl.write("net/ipv4/ip_forward", "1")
      forwarding = Sysctl.read("net/ipv4/ip_forward")
    }
    seen += [own.isCurrent, other.isCurrent]
    #expect(seen == [true, false, false, true, true, false])
    #expect(forwarding == "1")
    #expect(Sysctl.read("net/ipv4/no_such_key") == nil)
    #expect(Sysctl.read("net/../kernel/ostype") == nil)
    #expect(throws: NetlinkError.self) { try Sysctl.write("../sys/kernel/ostype", "x") }
  }
}
