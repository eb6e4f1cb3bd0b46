// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNI
import Embedded

/// The addresses of a subnet that may be leased, and the subnet's gateway.
///
/// Keys and defaults are host-local's. The network's own address, IPv4's broadcast address and the
/// gateway are never leased. In a /31 or /127 both addresses can be leased (RFC 3021, RFC 6164), and
/// there is a gateway only if the configuration names one.
public struct AddressRange: Equatable, Sendable {
  /// The subnet. Its host bits are zero.
  public let subnet: IPPrefix
  /// The lowest address of the range.
  public let first: IPAddress
  /// The highest address of the range, which belongs to it.
  public let last: IPAddress
  /// Usually in the subnet; nil in a /31 or /127 without a configured one.
  public let gateway: IPAddress?

  /// Reads `subnet`, `rangeStart`, `rangeEnd` and `gateway`.
  /// - Throws: error 7 naming the key.
  public init(_ keys: Keys) throws(CNIError) {
    guard let subnet = try keys.network("subnet") else {
      throw keys.invalid("subnet", "is required: a prefix such as 100.100.0.0/24")
    }
    let hostBits = subnet.family.bits - subnet.length
    guard hostBits > 0 else {
      throw keys.invalid("subnet", "is \(subnet): too small, it has no address to lease")
    }
    self.subnet = subnet
    let usable = AddressRange.usable(subnet)
    let start = try AddressRange.address("rangeStart", of: subnet, keys) ?? usable.lowerBound
    let end = try AddressRange.address("rangeEnd", of: subnet, keys) ?? usable.upperBound
    guard start <= end else {
      throw keys.invalid(
        start == usable.lowerBound ? "rangeEnd" : "rangeStart",
        "leaves no address: the first is \(start), the last \(end)")
    }
    first = max(start, usable.lowerBound)
    last = min(end, usable.upperBound)
    guard first <= last else {
      throw keys.invalid("rangeStart", "is \(start): no address of \(subnet) is left to lease")
    }
    let gateway = try AddressRange.gateway(of: subnet, keys)
    self.gateway = gateway ?? (hostBits == 1 ? nil : subnet.first.advanced(by: 1))
  }

  /// The addresses of a subnet that a host can have.
  private static func usable(_ subnet: IPPrefix) -> ClosedRange<IPAddress> {
    guard subnet.family.bits - subnet.length > 1 else { return subnet.first...subnet.last }
    let last = subnet.last
    return subnet.first.advanced(
      by: 1)!...(subnet.family == .v4
      ? IPAddress(.v4, last.value - 1) : last)
  }

  private static func address(
    _ key: String, of subnet: IPPrefix, _ keys: Keys
  ) throws(CNIError) -> IPAddress? {
    guard let address = try keys.addressUnlessEmpty(key) else { return nil }
    guard subnet.contains(address) else {
      throw keys.invalid(key, "is \(address), which is not in \"subnet\" \(subnet)")
    }
    return address
  }

  /// The configured gateway. It may be outside the subnet, as host-local accepts it.
  private static func gateway(
    of subnet: IPPrefix, _ keys: Keys
  ) throws(CNIError) -> IPAddress? {
    guard let gateway = try keys.addressUnlessEmpty("gateway") else { return nil }
    guard gateway.family == subnet.family else {
      throw keys.invalid("gateway", "is \(gateway), of another family than \"subnet\" \(subnet)")
    }
    return gateway
  }

  /// Whether an address is between `first` and `last`, both included. It may be the gateway, which is never
  /// leased.
  public func contains(_ address: IPAddress) -> Bool {
    address.family == subnet.family && first <= address && address <= last
  }

  /// The range in the form of a configuration.
  public var json: JSON {
    .object(
      JSONObject(
        ("subnet", .string(subnet.description)), ("rangeStart", .string(first.description)),
        ("rangeEnd", .string(last.description)),
        ("gateway", gateway.map { .string($0.description) })))
  }
}

extension AddressRange: CustomStringConvertible {
  /// The subnet, and the first and last address if they are not the subnet's.
  public var description: String {
    let usable = AddressRange.usable(subnet)
    return usable == first...last ? "\(subnet)" : "\(subnet) (\(first) to \(last))"
  }
}
