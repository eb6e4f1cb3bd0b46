// SPDX-License-Identifier: Apache-2.0
import CNI
import Netlink
import Tables
import Testing

@testable import humanz_bridge

/// The requests to a kernel with VLAN filtering; NetlinkTests compare the bytes of each.
@Suite struct PortVLANTests {
  private func vlans(_ keys: String) throws -> PortVLANs? {
    try PortVLANs(Keys(try #require(JSON(parsing: Array(keys.utf8)).object)))
  }

  private let access = Request.addBridgeVLAN(
    3, BridgeVLAN(100...100, isPVID: true, isUntagged: true))

  @Test func `a pod's VLAN is that of its untagged frames, beside the bridge's on request`() throws
  {
    let vlans = try #require(try vlans(#"{"vlan": 100, "preserveDefaultVlan": true}"#))
    #expect(vlans.requests(port: 3) == [access])
  }

  @Test func `the bridge's own VLAN goes unless it is to be kept`() throws {
    let vlans = try #require(try vlans(#"{"vlan": 100}"#))
    #expect(vlans.requests(port: 3) == [.deleteBridgeVLAN(3, BridgeVLAN(1...1)), access])
  }

  @Test func `ranges of a trunk are joined, and the pod's VLAN comes last`() throws {
    let vlans = try #require(
      try vlans(
        """
        {"vlan": 100, "preserveDefaultVlan": true, "vlanTrunk": [
          {"minID": 20, "maxID": 30, "id": 7}, {"id": 31}, {"minID": 10, "maxID": 25}, {"id": 100}]}
        """))
    #expect(
      vlans.requests(port: 3) == [
        .addBridgeVLAN(3, BridgeVLAN(7...7)), .addBridgeVLAN(3, BridgeVLAN(10...31)),
        .addBridgeVLAN(3, BridgeVLAN(100...100)), access,
      ])
  }

  @Test(arguments: [
    "{}", #"{"vlan": 0}"#, #"{"vlanTrunk": []}"#, #"{"preserveDefaultVlan": false}"#,
  ])
  func `without a VLAN nothing is asked`(keys: String) throws {
    #expect(try vlans(keys) == nil)
  }

  @Test func `a VLAN that a port is not in is found`() throws {
    let vlans = try #require(
      try vlans(#"{"vlan": 100, "vlanTrunk": [{"minID": 10, "maxID": 12}]}"#))
    let own = BridgeVLAN(100...100, isPVID: true, isUntagged: true)
    #expect(vlans.missing(in: [own, BridgeVLAN(1...20)]) == nil)
    #expect(vlans.missing(in: [own, BridgeVLAN(10...11)]) == 12)
    #expect(vlans.missing(in: [BridgeVLAN(1...200)]) == 100)
  }
}
