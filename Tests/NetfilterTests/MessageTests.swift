// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNetlink
import Tables
import TestSupport
import Testing

@testable import Netfilter
@testable import Netlink

/// Messages of nf_tables and connection tracking without rules; derived by hand from linux/nf_tables.h and
/// nfnetlink_conntrack.h.
@Suite struct MessageTests {
  private let chain = Chain(
    family: .inet, table: "humanz", name: "postrouting", type: "nat",
    hook: NF_INET_POST_ROUTING.rawValue, priority: 100)

  @Test func `tables and chains come and go by these bytes`() {
    #expect(
      Array(Request.addTable(.inet).bytes)
        == bytes("20000000 000a 0104 00000000 00000000 01000000 0b00 0100 68756d616e7a0000"))
    #expect(
      Array(Request.deleteEmptyTable(.netdev).bytes)
        == bytes("20000000 020a 0101 00000000 00000000 05000000 0b00 0100 68756d616e7a0000"))
    #expect(
      Array(Request.addChain(chain).bytes)
        == bytes(
          """
          54000000 030a 0104 00000000 00000000 01000000
          0b00 0100 68756d616e7a0000
          1000 0300 706f7374726f7574696e6700
          1400 0480 0800 0100 00000004 0800 0200 00000064
          0800 0500 00000001
          0800 0700 6e617400
          """))
    #expect(
      Array(Request.deleteChain(.inet, "postrouting").bytes)
        == bytes(
          """
          30000000 050a 0100 00000000 00000000 01000000
          0b00 0100 68756d616e7a0000
          1000 0300 706f7374726f7574696e6700
          """))
  }

  @Test func `rules are asked for and deleted by these bytes`() throws {
    #expect(
      Array(Request.getRules(of: chain).bytes)
        == bytes(
          """
          30000000 070a 0100 00000000 00000000 01000000
          0b00 0100 68756d616e7a0000
          1000 0200 706f7374726f7574696e6700
          """))
    let answer = bytes(
      """
      30000000 060a 0000 00000000 00000000 01000000
      1000 0200 706f7374726f7574696e6700
      0c00 0300 0000000000000007
      """)
    let rule = try answer.withUnsafeBytes { buffer in
      var messages = Messages(buffer)
      return try #require(messages.next().flatMap { InstalledRule($0) })
    }
    #expect(
      Array(Request.deleteRule(rule, of: chain).bytes)
        == bytes(
          """
          3c000000 080a 0100 00000000 00000000 01000000
          0b00 0100 68756d616e7a0000
          1000 0200 706f7374726f7574696e6700
          0c00 0300 0000000000000007
          """))
    #expect(
      Array(Request.getChains().bytes) == bytes("14000000 040a 0100 00000000 00000000 00000000"))
    #expect(
      Array(Request.getChain(.inet, "overlay").bytes)
        == bytes(
          """
          2c000000 040a 0100 00000000 00000000 01000000
          0b00 0100 68756d616e7a0000
          0c00 0300 6f7665726c617900
          """))
    #expect(
      Array(Request.getGeneration().bytes) == bytes("14000000 100a 0100 00000000 00000000 01000000")
    )
  }

  @Test func `connections are asked for and deleted by these bytes`() throws {
    #expect(
      Array(Request.getConnections(nil).bytes)
        == bytes("14000000 0101 0100 00000000 00000000 00000000"))
    for (tuple, number, flags) in [
      (CTA_TUPLE_ORIG, "0180", "01000000 0800 0200 00000000"),
      (CTA_TUPLE_REPLY, "0280", "00000000 0800 0200 01000000"),
    ] {
      #expect(
        Array(Request.getConnections(from: address("10.0.0.2"), in: tuple).bytes)
          == bytes(
            """
            38000000 0101 0100 00000000 00000000 02000000
            1000 \(number) 0c00 0180 0800 0100 0a000002
            1400 1980 0800 0100 \(flags)
            """))
      #expect(
        Array(Request.deleteConnections(from: address("10.0.0.2"), in: tuple).bytes)
          == bytes(
            """
            38000000 0201 0100 00000000 00000000 02000000
            1000 \(number) 0c00 0180 0800 0100 0a000002
            1400 1980 0800 0100 \(flags)
            """))
    }
    #expect(
      Array(Request.getConnections(.v6).bytes)
        == bytes("14000000 0101 0100 00000000 00000000 0a000000"))
    let tuple = "0c00 0180 0800 0100 0a000002"
    let answer = bytes(
      """
      34000000 0001 0000 00000000 00000000 02000000
      1000 0180 \(tuple) 0800 0c00 00000009 0800 1200 00050000
      """)
    let connection = try answer.withUnsafeBytes { buffer in
      var messages = Messages(buffer)
      let first = messages.next()
      let message = try #require(first)
      for (text, isAmong) in [("10.0.0.2", true), ("10.0.0.3", false)] {
        let addresses = [address("192.0.2.1").bytes, address(text).bytes]
        #expect(TrackedConnection.hasSource(message, among: addresses) == isAmong)
      }
      return try #require(TrackedConnection(message))
    }
    #expect(
      Array(Request.deleteConnection(connection).bytes)
        == bytes(
          """
          34000000 0201 0100 00000000 00000000 02000000
          1000 0180 \(tuple) 0800 1200 00050000 0800 0c00 00000009
          """))
  }
}
