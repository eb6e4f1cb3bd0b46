// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNI
import Netlink
import Tables
import TestSupport
import Testing

@testable import Node

/// The pod's side, and what earlier stages of a chain made there.
@Suite struct PodTests {
  @Test func `a namespace must be another's and one`() throws {
    for (path, code) in [
      ("/proc/thread-self/ns/net", CNIError.Code.invalidEnvironment),
      ("/run/netns/no-such-namespace", .unknownContainer), ("/dev/null", .unknownContainer),
    ] {
      let error = #expect(throws: CNIError.self) { _ = try Pod(path: path).path }
      #expect(error?.code == code)
      #expect(try !isPod(path))
    }
    #expect(try !isPod(nil))
  }

  private func isPod(_ path: String?) throws -> Bool {
    switch try Pod.ifPresent(path) {
    case .some: true
    case nil: false
    }
  }

  @Test func `an interface must be there, or must not be`() throws {
    try onNode { node, pod in
      let missing = #expect(throws: CNIError.self) { try pod.interface(name("eth0")) }
      #expect(missing?.code == .unknownContainer)
      try pod.refuse(existing: name("eth0"))
      try pod.kernel.perform([.addBridge(name("eth0"))])
      #expect(try pod.interface(name("eth0")).isUp == false)
      let existing = #expect(throws: CNIError.self) { try pod.refuse(existing: name("eth0")) }
      #expect(existing?.code == .exists)
      try pod.bringUp(name("eth0"))
      #expect(try pod.interface(name("eth0")).isUp)
    }
  }

  @Test func `addresses and routes of a result are set and checked`() throws {
    try onNode { node, pod in
      try pod.kernel.perform([.addBridge(name("eth0"))])
      let interface = try pod.interface(name("eth0"))
      var result = CNIResult()
      result.interfaces = [
        ResultInterface(name: name("eth0"), mac: nil, sandbox: pod.path),
        ResultInterface(name: name("eth1"), mac: nil, sandbox: pod.path),
      ]
      result.ips = [
        ResultIP(prefix("192.0.2.2/24"), gateway: address("192.0.2.1"), interface: 0),
        ResultIP(prefix("fd00::2/64"), gateway: address("fd00::1")),
        ResultIP(prefix("198.51.100.2/24"), gateway: nil, interface: 1),
      ]
      result.routes = [
        ResultRoute(.everything(.v4), gateway: nil), ResultRoute(.everything(.v6), gateway: nil),
        ResultRoute(prefix("203.0.113.0/24"), gateway: address("192.0.2.9")),
      ]
      let ips = result.ips(of: name("eth0"), sandbox: pod.path)
      #expect(ips == Array(result.ips[..<2]))
      let addressless = #expect(throws: CNIError.self) {
        try pod.checkAddresses(of: interface, in: result)
      }
      #expect(
        addressless?.message.hasPrefix("the address 192.0.2.2/24 is missing from eth0") == true)
      try pod.configure(interface, addresses: ips, routes: result.routes)
      try pod.checkAddresses(of: interface, in: result)
      try pod.checkRoutes(result.routes)
      #expect(
        try pod.kernel.routes(.v4).filter { $0.proto == Route.humanz }.map { "\($0)" }.sorted() == [
          "203.0.113.0/24 via 192.0.2.9 dev number \(interface.index)",
          "default via 192.0.2.1 dev number \(interface.index)",
        ])
      #expect(try pod.interface(name("eth0")).isUp)
      let routeless = #expect(throws: CNIError.self) {
        try pod.checkRoutes([ResultRoute(prefix("10.0.0.0/8"), gateway: nil)])
      }
      #expect(routeless?.message.hasPrefix("the route to 10.0.0.0/8 is missing in ") == true)
    }
  }

  @Test func `a route takes its family's gateway unless it is on the link`() throws {
    try onNode { _, pod in
      try pod.kernel.perform([.addBridge(name("eth0"))])
      let interface = try pod.interface(name("eth0"))
      let ips = [
        ResultIP(prefix("198.51.100.2/24"), gateway: nil),
        ResultIP(prefix("192.0.2.2/24"), gateway: address("192.0.2.1")),
      ]
      for (json, gateway) in [
        (#"{"dst":"0.0.0.0/0"}"#, "192.0.2.1"),
        (#"{"dst":"10.0.0.0/8","gw":"192.0.2.7"}"#, "192.0.2.7"),
        (#"{"dst":"10.0.0.0/8","scope":253}"#, nil), (#"{"dst":"::/0"}"#, nil),
      ] {
        let keys = Keys(try #require(try JSON(parsing: Array(json.utf8)).object))
        let route = try Pod.route(ResultRoute(keys), through: interface, addresses: ips)
        #expect(
          route.nextHops == [NextHop(gateway: gateway.map { address($0) }, device: interface.index)]
        )
      }
    }
  }

  @Test func `the stage before is found by the kernel, or by what its result says`() throws {
    try onNode { node, pod in
      let target = attachment("pod")
      let missing = #expect(throws: CNIError.self) {
        _ = try EarlierStage(CNIResult(), target, pod: pod, node: node).index
      }
      #expect(missing?.code == .unknownContainer)
      try node.kernel.perform([
        .addBridge(name("cni0")),
        .addVethPair(
          VethPair(
            name: name("veth0"), mac: mac("02:00:00:00:00:01"), peerName: name("eth0"),
            peerMAC: mac("02:00:00:00:00:02"), peerNamespace: pod.namespace.fileDescriptor)),
      ])
      let alone = try EarlierStage(CNIResult(), target, pod: pod, node: node)
      #expect(alone.index == nil && alone.port?.name == name("veth0") && alone.bridge == nil)

      var result = CNIResult()
      result.interfaces = [
        ResultInterface(name: name("gone"), mac: nil),
        ResultInterface(name: name("veth0"), mac: nil),
        ResultInterface(name: name("cni0"), mac: nil),
        ResultInterface(name: name("eth0"), mac: nil, sandbox: pod.path),
      ]
      let told = try EarlierStage(result, target, pod: pod, node: node)
      #expect(told.index == 3 && told.bridge?.name == name("cni0"))

      try node.kernel.perform([
        .addBridge(name("cni1")),
        .changeLink(.name(name("veth0")), LinkChange(master: node.kernel.index(of: "cni0"))),
      ])
      result.interfaces[2] = ResultInterface(name: name("cni1"), mac: nil)
      let known = try EarlierStage(result, target, pod: pod, node: node)
      #expect(known.bridge?.name == name("cni0"), "the kernel's answer wins")

      // An interface that is not of a pair is on no bridge, even if the result lists one.
      try pod.kernel.perform([.addBridge(name("net1"))])
      let other = try EarlierStage(result, attachment("pod", "net1"), pod: pod, node: node)
      #expect(other.port == nil && other.bridge == nil && other.index == nil)
    }
  }
}
