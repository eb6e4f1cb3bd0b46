// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNetlink
import System
import Tables
import TestSupport
import Testing

@testable import Netlink

/// The lengths in a kernel's messages are not trusted.
@Suite struct MessageTests {
  /// Reads everything in a message, once.
  private func readAll(_ message: [UInt8]) -> Int {
    message.withUnsafeBytes { bytes in
      var found = 0
      for message in Messages(bytes) {
        if Link(message) != nil { found += 1 }
        if InterfaceAddress(message) != nil { found += 1 }
        if Route(message) != nil { found += 1 }
        if Neighbour(message) != nil { found += 1 }
        if ForwardingEntry(message) != nil { found += 1 }
        if message.failure(of: "try") != nil { found += 1 }
        found += BridgeVLAN.list(message).count
      }
      return found
    }
  }

  /// Messages of this kernel: links of several kinds, addresses, routes, neighbours.
  private func answers() throws -> [[UInt8]] {
    var answers: [[UInt8]] = []
    try inNewNamespace { node in
      let own = try NetworkNamespace.current()
      try node.perform([
        .addBridge(name("br0")),
        .addVethPair(
          VethPair(
            name: name("p0"), mac: mac("02:00:00:00:00:01"), master: 2, peerName: name("p1"),
            peerMAC: mac("02:00:00:00:00:02"), peerNamespace: own.fileDescriptor)),
        .changeLink(.name(name("p0")), LinkChange(up: true, alias: "a pair")),
        .changeLink(.name(name("p1")), LinkChange(up: true)),
        .changeLink(.name(name("br0")), LinkChange(up: true)),
        .replaceAddress(InterfaceAddress(prefix: prefix("192.0.2.1/24"), index: 2)),
        .replaceRoute(
          Route(
            destination: prefix("10.0.0.0/8"),
            nextHops: [
              NextHop(gateway: address("192.0.2.2"), device: 2),
              NextHop(gateway: address("192.0.2.3"), device: 2),
            ], mtu: 1400)),
      ])
      #expect(shell("ip neigh replace 192.0.2.7 lladdr 02:00:00:00:00:07 dev br0") == "")
      let connection = try Connection(family: NETLINK_ROUTE)
      for request in [
        Request.getLinks(master: nil), .getAddresses(index: nil, family: nil),
        .getRoutes(.v4, proto: nil, table: nil), .getNeighbours(index: nil, family: nil),
        .getForwardingEntries(bridge: 2), .getBridgeVLANs(),
      ] { answers.append(try connection.dump(request)) }
    }
    return answers
  }

  @Test func `answers that are cut off or damaged are read as far as they go`() throws {
    var generator = SystemRandomNumberGenerator()
    for answer in try answers() {
      #expect(answer.isEmpty || readAll(answer) > 0)
      for length in 0..<answer.count {
        var cut = Array(answer[..<length])
        _ = readAll(cut)
        // The header still promises the part that is cut off.
        if length >= 4 {
          withUnsafeBytes(of: UInt32(length)) { cut.replaceSubrange(0..<4, with: $0) }
          _ = readAll(cut)
        }
      }
      for _ in 0..<1500 where !answer.isEmpty {
        var damaged = answer
        for _ in 0..<Int.random(in: 1...8, using: &generator) {
          damaged[Int.random(in: 0..<damaged.count, using: &generator)] =
            [0, 1, 3, 4, 0x7f, 0xff, UInt8.random(in: 0...255, using: &generator)].randomElement()!
        }
        _ = readAll(damaged)
      }
    }
  }

  @Test func `a message that says it has 2 GiB and more is none`() {
    let message = bytes("10000080 1000 0000 00000000 00000000 00000000")
    #expect(message.withUnsafeBytes { Array(Messages($0)).isEmpty })
  }

  @Test func `an address of a link whose number no link has is read and deleted`() throws {
    let message = bytes(
      "20000000 1400 0000 00000000 00000000 02200000 ffffffff 0800 0200 0a000001")
    let address = try message.withUnsafeBytes { try #require(InterfaceAddress(Message($0))) }
    #expect(address.index == -1)
    let request = bytes(
      """
      28000000 1500 0100 00000000 00000000 02200000 ffffffff 0800 0200 0a000001
      0800 0100 0a000001
      """)
    #expect(Array(Request.deleteAddress(address).bytes) == request)
  }

  @Test func `an error carries the kernel's sentence, capped or not`() {
    let text = "0a00 0100 6261642e2e00 0000"  // NLMSGERR_ATTR_MSG "bad.."
    let capped = bytes(
      "30000000 0200 0003 00000000 00000000 edffffff 24000000 1000 0100 00000000 00000000" + text)
    let whole = bytes(
      "34000000 0200 0002 00000000 00000000 edffffff 14000000 1000 0100 00000000 00000000 00000000"
        + text)
    for message in [capped, whole] {
      let error = message.withUnsafeBytes { Message($0).failure(of: "try") }
      #expect(error == NetlinkError(attempt: "try", errno: .noDevice, text: "bad.."))
    }
    #expect(
      NetlinkError(attempt: "try", errno: .noDevice, text: "bad..").description
        == "cannot try: No such device (bad..)")
    let acknowledgement = bytes("14000000 0200 0000 00000000 00000000 00000000")
    #expect(acknowledgement.withUnsafeBytes { Message($0).failure(of: "try") } == nil)
  }

  @Test func `ranges of VLANs are joined again`() {
    let message = bytes(
      """
      40000000 1000 0000 00000000 00000000
      07000000 03000000 00000000 00000000
      1c00 1a00
        0800 0200 06000100
        0800 0200 08000a00
        0800 0200 10001400
      """)
    let length = message.count
    let fixed = withUnsafeBytes(of: UInt32(length)) { Array($0) } + message[4...]
    fixed.withUnsafeBytes {
      #expect(
        BridgeVLAN.list(Message($0)) == [
          BridgeVLAN(1...1, isPVID: true, isUntagged: true), BridgeVLAN(10...20),
        ])
    }
  }
}
