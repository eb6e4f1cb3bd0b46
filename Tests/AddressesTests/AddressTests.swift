// SPDX-License-Identifier: Apache-2.0
import Tables
import TestSupport
import Testing

@testable import Addresses

// Declared here, since <arpa/inet.h> conflicts with the kernel's headers that the modules use.
@_silgen_name("inet_ntop")
private func cText(
  _ family: Int32, _ bytes: UnsafePointer<UInt8>, _ text: UnsafeMutablePointer<CChar>,
  _ size: UInt32
) -> UnsafePointer<CChar>?
@_silgen_name("inet_pton")
private func cBytes(
  _ family: Int32, _ text: UnsafePointer<CChar>, _ bytes: UnsafeMutablePointer<UInt8>
) -> Int32

private let (inet, inet6): (Int32, Int32) = (2, 10)

/// Addresses and prefixes, compared with the C library.
@Suite struct AddressTests {
  private func ntop(_ family: Int32, _ bytes: [UInt8]) -> String {
    var buffer = [CChar](repeating: 0, count: 64)
    return cText(family, bytes, &buffer, 64).map { String(cString: $0) } ?? ""
  }

  private func pton(_ family: Int32, _ text: String) -> [UInt8]? {
    var bytes = [UInt8](repeating: 0, count: family == inet ? 4 : 16)
    return cBytes(family, text, &bytes) == 1 ? bytes : nil
  }

  @Test func `addresses are written and read as the C library does`() throws {
    var random = SeededRandom(seed: 4)
    for _ in 0..<3000 {
      for (family, count) in [(inet, 4), (inet6, 16)] {
        // Many zeros, so that the `::` occurs at every position.
        let bytes = (0..<count).map { _ in random.below(2) == 0 ? 0 : UInt8(random.below(256)) }
        let address = try #require(IPAddress(bytes: bytes))
        #expect(address.bytes == bytes)
        let text = ntop(family, bytes)
        if text.contains(".") && family == inet6 { continue }
        #expect(address.description == text)
        #expect(IPAddress(text) == address)
        #expect(IPAddress(text.uppercased()) == address)
      }
    }
  }

  @Test func `a text is an address to us where it is one to the C library`() {
    var random = SeededRandom(seed: 5)
    let pieces = [
      "0", "1", "00", "255", "256", "ffff", "10000", "g", ":", "::", ".", "-1", " ", "", "a", "%1",
      "/8",
      "fe80", "127.0.0.1", "1.2.3",
    ]
    for _ in 0..<20_000 {
      let text = (0..<1 + random.below(9)).map { _ in
        random.one(of: pieces) + random.one(of: ["", ":", "."])
      }
      .joined()
      let theirs = pton(inet, text) ?? pton(inet6, text)
      #expect((IPAddress(text) != nil) == (theirs != nil), "\(text)")
      if let theirs, let ours = IPAddress(text), ours.family == .v6 {
        #expect(ours.bytes == theirs, "\(text)")
      }
    }
  }

  @Test(arguments: AddressTable.addresses + AddressTable.prefixes)
  func `a text is an address or a prefix, or nil`(_ row: Case) {
    #expect(row.failure == nil)
  }

  @Test func `addresses are in order, IPv4 first`() throws {
    let texts = ["10.0.0.9", "10.0.0.10", "200.0.0.1", "::", "::1", "fd00::"]
    let addresses = try texts.map { try #require(IPAddress($0)) }
    #expect(addresses.shuffled().sorted() == addresses)
  }

  // MARK: Prefixes

  @Test(arguments: ["100.100.1.2/24", "10.0.0.1/32", "10.9.8.7/0", "fd00:100:100::/64", "::1/128"])
  func `a prefix begins and ends with its network`(text: String) throws {
    let prefix = try #require(IPPrefix(text))
    #expect(prefix.first == prefix.network.address && prefix.network.isNetwork)
    #expect(prefix.isNetwork == (prefix == prefix.network))
    #expect(prefix.contains(prefix.first) && prefix.contains(prefix.last))
    #expect(prefix.last.advanced(by: 1).map { prefix.contains($0) } ?? false == false)
  }

  @Test func `containing and overlapping are by bits`() throws {
    var random = SeededRandom(seed: 6)
    for _ in 0..<3000 {
      let bits = random.one(of: [(IPAddress.Family.v4, 32), (.v6, 128)])
      let base = UInt128(truncatingIfNeeded: random.next()) & 0xffff
      func prefix() -> IPPrefix {
        IPPrefix(
          IPAddress(bits.0, base ^ UInt128(random.below(16))), length: bits.1 - random.below(8))
      }
      let (left, right) = (prefix(), prefix())
      func range(_ prefix: IPPrefix) -> ClosedRange<UInt128> {
        prefix.first.value...prefix.last.value
      }
      #expect(left.overlaps(right) == range(left).overlaps(range(right)))
      #expect(left.contains(right) == range(left).contains(range(right)))
      #expect(left.contains(right.address) == range(left).contains(right.address.value))
    }
    #expect(!IPPrefix.everything(.v4).overlaps(.everything(.v6)))
  }
}
