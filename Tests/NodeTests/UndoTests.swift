// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNI
import Netlink
import Tables
import TestSupport
import Testing

@testable import Node

/// What a failed ADD made is removed, and what others use is kept.
@Suite struct UndoTests {
  private let network = NetworkName("demo")!

  @Test func `steps are taken back, the last one first`() throws {
    var order: [Int] = []
    try onNode { node, pod in
      var undo = Undo()
      for number in 1...3 { undo.push(.call { _, _ in order.append(number) }) }
      undo.run(node: node.kernel, pod: pod.kernel)
    }
    #expect(order == [3, 2, 1])
  }

  @Test func `requests go to the node and to the pod, and a failure stops none behind it`() throws {
    try onNode { node, pod in
      try node.kernel.perform([.addBridge(name("b0")), .addBridge(name("b1"))])
      try pod.kernel.perform([.addBridge(name("b0"))])
      var undo = Undo()
      undo.push(.node([.deleteLink(.name(name("b1")))]))
      undo.push(.node([.deleteLink(.name(name("gone"))), .deleteLink(.name(name("b0")))]))
      undo.push(.pod([.deleteLink(.name(name("b0")))]))
      #expect(try node.kernel.has("b0") && pod.kernel.has("b0"))
      undo.run(node: node.kernel, pod: pod.kernel)
      #expect(try !node.kernel.has("b0") && !node.kernel.has("b1") && !pod.kernel.has("b0"))
    }
  }

  @Test func `a function has the sockets of the node and of the pod`() throws {
    try onNode { node, pod in
      try node.kernel.perform([.addBridge(name("b0"))])
      try pod.kernel.perform([.addBridge(name("b1"))])
      var undo = Undo()
      undo.push(
        .call { node, pod in
          try? node.perform([.deleteLink(.name(name("b0")))])
          try? pod.perform([.deleteLink(.name(name("b1")))])
        })
      undo.run(node: node.kernel, pod: pod.kernel)
      #expect(try !node.kernel.has("b0") && !pod.kernel.has("b1"))
    }
  }

  @Test func `what the network's other attachments use stays`() throws {
    try onNode { node, pod in
      try node.kernel.perform([.addBridge(name("cni0")), .addBridge(name("other"))])
      let bridge = try node.kernel.index(of: "cni0")
      let gateway = InterfaceAddress(prefix: prefix("192.0.2.1/24"), index: bridge)
      let alias = HostInterface(of: attachment("pod"), on: network).alias
      for (port, master, alias, stays) in [
        ("veth0", "cni0", alias, true), ("veth1", "other", alias, false),
        ("veth2", "cni0", "humanz:demo2:pod:eth0", false), ("veth3", "cni0", "", false),
      ] {
        try node.kernel.perform([.replaceAddress(gateway)])
        try node.addPort(port, of: master, alias: alias, podEnd: "peer", pod)
        var undo = Undo()
        undo.push(.nodeUnlessUsed(network, bridge: bridge, [.deleteAddress(gateway)]))
        undo.run(node: node.kernel, pod: pod.kernel)
        let left = try node.kernel.addresses(of: bridge, family: .v4)
        #expect(left.isEmpty != stays, "\(port) of \(master), \(alias)")
        try node.kernel.perform([.deleteLink(.name(name(port)))])
      }
    }
  }
}
