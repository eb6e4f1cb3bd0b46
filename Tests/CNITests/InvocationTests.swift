// SPDX-License-Identifier: Apache-2.0
import Addresses
import Testing

@testable import CNI

/// The input from a runtime: environment and stdin.
@Suite struct InvocationTests {
  private let complete = [
    "CNI_CONTAINERID": "pod", "CNI_NETNS": "/run/netns/pod", "CNI_IFNAME": "eth0",
  ]

  private func invocation(
    _ verb: Verb, _ variables: [String: String],
    _ input: String = "{\"cniVersion\":\"1.1.0\",\"name\":\"net\"}"
  ) throws(CNIError) -> Invocation {
    try Invocation(verb, input: Array(input.utf8), environment: { variables[$0] })
  }

  private func refusal(
    _ verb: Verb, _ variables: [String: String],
    _ input: String = "{\"cniVersion\":\"1.1.0\",\"name\":\"net\"}"
  ) -> CNIError? {
    do throws(CNIError) {
      _ = try invocation(verb, variables, input)
      return nil
    } catch {
      return error
    }
  }

  @Test func `an attachment is read whole`() throws {
    let call = try invocation(.add, complete)
    #expect(call.attachment?.containerID.description == "pod")
    #expect(call.attachment?.interface.description == "eth0")
    #expect(call.namespace == "/run/netns/pod")
    #expect(call.configuration.name.description == "net" && call.configuration.version == .v110)
  }

