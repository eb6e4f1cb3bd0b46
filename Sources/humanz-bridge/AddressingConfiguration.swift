// SPDX-License-Identifier: Apache-2.0
import CNI
import Netlink
import Node

/// The keys that say what to do with the addresses that an IPAM plugin returns.
struct AddressingConfiguration {
  /// Whether the bridge gets the gateway's address.
  let isGateway: Bool
  /// Whether the pod's default route goes through the bridge; implies `isGateway`.
  let isDefaultGateway: Bool
  /// Whether other addresses of the gateway's link are replaced: any IPv4 address, and IPv6 addresses that
  /// overlap with the gateway's subnet.
  let forceAddress: Bool
  /// Whether traffic that leaves the pods' subnets is masqueraded.
  let ipMasq: Bool
  /// Whether the ADD waits for duplicate address detection, and fails if another interface has one of its IPv6
  /// addresses.
  let enabledad: Bool

  /// - Throws: error 7 naming the key.
  init(_ configuration: NetworkConfiguration) throws(CNIError) {
    let keys = configuration.keys
    isDefaultGateway = try keys.bool("isDefaultGateway") ?? false
    isGateway = try keys.bool("isGateway") ?? false || isDefaultGateway
    forceAddress = try keys.bool("forceAddress") ?? false
    ipMasq = try keys.bool("ipMasq") ?? false
    enabledad = try keys.bool("enabledad") ?? false
    if ipMasq, try configuration.ipam == nil {
      throw keys.invalid(
        "ipMasq",
        "needs \"ipam\"; in a chain set \"ipMasq\" of humanz-route")
    }
    // Both values give nftables rules, which the kernel applies beside those of iptables.
    _ = try keys.parsed("ipMasqBackend", as: "\"nftables\" or \"iptables\"") { backend in
      ["nftables", "iptables"].contains(backend) ? backend : nil
    }
  }
}
