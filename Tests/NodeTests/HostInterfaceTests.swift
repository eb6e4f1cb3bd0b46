// SPDX-License-Identifier: Apache-2.0
import CNI
import Node
import Tables
import Testing

@Suite struct HostInterfaceTests {
  @Test(arguments: HostInterfaceTable.names)
  func `an attachment's name and MAC addresses never change`(_ row: Case) {
    #expect(row.failure == nil)
  }

  private func attachment(_ number: Int, _ interface: String = "eth0") -> CNI.Attachment {
    CNI.Attachment(containerID: ContainerID("pod\(number)")!, interface: name(interface))
  }

  @Test func `100,000 attachments have as many names and MAC addresses`() {
    var names: Set<String> = []
    var macs: Set<[UInt8]> = []
    for number in 0..<50_000 {
      for interface in ["eth0", "net1"] {
        let host = HostInterface(of: attachment(number, interface), on: NetworkName("net")!)
        names.insert("\(host.name)")
        macs.formUnion([host.mac.bytes, host.podMAC.bytes])
      }
    }
    #expect(names.count == 100_000 && macs.count == 200_000)
  }

  @Test func `an alias leads back to its attachment, on its network alone`() throws {
    let network = try #require(NetworkName("net"))
    let host = HostInterface(of: attachment(7), on: network)
    #expect(HostInterface.attachment(alias: host.alias, on: network) == attachment(7))
    #expect(HostInterface.attachment(alias: host.alias, on: NetworkName("net2")!) == nil)
    let owner = try #require(HostInterface.owner(alias: host.alias))
    #expect(owner.network == network && owner.attachment == attachment(7))
    #expect(host.alias.hasPrefix(HostInterface.aliasPrefix(of: network)))
  }

  @Test func `a name is the attachment's on every network, its alias is not`() {
    let hosts = ["net", "other"].map { HostInterface(of: attachment(7), on: NetworkName($0)!) }
    #expect(hosts[0].name == hosts[1].name && hosts[0].alias != hosts[1].alias)
  }

  @Test(arguments: [
    "", "humanz", "humanz:net:pod", "humanz:net:pod:eth0:x", "human:net:pod:eth0",
    "humanz:n/t:pod:eth0", "humanz:net:_pod:eth0", "humanz:net:pod:e/0", "humanz:net:pod:",
    "uplink of node1",
  ])
  func `another alias is nobody's`(alias: String) {
    #expect(HostInterface.owner(alias: alias) == nil)
  }
}
