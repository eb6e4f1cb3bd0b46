// SPDX-License-Identifier: Apache-2.0
import Netlink
import Node
import Tables
import TestSupport
import Testing

@testable import CNI
@testable import humanz_bridge

/// A failed ADD removes what it made, and leaves what others use.
@Suite struct UndoTests {
  private let network = NetworkName("demo")!

  private func configuration() throws -> BridgeConfiguration {
    let text = #"{"cniVersion":"1.1.0","name":"demo","type":"humanz-bridge"}"#
    return try BridgeConfiguration(Invocation(.status, input: Array(text.utf8)))
  }

  @Test(arguments: [true, false])
  func `a new bridge goes unless it got a port`(hasPort: Bool) throws {
    try onNode { node, pod in
      var undo = Undo()
      let bridge = try Bridge.adoptOrMake(configuration(), on: node, undo: &undo)
      #expect(try node.kernel.link(name("cni0"))?.index == bridge.link.index)
      if hasPort { try node.addPort("veth0", of: "cni0", podEnd: "eth0", pod) }
      undo.run(node: node.kernel, pod: pod.kernel)
      #expect(try node.kernel.has("cni0") == hasPort)
    }
  }

  @Test func `a bridge that was there stays`() throws {
    try onNode { node, pod in
      try node.kernel.perform([.addBridge(name("cni0"))])
      var undo = Undo()
      _ = try Bridge.adoptOrMake(configuration(), on: node, undo: &undo)
      undo.run(node: node.kernel, pod: pod.kernel)
      #expect(try node.kernel.has("cni0"))
    }
  }

  @Test(arguments: [true, false])
  func `the masquerade of a network goes unless it got an attachment`(hasAttachment: Bool) throws {
    try onNode { node, pod in
      try node.kernel.perform([.addBridge(name("cni0"))])
      let masquerade = NetworkMasquerade(network, [prefix("192.0.2.0/24")])
      var undo = Undo()
      try masquerade.install(undo: &undo)
      try masquerade.verify()
      if hasAttachment {
        try node.addPort(
          "veth0", of: "cni0", alias: HostInterface(of: attachment("pod"), on: network).alias,
          podEnd: "eth0", pod)
      }
      undo.run(node: node.kernel, pod: pod.kernel)
      if hasAttachment {
        try masquerade.verify()
      } else {
        let error = #expect(throws: CNIError.self) { try masquerade.verify() }
        #expect(error?.code == .checkFailed)
      }
    }
  }

  @Test func `a masquerade that was there stays`() throws {
    try onNode { node, pod in
      let masquerade = NetworkMasquerade(network, [prefix("192.0.2.0/24")])
      var first = Undo()
      try masquerade.install(undo: &first)
      var undo = Undo()
      try masquerade.install(undo: &undo)
      undo.run(node: node.kernel, pod: pod.kernel)
      try masquerade.verify()
    }
  }

  @Test func `the check of a port's MAC address goes`() throws {
    try onNode { node, pod in
      let host = HostInterface(of: attachment("pod"), on: network)
      try node.addPort("\(host.name)", podEnd: "eth0", pod)
      let check = try #require(MACCheck(of: pod.interface(name("eth0")), behind: host))
      // As in an ADD: the folder of its lock is also that of the mark that a check was installed.
      let lock = try NodeLock(.shared)
      var undo = Undo()
      try check.install(undo: &undo)
      lock.unlock()
      try check.verify()
      undo.run(node: node.kernel, pod: pod.kernel)
      let error = #expect(throws: CNIError.self) { try check.verify() }
      #expect(error?.code == .checkFailed)
    }
  }
}
