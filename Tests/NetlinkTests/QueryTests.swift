// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNetlink
import System
import Tables
import TestSupport
import Testing

@testable import Netlink

/// Queries; derived by hand from linux/rtnetlink.h, if_link.h, neighbour.h and nfnetlink.h.
@Suite struct QueryTests {
  private static let routeQueries: [(Request, String)] = [
    (
      .getLink(.index(3)),
      "28000000 1200 0100 00000000 00000000 00000000 03000000 00000000 00000000 0800 1d00 08000000"
    ),
    (
      .getLink(.name(name("veth0"))),
      """
      34000000 1200 0100 00000000 00000000 00000000 00000000 00000000 00000000
      0a00 0300 7665746830000000 0800 1d00 08000000
      """
    ),
    (
      .getLinks(master: nil),
      "28000000 1200 0100 00000000 00000000 00000000 00000000 00000000 00000000 0800 1d00 08000000"
    ),
    (
      .getLinks(master: 5),
      """
      30000000 1200 0100 00000000 00000000 00000000 00000000 00000000 00000000
      0800 1d00 08000000 0800 0a00 05000000
      """
    ),
    (
      .getAddresses(index: nil, family: nil),
      "18000000 1600 0100 00000000 00000000 00000000 00000000"
    ),
    (
      .getAddresses(index: 7, family: .v6), "18000000 1600 0100 00000000 00000000 0a000000 07000000"
    ),
    (
      .getNeighbours(index: nil, family: nil),
      "1c000000 1e00 0100 00000000 00000000 00000000 00000000 00000000"
    ),
    (
      .getNeighbours(index: 7, family: .v4),
      "24000000 1e00 0100 00000000 00000000 02000000 00000000 00000000 0800 0800 07000000"
    ),
    (
      .getForwardingEntries(bridge: 5),
      "24000000 1e00 0100 00000000 00000000 07000000 00000000 00000000 0800 0900 05000000"
    ),
    (
      .getBridgeVLANs(),
      "28000000 1200 0100 00000000 00000000 07000000 00000000 00000000 00000000 0800 1d00 04000000"
    ),
    (
      .getRoutes(.v6, proto: nil, table: nil),
      "1c000000 1a00 0100 00000000 00000000 0a000000 00000000 00000000"
    ),
    (
      .getRoutes(.v4, proto: 72, table: 100),
      "24000000 1a00 0100 00000000 00000000 02000000 00480000 00000000 0800 0f00 64000000"
    ),
    (
      .getRoute(to: address("192.0.2.1")),
      "24000000 1a00 0100 00000000 00000000 02200000 00000000 00100000 0800 0100 c0000201"
    ),
    (
      .getRoute(to: address("fd00::1")),
      """
      30000000 1a00 0100 00000000 00000000 0a800000 00000000 00000000
      1400 0100 fd000000000000000000000000000001
      """
    ),
  ]

  @Test(arguments: routeQueries.indices)
  func `rtnetlink is asked by these bytes`(index: Int) {
    let (request, expected) = QueryTests.routeQueries[index]
    #expect(Array(request.bytes) == bytes(expected))
  }

  @Test func `a transaction begins and ends with these bytes`() {
    #expect(
      Array(Request.beginBatch("try", generation: nil).bytes)
        == bytes("14000000 1000 0100 00000000 00000000 0000000a"))
    #expect(
      Array(Request.beginBatch("try", generation: 42).bytes)
        == bytes("1c000000 1000 0100 00000000 00000000 0000000a 0800 0100 0000002a"))
    #expect(
      Array(Request.endBatch("try").bytes)
        == bytes("14000000 1100 0100 00000000 00000000 0000000a"))
  }
}
