// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNetlink
import Embedded
import Netlink

extension Request {
  /// Makes a set whose keys are concatenated addresses, and whose elements are ranges of them.
  ///
  /// Equivalent to: `nft add set inet humanz NAME { type ipv4_addr . ipv4_addr; flags interval; }`.
  /// Message: NFT_MSG_NEWSET, with NFTA_SET_DESC_CONCAT (since Linux 5.6).
  static func addSet(_ name: String, fields: [IPAddress.Family]) -> Request {
    var request = Request(
      "create nftables set inet \(tableName) \(name)", NFT_MSG_NEWSET, flags: NLM_F_CREATE,
      family: .inet)
    request.put(NFTA_SET_TABLE, tableName)
    request.put(NFTA_SET_NAME, name)
    request.put(
      NFTA_SET_FLAGS, bigEndian: NFT_SET_INTERVAL.rawValue | NFT_SET_CONCAT.rawValue)
    // nft(8)'s numbers of the types, 6 bits each: it needs them to print the elements.
    request.put(
      NFTA_SET_KEY_TYPE,
      bigEndian: fields.reduce(0) { $0 << 6 | ($1 == .v4 ? 7 : 8) })
    request.put(
      NFTA_SET_KEY_LEN, bigEndian: fields.reduce(0) { $0 + UInt32($1.bits / 8) })
    // Identifies the set within a transaction. It need not be unique: ours have different names.
    request.put(NFTA_SET_ID, bigEndian: 1)
    request.nest(NFTA_SET_DESC) { description in
      description.nest(NFTA_SET_DESC_CONCAT) { concatenation in
        for field in fields {
          concatenation.nest(NFTA_LIST_ELEM) {
            $0.put(NFTA_SET_FIELD_LEN, bigEndian: UInt32(field.bits / 8))
          }
        }
      }
    }
    return request
  }

  /// Adds pairs to a set, each of an address and the range of a prefix.
  ///
  /// Equivalent to: `nft add element inet humanz NAME { ... }`. Message: NFT_MSG_NEWSETELEM.
  static func addElements(
    _ pairs: ArraySlice<TunnelCheck.Source>, to name: String
  ) -> Request {
    var request = Request(
      "fill nftables set inet \(tableName) \(name)", NFT_MSG_NEWSETELEM, flags: NLM_F_CREATE,
      family: .inet)
    request.put(NFTA_SET_ELEM_LIST_TABLE, tableName)
    request.put(NFTA_SET_ELEM_LIST_SET, name)
    request.nest(NFTA_SET_ELEM_LIST_ELEMENTS) { list in
      for pair in pairs {
        list.nest(NFTA_LIST_ELEM) { element in
          let peer = pair.peer.bytes
          element.nest(NFTA_SET_ELEM_KEY) {
            $0.put(NFTA_DATA_VALUE, peer + pair.pods.first.bytes)
          }
          element.nest(NFTA_SET_ELEM_KEY_END) {
            $0.put(NFTA_DATA_VALUE, peer + pair.pods.last.bytes)
          }
        }
      }
    }
    return request
  }

  /// Deletes a set with its elements.
  ///
  /// Equivalent to: `nft delete set inet humanz NAME`. Message: NFT_MSG_DELSET.
  static func deleteSet(_ name: String) -> Request {
    var request = Request(
      "delete nftables set inet \(tableName) \(name)", NFT_MSG_DELSET, family: .inet)
    request.put(NFTA_SET_TABLE, tableName)
    request.put(NFTA_SET_NAME, name)
    return request
  }
}

extension nft_set_attributes: KernelConstant {}
extension nft_set_desc_attributes: KernelConstant {}
extension nft_set_field_attributes: KernelConstant {}
extension nft_set_elem_list_attributes: KernelConstant {}
extension nft_set_elem_attributes: KernelConstant {}
extension nft_lookup_attributes: KernelConstant {}
