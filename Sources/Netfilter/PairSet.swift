// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNetlink
import Embedded
import Netlink

/// The pairs of a peer's address and a pod prefix, of one outer and one inner family, and the rules that look
/// them up.
final class PairSet: Sendable {
  /// Accepts what a peer sends.
  let accepting: Rule
  /// Drops packets of the same port, identifier and families from all other senders.
  let refusing: Rule
  private let name: String
  private let fields: [IPAddress.Family]
  private let pairs: [TunnelCheck.Source]

  @inline(never)
  init(
    _ network: String, _ port: UInt16, _ id: UInt32, _ outer: IPAddress.Family,
    _ inner: IPAddress.Family, _ sources: [TunnelCheck.Source]
  ) {
    let sorted = sources.inOrder {
      $0.peer == $1.peer ? $0.pods < $1.pods : $0.peer < $1.peer
    }
    // The kernel refuses overlapping pairs. A wider prefix comes before what it contains.
    var pairs: [TunnelCheck.Source] = []
    var fingerprint = Fingerprint()
    for source in sorted {
      if let last = pairs.last, last.peer == source.peer, last.pods.contains(source.pods) {
        continue
      }
      pairs.append(source)
      fingerprint.add(source.peer.value)
      fingerprint.add(source.pods.address.value)
      fingerprint.add(UInt128(truncatingIfNeeded: source.pods.length))
    }
    self.pairs = pairs
    let kind = "\(outer.version)\(inner.version)"
    let name = "overlay-\(network)-\(kind)"
    self.name = name
    fields = [outer, inner]
    let comment = "\(network) \(kind) \(fingerprint.description)"
    let start =
      [Expression].family(outer) + .udp(to: port) + [
        .payload(NFT_PAYLOAD_TRANSPORT_HEADER, offset: 11, length: 4),
        .compare(NFT_CMP_EQ, [inner == .v4 ? 1 : 2] + bigEndian(id)[1...]),
      ]
    accepting = Rule(
      comment: comment,
      expressions: start + [
        .payload(
          NFT_PAYLOAD_NETWORK_HEADER, offset: outer == .v4 ? 12 : 8, length: outer.byteCount),
        .payloadAppended(
          to: outer.byteCount, NFT_PAYLOAD_TRANSPORT_HEADER, offset: inner == .v4 ? 28 : 24,
          length: inner.byteCount),
        .lookup(set: name), .verdict(NF_ACCEPT),
      ])
    refusing = Rule(comment: comment, expressions: start + [.verdict(NF_DROP)])
  }

  /// The requests that make the set and fill it.
  @inline(never)
  var requests: [Request] {
    var requests = [Request.addSet(name, fields: fields)]
    // The list of elements is one attribute, which has at most 64 KiB.
    var start = 0
    while start < pairs.count {
      let end = min(start + 256, pairs.count)
      requests.append(.addElements(pairs[start..<end], to: name))
      start = end
    }
    return requests
  }
}

extension IPAddress.Family {
  fileprivate var byteCount: UInt32 { UInt32(bits / 8) }
}

extension [Expression] {
  @inline(never)
  static func udp(to port: UInt16) -> [Expression] {
    [
      .meta(NFT_META_L4PROTO), .compare(NFT_CMP_EQ, [UInt8(IPPROTO_UDP)]),
      .payload(NFT_PAYLOAD_TRANSPORT_HEADER, offset: 2, length: 2),
      .compare(NFT_CMP_EQ, bigEndian(port)),
    ]
  }
}

/// A hash of 64 bits, which depends on the order of what is added: MurmurHash's finalizer for each half of a
/// number.
private struct Fingerprint {
  private var value: UInt64 = 0xcbf2_9ce4_8422_2325

  @inline(never)
  mutating func add(_ number: UInt128) {
    for word in [UInt64(truncatingIfNeeded: number), UInt64(truncatingIfNeeded: number >> 64)] {
      value = (value ^ word) &* 0xff51_afd7_ed55_8ccd
      value ^= value >> 33
    }
  }

  var description: String {
    String(value, digits: 16, radix: 16)
  }
}
