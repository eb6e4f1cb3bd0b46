// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNetlink
import Embedded
import Netlink
import System

/// A base chain of nf_tables: rules that packets pass at a hook.
struct Chain: Equatable, Sendable {
  let family: TableFamily
  let table: String
  let name: String
  /// `filter` or `nat`.
  let type: String
  /// NF_INET_POST_ROUTING and the like, whose meaning depends on the family.
  let hook: UInt32
  let priority: Int32
  /// The link whose packets it sees; for the family `netdev` only.
  var device: InterfaceName?
  /// NF_ACCEPT or NF_DROP: for a packet on which no rule has decided.
  var policy = UInt32(NF_ACCEPT)

  /// As nft(8) names it.
  var description: String { "\(family.name) \(table) \(name)" }
}

extension Request {
  /// Makes a table, unless it exists.
  ///
  /// Equivalent to: `nft add table inet humanz`. Message: NFT_MSG_NEWTABLE.
  static func addTable(_ family: TableFamily) -> Request {
    table("create", NFT_MSG_NEWTABLE, NLM_F_CREATE, family, tableName)
  }

  /// Deletes a table if nothing is in it.
  ///
  /// Message: NFT_MSG_DELTABLE with NLM_F_NONREC.
  static func deleteEmptyTable(_ family: TableFamily) -> Request {
    table("delete", NFT_MSG_DELTABLE, NLM_F_NONREC, family, tableName)
  }

  fileprivate static func table(
    _ verb: String, _ message: nf_tables_msg_types, _ flags: Int32, _ family: TableFamily,
    _ name: String
  ) -> Request {
    var request = Request(
      "\(verb) nftables table \(family.name) \(name)", message, flags: flags, family: family)
    request.put(NFTA_TABLE_NAME, name)
    return request
  }

  /// Makes a base chain, unless it exists.
  ///
  /// Equivalent to: `nft add chain inet humanz NAME { type nat hook postrouting priority srcnat; }`.
  /// Message: NFT_MSG_NEWCHAIN.
  static func addChain(_ chain: Chain) -> Request {
    var request = Request(
      "create nftables chain \(chain.description)", NFT_MSG_NEWCHAIN, flags: NLM_F_CREATE,
      family: chain.family)
    request.put(NFTA_CHAIN_TABLE, chain.table)
    request.put(NFTA_CHAIN_NAME, chain.name)
    request.nest(NFTA_CHAIN_HOOK) { hook in
      hook.put(NFTA_HOOK_HOOKNUM, bigEndian: chain.hook)
      hook.put(NFTA_HOOK_PRIORITY, bigEndian: UInt32(bitPattern: chain.priority))
      if let device = chain.device { hook.put(NFTA_HOOK_DEV, "\(device)") }
    }
    request.put(NFTA_CHAIN_POLICY, bigEndian: chain.policy)
    request.put(NFTA_CHAIN_TYPE, chain.type)
    return request
  }

  /// Deletes a chain with its rules.
  ///
  /// Equivalent to: `nft delete chain inet humanz NAME`. Message: NFT_MSG_DELCHAIN.
  static func deleteChain(
    _ family: TableFamily, table: String = tableName, _ name: String
  ) -> Request {
    var request = Request(
      "delete nftables chain \(family.name) \(table) \(name)", NFT_MSG_DELCHAIN, family: family)
    request.put(NFTA_CHAIN_TABLE, table)
    request.put(NFTA_CHAIN_NAME, name)
    return request
  }

  static func getChain(_ family: TableFamily, _ name: String) -> Request {
    var request = Request(
      "read nftables chain \(family.name) \(tableName) \(name)", NFT_MSG_GETCHAIN, family: family)
    request.put(NFTA_CHAIN_TABLE, tableName)
    request.put(NFTA_CHAIN_NAME, name)
    return request
  }

  static func getChains() -> Request {
    Request("list nftables chains", NFT_MSG_GETCHAIN, family: .all)
  }
}

extension Socket where Family == NetfilterFamily {
  /// All base chains of the families we know; none if the kernel lacks nf_tables.
  ///
  /// Equivalent to: `nft list chains`. Message: NFT_MSG_GETCHAIN with NLM_F_DUMP.
  @inline(never)
  borrowing func baseChains() throws(NetlinkError) -> [Chain] {
    do throws(NetlinkError) {
      return try dump(.getChains(), Chain.init)
    } catch {
      if error.isUnsupported { return [] }
      throw error
    }
  }

