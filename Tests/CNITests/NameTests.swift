import Testing

@testable import CNI

/// MAC addresses, names and versions: parsed once, then simply true.
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

  @Test(arguments: ["a", "0", "Pod_1.x-y", String(repeating: "x", count: 96)])
  func `container IDs and network names are the specification's`(text: String) throws {
    #expect(try #require(ContainerID(text)).description == text)
    #expect(try #require(NetworkName(text)).description == text)
  }

  @Test(arguments: ["", "_a", ".a", "-a", "a/b", "../a", "a b", "a:b", "é", "a\u{0}", "a\n"])
  func `what begins or goes on otherwise is neither`(text: String) {
    #expect(ContainerID(text) == nil && NetworkName(text) == nil)
  }

  @Test func `both have a limit`() {
    #expect(NetworkName(String(repeating: "x", count: 97)) == nil)
    #expect(ContainerID(String(repeating: "x", count: 128)) != nil)
    #expect(ContainerID(String(repeating: "x", count: 129)) == nil)
  }

  @Test func `versions are the released ones, in order`() {
    let texts = ["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"]
    #expect(texts.compactMap { ProtocolVersion($0) } == ProtocolVersion.allCases)
    #expect(ProtocolVersion.allCases.map { $0.description } == texts)
    #expect(ProtocolVersion.allCases.sorted() == ProtocolVersion.allCases)
    #expect(ProtocolVersion.newest == .v110)
    #expect(ProtocolVersion.list == texts.joined(separator: ", "))
    for text in ["", "1", "1.0", "1.0.0 ", "v1.0.0", "0.5.0", "1.2.0", "2.0.0", "1.1.0-rc"] {
      #expect(ProtocolVersion(text) == nil)
    }
  }

  @Test func `each verb has its first version`() {
    #expect(
      Verb.allCases.map { "\($0.rawValue) \($0.since)" } == [
        "ADD 0.1.0", "DEL 0.1.0", "CHECK 0.4.0", "GC 1.1.0", "STATUS 1.1.0", "VERSION 0.1.0",
      ])
    #expect(Verb("ADD") == .add && Verb("add") == nil && Verb("") == nil)
    #expect(Verb.list == "ADD, DEL, CHECK, GC, STATUS, VERSION")
  }
}
