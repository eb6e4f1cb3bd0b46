// SPDX-License-Identifier: Apache-2.0
import Tables
import Testing

@testable import Addresses

/// Parsing of MAC addresses and interface names.
@Suite struct NameTests {
  @Test(arguments: AddressTable.names)
  func `a text is a MAC address or an interface's name, or nil`(_ row: Case) {
    #expect(row.failure == nil)
  }

  @Test func `an interface can have no group's MAC address and not the zero one`() {
    #expect(MACAddress("02:00:00:00:00:00")!.isUsable)
    for text in ["00:00:00:00:00:00", "01:00:5e:00:00:01", "ff:ff:ff:ff:ff:ff"] {
      #expect(!MACAddress(text)!.isUsable)
    }
    for seed in [0, 1, UInt64.max, 0xff_ff_ff_ff_ff_ff] {
      let mac = MACAddress.local(seed)
      #expect(mac.isUsable && mac.bytes[0] & 3 == 2)
    }
    #expect(MACAddress.local(256) != MACAddress.local(512))
  }
}
