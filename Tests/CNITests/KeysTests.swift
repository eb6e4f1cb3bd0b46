// SPDX-License-Identifier: Apache-2.0
import Addresses
import Testing

@testable import CNI

/// Reading keys by type; every error names the key by its full path.
@Suite struct KeysTests {
  private func keys(_ text: String) throws -> Keys {
    Keys(try #require(try JSON(parsing: Array(text.utf8)).object))
  }

  private func message(_ read: () throws -> Any?) -> String {
    do {
      _ = try read()
      return "no error"
    } catch let error as CNIError {
      return error.code == .invalidConfiguration ? error.message : "code \(error.code.rawValue)"
    } catch {
      return "another error"
    }
  }

  @Test func `each type is read, and null counts as absent`() throws {
    let keys = try keys(
      """
      {"s":"x","b":true,"i":-5,"o":{"k":"v"},"l":[{"k":1}],"t":["p","q"],"a":"10.0.0.1",
      "p":"10.0.0.5/24","n":"fd00::/64","nothing":null}
      """)
    #expect(try keys.string("s") == "x")
    #expect(try keys.bool("b") == true)
    #expect(try keys.int("i", in: -5...5) == -5)
    #expect(try keys.keys("o")?.string("k") == "v")
    #expect(try keys.list("l")?.first?.int("k", in: 0...1) == 1)
    #expect(try keys.strings("t") == ["p", "q"])
    #expect(try keys.address("a") == IPAddress("10.0.0.1"))
    #expect(try keys.prefix("p") == IPPrefix("10.0.0.5/24"))
    #expect(try keys.network("n") == IPPrefix("fd00::/64"))
    for key in ["nothing", "unknown"] {
      #expect(!keys.has(key))
      #expect(
        try keys.string(key) == nil && keys.bool(key) == nil && keys.int(key, in: 0...1) == nil)
      #expect(try keys.keys(key) == nil && keys.list(key) == nil && keys.strings(key) == nil)
      #expect(try keys.address(key) == nil && keys.prefix(key) == nil && keys.network(key) == nil)
    }
  }

  @Test(arguments: [
    ("null", ""), ("true", "a boolean"), ("1", "a number"), ("\"x\"", "a string"),
    ("[]", "an array"),
    ("{}", "an object"),
  ])
  func `a value of another type is named with both types`(value: String, kind: String) throws {
    let keys = try keys("{\"k\":\(value)}")
    let reads: [(String, String, () throws -> Any?)] = [
      ("a string", "a string", { try keys.string("k") }),
      ("a boolean", "true or false", { try keys.bool("k") }),
      ("a number", "a number", { try keys.int("k", in: 0...9) }),
      ("an object", "an object", { try keys.keys("k") }),
      ("an array", "an array", { try keys.array("k") }),
      ("an array", "an array", { try keys.list("k") }),
      ("an array", "an array", { try keys.strings("k") }),
    ]
    for (own, expectedKind, read) in reads {
      let expected =
        value == "null" || own == kind
        ? "no error" : "key \"k\" must be \(expectedKind), not \(kind)"
      #expect(message(read) == expected)
    }
  }

