// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNetlink
import System
import Tables
import Testing

@testable import Netlink

/// Messages that change something.
@Suite struct RequestTests {
  @Test(arguments: RequestTable.requests)
  func `a request is these bytes`(_ row: Case) {
    #expect(row.failure == nil)
  }

  @Test(arguments: RequestTable.captured)
  func `a request says what the command says`(_ row: Case) {
    #expect(row.failure == nil)
  }

  @Test func `a namespace's number is asked for by what is open`() {
    #expect(
      Array(Request.getNamespaceID(7).bytes)
        == bytes(
          """
          1c000000 5a00 0100 00000000 00000000
          00000000
          0800 0300 07000000
          """))
  }

  @Test(arguments: [0, 1, 3, 4, 200, 4000, 60000])
  func `a message grows with its attributes, padded with zeros`(size: Int) {
    var request = Request("try", 16, header: UInt32(0x0102_0304))
    request.nest(1) { outer in
      outer.put(2, [UInt8](repeating: 0xff, count: size))
      outer.nest(3) { $0.put(4, UInt8(5)) }
    }
    let padding = [UInt8](repeating: 0, count: (4 - size % 4) % 4)
    let inner = bytes("0c00 0380 0500 0400 05000000")
    let first =
      withUnsafeBytes(of: UInt16(size + 4)) { Array($0) } + [2, 0]
      + [UInt8](repeating: 0xff, count: size) + padding
    let nest = withUnsafeBytes(of: UInt16(4 + first.count + inner.count)) { Array($0) } + [1, 0x80]
    let length = withUnsafeBytes(of: UInt32(20 + nest.count + first.count + inner.count)) {
      Array($0)
    }
    let header = length + bytes("1000 0100 00000000 00000000 04030201")
    #expect(Array(request.bytes) == header + nest + first + inner)
  }

  @Test func `a multipath route of many hops fits`() {
    let hops = (0..<256).map { NextHop(gateway: IPAddress(.v4, UInt128($0)), weight: $0 + 1) }
    let request = Request.replaceRoute(Route(destination: prefix("10.0.0.0/8"), nextHops: hops))
    #expect(request.bytes.count == 16 + 12 + 8 + 4 + 256 * 16)
    #expect(Array(request.bytes.suffix(16)) == bytes("100000ff00000000 08000500000000ff"))
  }
}