  @Test(arguments: [Verb.add, .check])
  func `all missing variables are in one message`(verb: Verb) throws {
    for variables in [[:], ["CNI_CONTAINERID": "", "CNI_NETNS": "", "CNI_IFNAME": ""]] {
      let error = try #require(refusal(verb, variables))
      #expect(error.code == .invalidEnvironment)
      #expect(
        error.message
          == "\(verb.rawValue) needs CNI_CONTAINERID, CNI_NETNS, CNI_IFNAME in the environment")
    }
    #expect(
      refusal(verb, ["CNI_NETNS": "/x"])?.message
        == "\(verb.rawValue) needs CNI_CONTAINERID, CNI_IFNAME in the environment")
  }

  @Test func `DEL needs no namespace, GC and STATUS need nothing`() throws {
    #expect(refusal(.del, ["CNI_CONTAINERID": "pod", "CNI_IFNAME": "eth0"]) == nil)
    #expect(
      refusal(.del, [:])?.message == "DEL needs CNI_CONTAINERID, CNI_IFNAME in the environment")
    for verb in [Verb.gc, .status] {
      let call = try invocation(verb, [:])
      #expect(call.attachment == nil && call.namespace == nil)
    }
  }

  @Test(arguments: [
    ("CNI_CONTAINERID", "../x"), ("CNI_CONTAINERID", "_x"), ("CNI_CONTAINERID", "a b"),
    ("CNI_IFNAME", ".."), ("CNI_IFNAME", "a/b"), ("CNI_IFNAME", "interface-too-long"),
    ("CNI_IFNAME", "a:0"),
  ])
  func `a variable that cannot be is named with its value`(name: String, value: String) throws {
    let error = try #require(refusal(.del, complete.merging([name: value]) { $1 }))
    #expect(error.code == .invalidEnvironment)
    #expect(error.message.hasPrefix("\(name) is \"\(value)\", expected "))
  }

  @Test(arguments: Verb.allCases, ProtocolVersion.allCases)
  func `a verb that is newer than the version is error 1`(verb: Verb, version: ProtocolVersion) {
    let error = refusal(verb, complete, "{\"cniVersion\":\"\(version)\",\"name\":\"net\"}")
    #expect(error?.code == (version < verb.since ? .incompatibleVersion : nil))
  }

  @Test(arguments: [
    ("", 6, "stdin is empty"), (" \n", 6, "stdin is empty"), ("{", 6, "not JSON"),
    ("[]", 6, "is an array"),
    ("7", 6, "is a number"), ("{}", 7, "\"name\" is required"),
    ("{\"name\":\"a/b\"}", 7, "\"name\" is \"a/b\""),
    ("{\"name\":1}", 7, "\"name\" must be"),
    ("{\"name\":\"n\",\"cniVersion\":\"9\"}", 1, "\"9\", which is not supported"),
    ("{\"name\":\"n\",\"cniVersion\":1}", 7, "\"cniVersion\" must be"),
    ("{\"name\":\"n\",\"type\":[]}", 7, "\"type\""),
    ("{\"name\":\"n\",\"logFile\":1}", 7, "\"logFile\" must be a string"),
  ])
  func `a configuration that cannot be says why`(input: String, code: UInt32, words: String) throws
  {
    let error = try #require(refusal(.add, complete, input))
    #expect(error.code.rawValue == code, "\(error)")
    #expect(error.message.contains(words), "\(error)")
  }

  @Test func `a DEL does without a log whose path cannot be`() {
    #expect(refusal(.del, complete, "{\"name\":\"n\",\"logFile\":1}") == nil)
  }

  @Test(arguments: [
    ("[]", 7, "\"prevResult\" must be an object"),
    ("{\"ips\":[{}]}", 7, "\"prevResult.ips[0].address\""),
    ("{\"cniVersion\":\"9\"}", 1, "\"prevResult.cniVersion\""),
  ])
  func `a previous result that cannot be is an error to ADD and not to DEL`(
    result: String, code: UInt32, words: String
  ) throws {
    let configuration = try invocation(
      .del, complete, "{\"name\":\"n\",\"cniVersion\":\"1.0.0\",\"prevResult\":\(result)}"
    ).configuration
    let error = try #require(#expect(throws: CNIError.self) { try configuration.prevResult() })
    #expect(error.code.rawValue == code && error.message.contains(words), "\(error)")
    #expect(configuration.readablePrevResult?.ips.isEmpty != false)
  }

  @Test func `an unsupported version names both sides`() throws {
    let error = try #require(refusal(.del, complete, "{\"name\":\"n\",\"cniVersion\":\"0.5.0\"}"))
    #expect(error.details == "the input says 0.5.0, the plugin supports \(ProtocolVersion.list)")
  }

  @Test(arguments: [
    "{\"name\":\"n\"}", "{\"name\":\"n\",\"cniVersion\":\"\"}",
    "{\"name\":\"n\",\"cniVersion\":null}",
  ])
  func `a missing version means the oldest`(input: String) throws {
    #expect(try invocation(.add, complete, input).configuration.version == .v010)
  }

  // MARK: CNI_ARGS and capabilities

  @Test func `CNI_ARGS are pairs, and the last of a key counts`() throws {
    let arguments = try invocation(
      .add, complete.merging(["CNI_ARGS": "IgnoreUnknown=1;A=x=y;K8S_POD_NAME=web;A=z;B=;"]) { $1 }
    ).arguments()
    #expect(arguments["A"] == "z" && arguments["B"] == "" && arguments["K8S_POD_NAME"] == "web")
    #expect(arguments["C"] == nil)
    #expect(try CNIArguments("A=x=y")["A"] == "x=y")
    let odd = complete.merging(["CNI_ARGS": "A=1;B"]) { $1 }
    #expect(refusal(.add, odd, "{\"name\":\"n\"}")?.code == .invalidEnvironment)
    // DEL ignores them.
    #expect(refusal(.del, odd, "{\"name\":\"n\"}") == nil)
  }

  @Test(arguments: [
    ("", true), ("\"capabilities\":{\"mac\":true},", true),
    ("\"capabilities\":{\"mac\":false},", false),
    ("\"capabilities\":{\"ips\":true},", false), ("\"capabilities\":{},", false),
  ])
  func `runtimeConfig counts for a capability that was declared`(declared: String, counts: Bool)
    throws
  {
    let configuration = try invocation(
      .add, complete, "{\"name\":\"n\",\(declared)\"runtimeConfig\":{\"mac\":\"x\"}}"
    ).configuration
    #expect(try configuration.runtimeConfig("mac")?.string("mac") == (counts ? "x" : nil))
    #expect(try configuration.runtimeConfig("ips") == nil)
  }

  @Test func `an ipam section without a type asks for nothing`() throws {
    for (section, type) in [
      ("{}", nil), ("{\"type\":\"\"}", nil), ("{\"type\":\"x\"}", "x"), ("null", nil),
    ] {
      let configuration = try invocation(.add, complete, "{\"name\":\"n\",\"ipam\":\(section)}")
        .configuration
      #expect(try configuration.ipam?.string("type") == type)
    }
  }

  @Test func `valid attachments are read, and an absent key is not an empty list`() throws {
    func valid(_ value: String) throws -> [CNI.Attachment]? {
      try invocation(.del, complete, "{\"name\":\"n\"\(value)}").configuration.validAttachments()
    }
    #expect(try valid("") == nil)
    #expect(try valid(",\"cni.dev/valid-attachments\":[]") == [])
    #expect(try valid(",\"cni.dev/valid-attachments\":null") == [])
    #expect(
      try valid(",\"cni.dev/valid-attachments\":[{\"containerID\":\"a\",\"ifname\":\"eth0\"}]")
        == [CNI.Attachment(containerID: ContainerID("a")!, interface: InterfaceName("eth0")!)])
    for entry in ["{}", "{\"containerID\":\"a\"}", "{\"containerID\":\"/\",\"ifname\":\"e\"}", "1"]
    {
      #expect(throws: CNIError.self) { try valid(",\"cni.dev/valid-attachments\":[\(entry)]") }
    }
  }
}
