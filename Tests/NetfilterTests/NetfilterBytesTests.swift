// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNetlink
import System
import Tables
import TestSupport
import Testing

@testable import Netfilter
@testable import Netlink

/// Messages that nft 1.0.6 sent, from `strace -xx`, without sequence numbers.
@Suite struct NetfilterBytesTests {
  private let chain = Chain(
    family: .inet, table: "humanz", name: "postrouting", type: "nat",
    hook: NF_INET_POST_ROUTING.rawValue, priority: 100)

  /// `nft add rule inet humanz postrouting ip saddr 100.100.0.0/24 ip daddr != 100.100.0.0/16
  /// masquerade comment "net demo"`
  @Test func `a rule is sent as nft sends it`() {
    let rule = Rule(
      comment: "net demo",
      expressions: .family(.v4) + .address(.source, in: prefix("100.100.0.0/24"))
        + .address(.destination, in: prefix("100.100.0.0/16"), false) + [.masquerade])
    #expect(
      Array(Request.addRule(rule, to: chain).bytes)
        == bytes(
          """
          68010000 060a010c 00000000 00000000 01000000
          0b000100 68756d61 6e7a0000 10000200 706f7374 726f7574 696e6700
          28010480
          24000180 09000100 6d657461 00000000
            14000280 08000200 0000000f 08000100 00000001
          2c000180 08000100 636d7000
            20000280 08000100 00000001 08000200 00000000 0c000380 05000100 02000000
          34000180 0c000100 7061796c 6f616400
            24000280 08000100 00000001 08000200 00000001 08000300 0000000c 08000400 00000003
          2c000180 08000100 636d7000
            20000280 08000100 00000001 08000200 00000000 0c000380 07000100 64640000
          34000180 0c000100 7061796c 6f616400
            24000280 08000100 00000001 08000200 00000001 08000300 00000010 08000400 00000002
          2c000180 08000100 636d7000
            20000280 08000100 00000001 08000200 00000001 0c000380 06000100 64640000
          14000180 09000100 6d617371 00000000 04000280
          0f000700 00096e65 74206465 6d6f0000
          """))
  }

  /// The end of `nft add rule bridge humanz prerouting ... drop comment "c/eth0"`
  @Test func `a verdict is sent as nft sends it`() {
    let rule = Rule(comment: "c/eth0", expressions: [.verdict(NF_DROP)])
    #expect(
      Array(Request.addRule(rule, to: chain).bytes.suffix(16 + 48 + 4))
        == bytes(
          """
          34000480
          30000180 0e000100 696d6d65 64696174 65000000
            1c000280 08000100 00000000 10000280 0c000280 08000100 00000000
          0d000700 0007632f 65746830 00000000
          """))
  }

  @Test func `a prefix that ends inside a byte is compared behind a mask`() {
    #expect(
      [Expression].address(.source, in: prefix("10.16.0.0/12")) == [
        .payload(NFT_PAYLOAD_NETWORK_HEADER, offset: 12, length: 4), .mask([0xff, 0xf0, 0, 0]),
        .compare(NFT_CMP_EQ, [10, 16, 0, 0]),
      ])
    #expect([Expression].address(.source, in: .everything(.v6)) == [])
  }
}
