// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import CNI

/// Parsing of names, versions and verbs.
@Suite struct NameTests {
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
