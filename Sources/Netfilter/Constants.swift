// SPDX-License-Identifier: Apache-2.0
import CNetlink
import Netlink

/// The name of all tables of the suite in nf_tables.
let tableName = "humanz"

/// The families of nf_tables tables that the suite knows.
struct TableFamily: Equatable, Sendable {
  /// NFPROTO_INET and the like.
  let number: UInt8
  /// As nft(8) names it.
  let name: String

  /// NFPROTO_UNSPEC: for a request about all families.
  static let all = TableFamily(number: UInt8(NFPROTO_UNSPEC), name: "all")
  static let inet = TableFamily(number: UInt8(NFPROTO_INET), name: "inet")
  static let netdev = TableFamily(number: UInt8(NFPROTO_NETDEV), name: "netdev")
  static let ip = TableFamily(number: UInt8(NFPROTO_IPV4), name: "ip")
  static let ip6 = TableFamily(number: UInt8(NFPROTO_IPV6), name: "ip6")
}

extension Request {
  /// Begins a message to nf_tables.
  init(
    _ attempt: String, _ message: nf_tables_msg_types, flags: Int32 = 0, family: TableFamily
  ) {
    var header = nfgenmsg()
    header.nfgen_family = family.number
    self.init(
      attempt, NFNL_SUBSYS_NFTABLES << 8 | Int32(message.rawValue), flags: flags, header: header)
  }

  /// Adds an integer in network byte order, as netfilter has them.
  mutating func put(_ type: some KernelConstant, bigEndian value: UInt32) {
    put(type, Netlink.bigEndian(value))
  }
}

/// Whether a message is one of nf_tables of this type.
func isMessage(_ message: Message, _ type: nf_tables_msg_types) -> Bool {
  Int32(message.type) == NFNL_SUBSYS_NFTABLES << 8 | Int32(type.rawValue)
}

extension nft_table_attributes: KernelConstant {}
extension nft_chain_attributes: KernelConstant {}
extension nft_hook_attributes: KernelConstant {}
extension nft_rule_attributes: KernelConstant {}
extension nft_list_attributes: KernelConstant {}
extension nft_expr_attributes: KernelConstant {}
extension nft_data_attributes: KernelConstant {}
extension nft_verdict_attributes: KernelConstant {}
extension nft_immediate_attributes: KernelConstant {}
extension nft_bitwise_attributes: KernelConstant {}
extension nft_cmp_attributes: KernelConstant {}
extension nft_payload_attributes: KernelConstant {}
extension nft_meta_attributes: KernelConstant {}
extension nft_gen_attributes: KernelConstant {}
extension ctattr_type: KernelConstant {}
extension ctattr_tuple: KernelConstant {}
extension ctattr_ip: KernelConstant {}
extension ctattr_filter: KernelConstant {}
