// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNI
import Embedded
import Node

package enum HostInterfaceTable {
  /// Attachments, and the names and MAC addresses that are derived from them. They must never change: a node's
  /// links outlive an update of the programs.
  package static let names: [Case] =
    ([
      ("a", "eth0", "vethc4af5957549 5a:0c:9d:54:57:59 a6:f3:62:ab:a8:a6"),
      ("a", "eth1", "vethb4e8d984e77 a6:fb:73:e7:84:d9 5a:04:8c:18:7b:26"),
      ("b", "eth0", "veth242127c3ec8 e6:ac:83:ec:c3:27 1a:53:7c:13:3c:d8"),
      (
        String(repeating: "0", count: 64), "eth0",
        "vetha65bfc0e52d 06:a4:d7:52:0e:fc fa:5b:28:ad:f1:03"
      ),
      ("pod", "net1", "veth3cc2b6f0ef8 3e:1b:87:ef:f0:b6 c2:e4:78:10:0f:49"),
      (
        String(repeating: "x", count: 128), "123456789012345",
        "veth4196a3ba64a b6:c4:a2:64:ba:a3 4a:3b:5d:9b:45:5c"
      ),
    ] as [(String, String, String)]).map { (container, interface, expected) in
      Case("\(container):\(interface)", is: "\(expected) humanz:net:\(container):\(interface)") {
        guard let containerID = ContainerID(container), let name = InterfaceName(interface),
          let network = NetworkName("net")
        else { return "nil" }
        let attachment = Attachment(containerID: containerID, interface: name)
        let host = HostInterface(of: attachment, on: network)
        return "\(host.name) \(host.mac) \(host.podMAC) \(host.alias)"
      }
    }
}
