// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNetlink
import Netlink

/// One step of a rule. A step loads a value into the first register; the next step uses it.
enum Expression: Equatable, Sendable {
  /// Loads metadata of the packet, such as its protocol.
  case meta(nft_meta_keys)
  /// Loads bytes of the packet.
  case payload(nft_payload_bases, offset: UInt32, length: UInt32)
  /// As `payload`, into the register behind the bytes already loaded. Their number is `to`, a multiple of 4.
  case payloadAppended(to: UInt32, nft_payload_bases, offset: UInt32, length: UInt32)
  /// Ends the rule unless what was loaded is in a set.
  case lookup(set: String)
  /// Keeps the bits that the mask has.
  case mask([UInt8])
  /// Ends the rule unless the loaded value is equal to this one (NFT_CMP_EQ), or differs (NFT_CMP_NEQ).
  case compare(nft_cmp_ops, [UInt8])
  case masquerade
  /// NF_ACCEPT or NF_DROP.
  case verdict(Int32)

  /// NFTA_EXPR_NAME.
  private var name: String {
    switch self {
    case .meta: "meta"
    case .payload, .payloadAppended: "payload"
    case .lookup: "lookup"
    case .mask: "bitwise"
    case .compare: "cmp"
    case .masquerade: "masq"
    case .verdict: "immediate"
    }
  }

  /// Adds the expression to NFTA_RULE_EXPRESSIONS.
  func put(into request: inout Request) {
    request.nest(NFTA_LIST_ELEM) { element in
      element.put(NFTA_EXPR_NAME, name)
      element.nest(NFTA_EXPR_DATA) { putData(into: &$0) }
    }
  }

  private func putData(into data: inout Request) {
    let register = UInt32(NFT_REG_1.rawValue)
    switch self {
    case .meta(let key):
      data.put(NFTA_META_KEY, bigEndian: key.rawValue)
      data.put(NFTA_META_DREG, bigEndian: register)
    case .payload(let base, let offset, let length):
      Expression.putPayload(into: &data, base, offset, length, register)
    case .payloadAppended(let count, let base, let offset, let length):
      // A register of 16 bytes is four of 4 bytes; the kernel names the larger one if it can.
      let next =
        count % 16 == 0
        ? register + count / 16 : UInt32(NFT_REG32_00.rawValue) + count / 4
      Expression.putPayload(into: &data, base, offset, length, next)
    case .lookup(let set):
      data.put(NFTA_LOOKUP_SET, set)
      data.put(NFTA_LOOKUP_SREG, bigEndian: register)
    case .mask(let mask):
      data.put(NFTA_BITWISE_SREG, bigEndian: register)
      data.put(NFTA_BITWISE_DREG, bigEndian: register)
      data.put(NFTA_BITWISE_LEN, bigEndian: UInt32(mask.count))
      data.nest(NFTA_BITWISE_MASK) { $0.put(NFTA_DATA_VALUE, mask) }
      data.nest(NFTA_BITWISE_XOR) { $0.put(NFTA_DATA_VALUE, mask.map { _ in 0 }) }
    case .compare(let operation, let value):
      data.put(NFTA_CMP_SREG, bigEndian: register)
      data.put(NFTA_CMP_OP, bigEndian: operation.rawValue)
      data.nest(NFTA_CMP_DATA) { $0.put(NFTA_DATA_VALUE, value) }
    case .masquerade:
      break
    case .verdict(let verdict):
      data.put(NFTA_IMMEDIATE_DREG, bigEndian: NFT_REG_VERDICT.rawValue)
      data.nest(NFTA_IMMEDIATE_DATA) { data in
        data.nest(NFTA_DATA_VERDICT) { $0.put(NFTA_VERDICT_CODE, bigEndian: UInt32(verdict)) }
      }
    }
  }
}

extension Expression {
  private static func putPayload(
    into data: inout Request, _ base: nft_payload_bases, _ offset: UInt32, _ length: UInt32,
    _ register: UInt32
  ) {
    data.put(NFTA_PAYLOAD_DREG, bigEndian: register)
    data.put(NFTA_PAYLOAD_BASE, bigEndian: base.rawValue)
    data.put(NFTA_PAYLOAD_OFFSET, bigEndian: offset)
    data.put(NFTA_PAYLOAD_LEN, bigEndian: length)
  }
}

/// Which of a packet's addresses.
enum Direction {
  case source, destination
}

extension [Expression] {
  /// Matches packets of a family; needed in `inet` tables.
  static func family(_ family: IPAddress.Family) -> [Expression] {
    [.meta(NFT_META_NFPROTO), .compare(NFT_CMP_EQ, [family.number])]
  }

  /// Matches packets whose address is in the prefix, or is not. Empty for the prefix of all addresses.
  static func address(
    _ direction: Direction, in prefix: IPPrefix, _ isInside: Bool = true
  ) -> [Expression] {
    let bytes = prefix.network.address.bytes
    let offset: UInt32 =
      switch (prefix.family, direction) {
      case (.v4, .source): 12
      case (.v4, .destination): 16
      case (.v6, .source): 8
      case (.v6, .destination): 24
      }
    let operation = isInside ? NFT_CMP_EQ : NFT_CMP_NEQ
    if prefix.length == 0 { return [] }
    // A prefix of whole bytes is compared without a mask, as nft does it: nft then prints the prefix.
    if prefix.length % 8 == 0 {
      let length = prefix.length / 8
      return [
        .payload(NFT_PAYLOAD_NETWORK_HEADER, offset: offset, length: UInt32(length)),
        .compare(operation, [UInt8](bytes[..<length])),
      ]
    }
    let ones = IPAddress(prefix.family, prefix.family == .v4 ? 0xffff_ffff : .max)
    let mask = IPPrefix(ones, length: prefix.length).network.address.bytes
    return [
      .payload(NFT_PAYLOAD_NETWORK_HEADER, offset: offset, length: UInt32(bytes.count)),
      .mask(mask), .compare(operation, bytes),
    ]
  }

  /// Matches Ethernet frames with another source address.
  static func sourceIsNot(_ mac: MACAddress) -> [Expression] {
    let ethernet = Swift.withUnsafeBytes(of: UInt16(ARPHRD_ETHER)) { [UInt8]($0) }
    return [
      .meta(NFT_META_IFTYPE), .compare(NFT_CMP_EQ, ethernet),
      .payload(NFT_PAYLOAD_LL_HEADER, offset: 6, length: 6), .compare(NFT_CMP_NEQ, mac.bytes),
    ]
  }
}