  /// Whether there is a chain of ours.
  ///
  /// Equivalent to: `nft list chain inet humanz NAME`. Message: NFT_MSG_GETCHAIN.
  borrowing func has(chain name: String, _ family: TableFamily) throws(NetlinkError) -> Bool {
    do throws(NetlinkError) { return try get(.getChain(family, name)) { _ in true } ?? false } catch
    {
      if error.isMissing || error.isUnsupported { return false }
      throw error
    }
  }

  /// Deletes a chain of ours with its rules and then, if nothing else is in it, the table. A
  /// missing chain is not an error: a kernel removes one with its link, and leaves the table.
  @inline(never)
  borrowing func remove(chain name: String, _ family: TableFamily) throws(NetlinkError) {
    do throws(NetlinkError) { try commit([.deleteChain(family, name)]) } catch {
      if error.isUnsupported { return }
      guard error.isMissing else { throw error }
    }
    try removeEmptyTable(family)
  }

  /// Deletes our table of a family if nothing is in it.
  @inline(never)
  borrowing func removeEmptyTable(_ family: TableFamily) throws(NetlinkError) {
    for _ in 0..<2 {
      guard try useCount(of: family) == 0 else { return }
      do throws(NetlinkError) { return try commit([.deleteEmptyTable(family)]) } catch {
        // If another process has just made a chain, the kernel refuses, and the table stays.
        guard error.errno == .busy || error.isMissing else { throw error }
      }
    }
  }

  /// How many chains, sets and objects our table has; nil if there is no table.
  private borrowing func useCount(of family: TableFamily) throws(NetlinkError) -> UInt32? {
    do throws(NetlinkError) {
      return try get(.table("read", NFT_MSG_GETTABLE, 0, family, tableName)) { message in
        message.attributes(after: nfgenmsg.self).first(NFTA_TABLE_USE)?.bigEndianUInt32
      }
    } catch {
      if error.isMissing || error.isUnsupported { return nil }
      throw error
    }
  }

  /// Whether a chain's table belongs to a process, which alone can change it: the flag `owner`, since
  /// Linux 5.12.
  borrowing func hasOwner(_ chain: Chain) throws(NetlinkError) -> Bool {
    try get(.table("read", NFT_MSG_GETTABLE, 0, chain.family, chain.table)) { message in
      message.attributes(after: nfgenmsg.self).first(NFTA_TABLE_OWNER)?.bigEndianUInt32
    } != nil
  }
}

extension Chain {
  /// Reads NFT_MSG_NEWCHAIN of a base chain in a family we know; nil for anything else.
  init?(_ message: Message) {
    guard isMessage(message, NFT_MSG_NEWCHAIN), let header = message.header(nfgenmsg.self),
      let family = [TableFamily.inet, .netdev, .ip, .ip6].first(where: {
        $0.number == header.nfgen_family
      })
    else { return nil }
    var (table, name, type) = ("", "", "")
    var hook: UInt32?
    var priority: Int32 = 0
    var device: InterfaceName?
    var policy = UInt32(NF_ACCEPT)
    for attribute in message.attributes(after: nfgenmsg.self) {
      switch attribute.type {
      case NFTA_CHAIN_TABLE: table = attribute.string
      case NFTA_CHAIN_NAME: name = attribute.string
      case NFTA_CHAIN_TYPE: type = attribute.string
      case NFTA_CHAIN_POLICY: policy = attribute.bigEndianUInt32 ?? policy
      case NFTA_CHAIN_HOOK:
        hook = attribute.nested.first(NFTA_HOOK_HOOKNUM)?.bigEndianUInt32
        priority = Int32(
          bitPattern: attribute.nested.first(NFTA_HOOK_PRIORITY)?.bigEndianUInt32 ?? 0)
        device = attribute.nested.first(NFTA_HOOK_DEV).flatMap { InterfaceName($0.string) }
      default: break
      }
    }
    guard let hook else { return nil }
    self.init(
      family: family, table: table, name: name, type: type, hook: hook, priority: priority,
      device: device, policy: policy)
  }
}

extension NetlinkError {
  /// Whether the kernel was built without what the attempt needs. nfnetlink answers a request for
  /// a subsystem that it lacks with EINVAL and no text.
  var isUnsupported: Bool {
    switch errno.rawValue {
    case EOPNOTSUPP, EPROTONOSUPPORT, EAFNOSUPPORT: true
    case EINVAL: text == nil
    default: false
    }
  }
}
