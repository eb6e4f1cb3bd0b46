// SPDX-License-Identifier: Apache-2.0
import Addresses
import Tables
import Testing

@testable import CNI

/// Reading and writing of results in every version's form.
@Suite struct ResultTests {
  private static let versions = ProtocolVersion.allCases

  private func read(_ text: String, _ version: ProtocolVersion = .newest) throws -> CNIResult {
    let json = try JSON(parsing: Array(text.utf8))
    return try CNIResult(Keys(try #require(json.object)), version: version)
  }

  private func text(_ result: CNIResult, _ version: ProtocolVersion) -> String {
    String(decoding: result.json(version: version).text, as: UTF8.self)
  }

  @Test(arguments: ResultTable.conversions)
  func `a result of one version becomes one of another`(_ row: Case) {
    #expect(row.failure == nil)
  }

  @Test(arguments: versions)
  func `a result without cniVersion is of the configuration's version`(version: ProtocolVersion)
    throws
  {
    let example = ResultTable.example(version)
    let bare = example.replacing("\"cniVersion\":\"\(version)\",", with: "")
    let written = text(try read(bare, version), version)
    #expect(ResultTable.sorted(written) == ResultTable.sorted(example))
  }

  @Test func `lists in a result of a version without lists are in no other version's`() throws {
    for list in ["5", "[{\"address\":\"10.1.2.3\"}]"] {
      let result = try read(
        "{\"cniVersion\":\"0.2.0\",\"interfaces\":\(list),\"ips\":\(list),\"routes\":\(list)}")
      #expect(text(result, .v100) == "{\"cniVersion\":\"1.0.0\",\"dns\":{}}")
    }
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

  @Test func `an empty gateway is none, as in Go`() throws {
    let result = try read(
      """
      {"cniVersion":"1.0.0","ips":[{"address":"10.0.0.2/24","gateway":""}],
      "routes":[{"dst":"10.0.0.0/8","gw":""}]}
      """)
    #expect(result.ips[0].gateway == nil && result.routes[0].gateway == nil)
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
