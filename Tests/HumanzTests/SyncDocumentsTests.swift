// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNI
import Routes
import Testing

@testable import humanz

/// The input is cut into the same pieces wherever its reads are split.
@Suite struct SyncDocumentsTests {
  private typealias Piece = SyncDocuments.Piece

  /// The pieces of a text that arrives in these parts.
  private func pieces(_ parts: [ArraySlice<UInt8>]) throws(CNIError) -> [Piece] {
    var documents = SyncDocuments()
    var pieces: [Piece] = []
    for part in parts {
      documents.append(Array(part))
      while let piece = try documents.next() { pieces.append(piece) }
    }
    try documents.finish()
    return pieces
  }

  private func pieces(_ text: String) throws(CNIError) -> [Piece] {
    try pieces([Array(text.utf8)[...]])
  }

  private func object(_ text: String) throws -> JSONObject {
    try #require(try JSON(parsing: Array(text.utf8)).object)
  }

  private func message(_ text: String) -> String? {
    do throws(CNIError) {
      _ = try pieces(text)
      return nil
    } catch {
      return error.code == .undecodable ? error.message : "another code"
    }
  }

  private static let streams = [
    "",
    " \n\t\r ",
    "{}",
    "{}{}\n{} ",
    #"{"kind":"Node","metadata":{"name":"a"}}"# + "\n" + #"{"kind":"Node"}"#,
    #"{"items":[{"a":1},{"b":[{}]}],"kind":"List"}"#,
    #"{ "kind" : "List", "items" : [ {"a": {"items": [{}]}} , {} ] , "more": [{}, {"c": []}]}"#,
    #"{"items":[]}{"items":[{}]}"#,
    #"{"items":{"items":[{}]}}"#,
    #"{"x":[{"items":[{}]}],"items":[{}]}"#,
    #"{"items":[1,"}]",{"a":"]}{[\\\""},null]}"#,
    #"{"a\"items":[{}],"b\\":[{}],"items\\":[{}]}"#,
    #"{"a":"\"items\":[","items":[{"b":"\u007d"}]}"#,
    #"{"a":"ü☃😀","items":[{"ü":"}"}]}"#,
    "{\"items\"\n:\n[\n{\n\"a\"\n:\n1\n}\n,\n{\n}\n]\n}\n{\n}\n",
  ]

  @Test(arguments: streams) func `torn apart anywhere a stream is the same`(_ stream: String) throws
  {
    let text = Array(stream.utf8)
    let whole = try pieces(stream)
    for place in text.indices {
      #expect(try pieces([text[..<place], text[place...]]) == whole, "split at \(place)")
    }
    #expect(try pieces(text.indices.map { text[$0...$0] }) == whole)
  }

  @Test func `documents come one by one`() throws {
    #expect(
      try pieces("{\"a\":1} {\"b\":2}\n{}").map { $0.json }
        == [object("{\"a\":1}"), object("{\"b\":2}"), object("{}")])
    #expect(try pieces(" \n ") == [])
  }

  @Test func `the items of a document come before it, each for itself`() throws {
    let text = #"{"items": [{"a": [{}]}, {"b": {"items": [{}]}}], "kind": "List"}"#
    #expect(
      try pieces(text) == [
        Piece(json: object(#"{"a": [{}]}"#), isItem: true, line: 1),
        Piece(json: object(#"{"b": {"items": [{}]}}"#), isItem: true, line: 1),
        Piece(json: object(#"{"items": [0, 0], "kind": "List"}"#), isItem: false, line: 1),
      ])
  }

  @Test(
    arguments: [
      #"{"things":[{}]}"#, #"{"items":{"a":{}}}"#, #"{"a":{"items":[{}]}}"#,
      #"{"a":[{"items":[{}]}]}"#, #"{"my\"items":[{}]}"#, #"{"Items":[{}]}"#,
      #"{"items":[1,"{}"]}"#,
    ]) func `what is no item stays where it is`(_ text: String) throws
  {
    #expect(try pieces(text) == [Piece(json: object(text), isItem: false, line: 1)])
  }

  @Test func `a piece knows its line`() throws {
    let text = "\n{\"items\":[\n\n{},{\n},\n{}]}\n\n{}"
    #expect(try pieces(text).map { $0.line } == [4, 4, 6, 2, 8])
  }

  @Test(
    arguments: [
      ("[]", "line 1, column 1: a JSON object is expected here"),
      ("{}\n  error: no", "line 2, column 3: a JSON object is expected here"),
      ("{}}", "line 1, column 3: a JSON object is expected here"),
      ("{\"a\"", "line 1, column 5: the input ends inside the object that begins in line 1"),
      (
        "{}\n{\n\"a\":[", "line 3, column 6: the input ends inside the object that begins in line 2"
      ),
      ("{\"a\":]}", "line 1, column 6: a value is expected here"),
      ("{\"items\":[{}{}]}", "line 1, column 12: "),
      ("{\"items\":[{},]}", "line 1, column "),
      ("{\"items\":[\n {\"a\":tru}]}", "line 2, column 10: 'true' is expected"),
      ("{\"items\":[{\"a\":tru}]}", "line 1, column 19: 'true' is expected"),
      ("{\"items\":[{\n},{\n}\n], x}", "line 4, column 4: a member name in quotes is expected"),
      ("{\"a\":1,\"a\":2}", "line 1, column 8: the member name \"a\" occurs twice in one object"),
    ]) func `an error is placed in the whole input`(_ text: String, _ words: String)
  {
    #expect(message(text)?.hasPrefix("stdin: \(words)") == true, "\(message(text) ?? "no error")")
  }

  @Test func `cut off anywhere a document is an error`() throws {
    let text = Array(#"{"items":[{"a":"]}\""},{}],"kind":"List"}"#.utf8)
    for count in 1..<text.count {
      #expect(throws: CNIError.self, "\(count) bytes") { try pieces([text[..<count]]) }
    }
  }

  @Test func `an object without end is given up`() {
    var documents = SyncDocuments()
    documents.append(Array("{\"a\":\"".utf8))
    let part = [UInt8](repeating: UInt8(ascii: "a"), count: 1 << 20)
    #expect(throws: CNIError.self) {
      for _ in 0..<20 {
        while try documents.next() != nil {}
        documents.append(part)
      }
    }
  }
}