  @Test func `the path leads to the key`() throws {
    let keys = try keys(
      "{\"ipam\":{\"ranges\":[[{\"subnet\":5}],7],\"names\":[\"x\",false],\"l\":[{},1]}}")
    let ipam = try #require(try keys.keys("ipam"))
    #expect(ipam.path(of: "ranges") == "ipam.ranges")
    #expect(
      message { try ipam.string("ranges") } == "key \"ipam.ranges\" must be a string, not an array")
    #expect(
      message { try ipam.strings("names") }
        == "key \"ipam.names[1]\" must be a string, not a boolean")
    #expect(message { try ipam.list("l") } == "key \"ipam.l[1]\" must be an object, not a number")
    let inner = Keys(JSONObject(("subnet", .number(5))), path: "ipam.ranges[0][0]")
    #expect(
      message { try inner.network("subnet") }
        == "key \"ipam.ranges[0][0].subnet\" must be a string, not a number")
  }

  @Test func `a number is whole and in range`() throws {
    for (text, value) in [("0", 0), ("9", 9)] {
      #expect(try keys("{\"k\":\(text)}").int("k", in: 0...9) == value)
    }
    for text in ["-1", "10", "1.0", "1e0", "99999999999999999999999", "1e999"] {
      let keys = try keys("{\"k\":\(text)}")
      #expect(
        message { try keys.int("k", in: 0...9) }
          == "key \"k\" is \(text), expected a whole number from 0 to 9")
    }
  }

  @Test func `a value that does not parse is quoted with what is expected`() throws {
    let keys = try keys("{\"a\":\"10.0.0\",\"p\":\"10.0.0.0\",\"n\":\"10.0.0.1/24\"}")
    #expect(message { try keys.address("a") } == "key \"a\" is \"10.0.0\", expected an IP address")
    #expect(
      message { try keys.prefix("p") }
        == "key \"p\" is \"10.0.0.0\", expected a prefix such as 100.100.1.0/24")
    #expect(
      message { try keys.network("n") }
        == "key \"n\" is 10.0.0.1/24, which has host bits set, expected 10.0.0.0/24")
  }

  @Test func `dns comes as it is where its members have their types`() throws {
    let good = "{\"domain\":\"x\",\"nameservers\":[\"10.0.0.1\"],\"more\":[1.0]}"
    #expect(try keys("{\"dns\":\(good)}").dns().map { JSON.object($0).text } == Array(good.utf8))
    #expect(try keys("{}").dns() == nil)
    for (bad, path) in [
      ("{\"domain\":1}", "dns.domain"), ("{\"search\":\"x\"}", "dns.search"),
      ("{\"options\":[1]}", "dns.options[0]"), ("{\"nameservers\":{}}", "dns.nameservers"),
    ] {
      let keys = try keys("{\"dns\":\(bad)}")
      #expect(message { try keys.dns() }.hasPrefix("key \"\(path)\" must be "))
    }
  }

  @Test func `a string with a NUL, where C would see its end, is refused`() throws {
    let keys = try keys("{\"k\":\"/etc/x\\u0000y\",\"l\":[\"a\\u0000\"]}")
    #expect(message { try keys.string("k") } == "key \"k\" has a NUL character in it")
    #expect(message { try keys.strings("l") } == "key \"l[0]\" has a NUL character in it")
  }
}

/// Keys that no plugin reads: those that look mistyped are refused, others are only listed.
@Suite struct KnownKeysTests {
  private let known = [KnownKeys("network peers mtu"), KnownKeys("name ipam")]

  private func keys(_ name: String) throws -> Keys {
    Keys(JSONObject((name, .null)), path: "a[1]")
  }

  @Test(
    arguments: [
      ("Network", "network"), ("NETWORK", "network"), ("peer", "peers"), ("peerss", "peers"),
      ("pears", "peers"), ("epers", "peers"), ("eers", "peers"), ("mut", "mtu"), ("Nam", "name"),
    ])
  func `a key that differs in case or by a letter is refused`(name: String, meant: String) throws {
    let error = #expect(throws: CNIError.self) { try keys(name).refuseMisspelled(known) }
    #expect(error?.code == .invalidConfiguration)
    #expect(error?.message == "key \"a[1].\(name)\" is unknown: did you mean \"\(meant)\"?")
  }

  @Test(arguments: ["networks2", "eper", "x", "", "mtnu2", "peersviax", "tmu2"])
  func `another unknown key is named`(name: String) throws {
    let unknown = try keys(name).refuseMisspelled(known)
    #expect(unknown == [UnknownKey(name: name, path: "a[1].\(name)", meant: nil)])
  }

  @Test(arguments: ["network", "peers", "ipam", "cni.dev/valid-attachments", "a/peer", "x.mtus"])
  func `a known key and one of a domain are fine`(name: String) throws {
    #expect(try keys(name).refuseMisspelled(known) == [])
  }
}
