// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import CNI

/// Encoding and decoding of errors in the specification's form.
@Suite struct ErrorTests {
  @Test func `an error is the specification's object`() throws {
    let error = CNIError(.invalidConfiguration, "key \"mtu\" is -1", details: "more")
    #expect(
      String(decoding: error.json(version: "1.0.0").text, as: UTF8.self) == """
        {"cniVersion":"1.0.0","code":7,"msg":"key \\"mtu\\" is -1","details":"more"}
        """)
    #expect(CNIError(error.json(version: "1.0.0")) == error)
    let bare = CNIError(.kernel, "no")
    #expect(bare.json(version: "0.1.0").object?["details"] == nil)
    #expect(CNIError(bare.json(version: "0.1.0")) == bare)
  }

  @Test(arguments: [
    "1", "{}", "{\"code\":1}", "{\"msg\":\"x\"}", "{\"code\":\"1\",\"msg\":\"x\"}",
    "{\"code\":-1,\"msg\":\"x\"}",
    "{\"code\":4294967296,\"msg\":\"x\"}", "{\"code\":1,\"msg\":null}",
  ])
  func `what is not an error is nil`(text: String) throws {
    #expect(CNIError(try JSON(parsing: Array(text.utf8))) == nil)
  }

  @Test func `the codes are those that are documented`() {
    let codes: [CNIError.Code] = [
      .incompatibleVersion, .unsupportedField, .unknownContainer, .invalidEnvironment, .io,
      .undecodable,
      .invalidConfiguration, .tryAgainLater, .notAvailable, .limitedConnectivity, .kernel, .exists,
      .checkFailed,
      .delegate, .several,
    ]
    #expect(
      codes.map { $0.rawValue } == [1, 2, 3, 4, 5, 6, 7, 11, 50, 51, 100, 101, 102, 103, 104])
  }

  @Test func `several errors become one that lists them all`() {
    let first = CNIError(.kernel, "one", details: "why")
    let second = CNIError(.io, "two")
    #expect(CNIError.combined([]) == nil)
    #expect(CNIError.combined([first]) == first)
    let both = CNIError.combined([first, second])
    #expect(both?.code == .several && both?.message == "2 errors, the first: one")
    #expect(both?.details == "why; two")
    #expect(CNIError.combined([first, first])?.code == .kernel)
  }
}
