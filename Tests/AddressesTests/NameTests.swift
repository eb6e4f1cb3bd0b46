// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Addresses

/// MAC addresses and interface names: parsed once, then simply true.
@Suite struct NameTests {
  @Test(arguments: ["02:00:5e:10:00:ff", "02-00-5E-10-00-FF", "02:00:5E:10:00:ff"])
  func `a MAC address is read in either spelling and written as ip link does`(text: String) throws {
    let mac = try #require(MACAddress(text))
    #expect(mac.bytes == [2, 0, 0x5e, 0x10, 0, 0xff])
    #expect(mac.description == "02:00:5e:10:00:ff")
  }

  @Test(arguments: [
    "", "02:00:5e:10:00", "02:00:5e:10:00:ff:00", "02:00:5e:10:00:fg", "02:00-5e:10:00:ff",
    "0200.5e10.00ff",
    "02005e1000ff", " 2:00:5e:10:00:ff", "02:00:5e:10:00:f",
  ])
  func `what is no MAC address is nil`(text: String) {
    #expect(MACAddress(text) == nil)
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

  @Test(arguments: ["eth0", "a", "123456789012345", "...", "veth-é", "eth0.100", "-"])
  func `an interface's name is what the kernel takes`(text: String) throws {
    #expect(try #require(InterfaceName(text)).description == text)
  }

  @Test(arguments: [
    "", ".", "..", "1234567890123456", "a/b", "a:b", "a b", "pc%d", "a\t", "a\n", "a\u{0}",
    "ééééééééé",
  ])
  func `what the kernel does not take is no interface's name`(text: String) {
    #expect(InterfaceName(text) == nil)
  }
}
