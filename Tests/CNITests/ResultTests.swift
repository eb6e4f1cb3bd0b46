// SPDX-License-Identifier: Apache-2.0
import Addresses
import Testing

@testable import CNI

/// Results in and out of every version's form.
@Suite struct ResultTests {
  private static let versions = ProtocolVersion.allCases
  private static let pairs = versions.flatMap { from in versions.map { (from, $0) } }

  private func read(_ text: String, _ version: ProtocolVersion = .newest) throws -> CNIResult {
    let json = try JSON(parsing: Array(text.utf8))
    return try CNIResult(Keys(try #require(json.object)), version: version)
  }

  private func text(_ result: CNIResult, _ version: ProtocolVersion) -> String {
    String(decoding: result.json(version: version).text, as: UTF8.self)
  }

  /// The members at the top in the order of their names.
  private func sorted(_ text: String) throws -> [String] {
    try #require(try JSON(parsing: Array(text.utf8)).object).members
      .map { "\($0.name): " + String(decoding: $0.value.text, as: UTF8.self) }.sorted()
  }

  /// The same result as each version writes it.
  /// - Parameter interfaces: whether the interfaces are known, which 0.1.0 and 0.2.0 cannot say.
  private func example(_ version: ProtocolVersion, interfaces: Bool = true) -> String {
    if version.hasPairResult {
      return """
        {"cniVersion":"\(version)",\
        "ip4":{"ip":"10.1.2.3/24","gateway":"10.1.2.1","x":1.50,\
        "routes":[{"dst":"0.0.0.0/0"},{"dst":"10.9.0.0/16","gw":"10.1.2.9","y":"é"}]},\
        "ip6":{"ip":"fd00::3/64","routes":[{"dst":"fd01::/48"}]},\
        "dns":{"nameservers":["10.1.2.1"],"z":[]},"other":{"deep":[1e0]}}
        """
    }
    let v4 = version.namesFamilies ? "\"version\":\"4\"," : ""
    let v6 = version.namesFamilies ? "\"version\":\"6\"," : ""
    let index = interfaces ? "\"interface\":1," : ""
    let list =
      interfaces
      ? """
      "interfaces":[{"name":"cni0","mac":"02:00:00:00:00:01"},\
      {"name":"eth0","sandbox":"/run/netns/a","i":0}],
      """ : ""
    return """
      {"cniVersion":"\(version)",\(list)\
      "ips":[{\(v4)\(index)"address":"10.1.2.3/24","gateway":"10.1.2.1","x":1.50},\
      {\(v6)\(index)"address":"fd00::3/64"}],\
      "routes":[{"dst":"0.0.0.0/0"},{"dst":"10.9.0.0/16","gw":"10.1.2.9","y":"é"},\
      {"dst":"fd01::/48"}],\
      "dns":{"nameservers":["10.1.2.1"],"z":[]},"other":{"deep":[1e0]}}
      """
  }

  @Test(arguments: pairs)
  func `a result of one version becomes one of another`(from: ProtocolVersion, to: ProtocolVersion)
    throws
  {
    let result = try read(example(from))
    let expected = example(to, interfaces: !from.hasPairResult)
    #expect(try sorted(text(result, to)) == sorted(expected))
    if from.hasPairResult == to.hasPairResult { #expect(text(result, to) == expected) }
  }

  @Test(arguments: versions)
  func `a result without cniVersion is of the configuration's version`(version: ProtocolVersion)
    throws
  {
    let bare = example(version).replacing("\"cniVersion\":\"\(version)\",", with: "")
    #expect(try sorted(text(read(bare, version), version)) == sorted(example(version)))
  }

  @Test(arguments: versions)
  func `members keep their places`(version: ProtocolVersion) throws {
    let example =
      version.hasPairResult
      ? """
      {"z":0,"ip4":{"y":1,"gateway":"10.1.2.1","ip":"10.1.2.3/24"},"cniVersion":"\(version)","a":1,"dns":{}}
      """
      : """
      {"z":0,"routes":[{"gw":"10.1.2.1","a":0,"dst":"10.0.0.0/8"}],"ips":[{"y":1,"gateway":"10.1.2.1",\
      \(version.namesFamilies ? "\"version\":\"4\"," : "")"address":"10.1.2.3/24"}],"a":1,\
      "cniVersion":"\(version)","interfaces":[{"mac":"02:00:00:00:00:01","name":"x"}],"dns":{}}
      """
    #expect(text(try read(example), version) == example)
  }

  @Test func `what was written by hand comes out as it was`() throws {
    let odd = """
      {"cniVersion":"1.0.0","ips":[{"address":"FD00:0::3/64","interface":-1}],\
      "interfaces":[{"name":"e","mac":"02-00-00-00-00-0A","sandbox":"","mtu":1e3}],\
      "routes":[{"dst":"fd01::1/48","priority":null}],"dns":{}}
      """
    let result = try read(odd)
    #expect(text(result, .v100) == odd)
    #expect(result.ips[0].interface == nil)
    #expect(result.interfaces[0].sandbox == nil)
    #expect(result.interfaces[0].mac == MACAddress("02:00:00:00:00:0a"))
    let pair = "{\"cniVersion\":\"0.2.0\",\"ip6\":{\"ip\":\"FD00:0::3/64\"},\"dns\":{}}"
    #expect(text(try read(pair), .v020) == pair)
  }

  @Test func `a second address of a family does not fit the oldest versions`() throws {
    let result = try read(
      "{\"cniVersion\":\"1.0.0\",\"ips\":[{\"address\":\"10.0.0.2/24\"},{\"address\":\"10.0.1.2/24\"}]}"
    )
    #expect(
      text(result, .v010)
        == "{\"cniVersion\":\"0.1.0\",\"ip4\":{\"ip\":\"10.0.0.2/24\"},\"dns\":{}}")
  }

  @Test func `what we make is what the specification says`() throws {
    var result = CNIResult()
    result.interfaces = [
      ResultInterface(
        name: InterfaceName("cni0")!, mac: MACAddress("02:00:00:00:00:01"), mtu: 1500),
      ResultInterface(name: InterfaceName("eth0")!, mac: nil, sandbox: "/run/netns/a"),
    ]
    result.ips = [
      ResultIP(IPPrefix("10.0.0.2/24")!, gateway: IPAddress("10.0.0.1"), interface: 1)
    ]
    result.routes = [ResultRoute(.everything(.v4), gateway: IPAddress("10.0.0.1"))]
    #expect(
      text(result, .v110) == """
        {"cniVersion":"1.1.0","interfaces":[{"name":"cni0","mac":"02:00:00:00:00:01","mtu":1500},\
        {"name":"eth0","sandbox":"/run/netns/a"}],\
        "ips":[{"interface":1,"address":"10.0.0.2/24","gateway":"10.0.0.1"}],\
        "routes":[{"dst":"0.0.0.0/0","gw":"10.0.0.1"}],"dns":{}}
        """)
    let found = result.interface(InterfaceName("eth0")!, sandbox: "/run/netns/a")
    #expect(found?.index == 1)
    #expect(result.interface(InterfaceName("eth0")!, sandbox: "/run/netns/b") == nil)
    #expect(result.interface(InterfaceName("cni0")!, sandbox: "") == nil)
    result.ips[0].gateway = nil
    result.ips[0].interface = nil
    #expect(text(result, .v110).contains("\"ips\":[{\"address\":\"10.0.0.2/24\"}]"))
  }

  @Test func `a route's further fields are read`() throws {
    let route = try read(
      """
      {"cniVersion":"1.1.0","routes":[{"dst":"10.0.0.0/8","gw":"10.1.0.1","mtu":1400,"advmss":1360,
      "priority":4294967295,"table":100,"scope":253}]}
      """
    ).routes[0]
    #expect(route.mtu == 1400 && route.advmss == 1360 && route.priority == .max)
    #expect(route.table == 100 && route.scope == 253)
  }

  @Test(arguments: [
    ("{\"ips\":{}}", "\"ips\" must be an array"), ("{\"ips\":[1]}", "\"ips[0]\" must be an object"),
    ("{\"ips\":[{}]}", "\"ips[0].address\" is required"),
    ("{\"ips\":[{\"address\":\"10.0.0.1\"}]}", "\"ips[0].address\" is \"10.0.0.1\""),
    (
      "{\"ips\":[{\"address\":\"10.0.0.1/8\",\"gateway\":5}]}",
      "\"ips[0].gateway\" must be a string"
    ),
    ("{\"ips\":[{\"address\":\"10.0.0.1/8\",\"interface\":1.5}]}", "\"ips[0].interface\" is 1.5"),
    ("{\"routes\":[{}]}", "\"routes[0].dst\" is required"),
    ("{\"routes\":[{\"dst\":\"10.0.0.0/8\",\"gw\":\"fd00::1\"}]}", "\"routes[0].gw\" is fd00::1"),
    ("{\"routes\":[{\"dst\":\"10.0.0.0/8\",\"mtu\":-1}]}", "\"routes[0].mtu\" is -1"),
    ("{\"routes\":[{\"dst\":\"10.0.0.0/8\",\"scope\":256}]}", "\"routes[0].scope\" is 256"),
    ("{\"interfaces\":[null]}", "\"interfaces[0]\" must be an object"),
    ("{\"dns\":[]}", "\"dns\" must be an object"),
    ("{\"cniVersion\":1}", "\"cniVersion\" must be a string"),
  ])
  func `what is no result names the key`(text: String, words: String) throws {
    #expect {
      _ = try read(text)
    } throws: { error in
      let error = error as? CNIError
      return error?.code == .invalidConfiguration && error!.message.contains(words)
    }
  }

  @Test func `a version we do not speak is error 1`() throws {
    #expect {
      _ = try read("{\"cniVersion\":\"0.5.0\"}")
    } throws: { error in
      (error as? CNIError)?.code == .incompatibleVersion
    }
  }
}
