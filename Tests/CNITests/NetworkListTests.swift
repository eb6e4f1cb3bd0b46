// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

@testable import CNI

/// Reading conflists as libcni reads them.
@Suite struct NetworkListTests {
  private func list(_ keys: String) throws -> NetworkList {
    let text = "{\"cniVersion\":\"0.4.0\",\"name\":\"net\",\(keys),\"plugins\":[{\"type\":\"x\"}]}"
    return try NetworkList(parsing: Array(text.utf8), path: "file")
  }

  @Test(arguments: [("true", true), ("false", false), ("\"true\"", true), ("\"False\"", false)])
  func `disableCheck and disableGC may be strings`(text: String, expected: Bool) throws {
    let list = try list("\"disableCheck\":\(text),\"disableGC\":\(text)")
    #expect(list.disableCheck == expected && list.disableGC == expected)
  }

  @Test(arguments: ["\"yes\"", "1", "\"\""])
  func `other values are refused`(text: String) {
    #expect(throws: CNIError.self) { _ = try list("\"disableCheck\":\(text)") }
  }

  @Test func `a runtime reads names with an ending and something before it`() throws {
    let folder = FileManager.default.temporaryDirectory.appending(path: UUID().uuidString)
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: false)
    defer { try? FileManager.default.removeItem(at: folder) }
    for name in ["b.conf", "a.json", "c.conflist", "conf", "json", "d.conf.", "e.txt"] {
      try Data().write(to: folder.appending(path: name))
    }
    #expect(NetworkList.fileNames(in: folder.path) == ["a.json", "b.conf", "c.conflist"])
  }
}
