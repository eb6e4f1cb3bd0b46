// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

/// The inputs in the tree, once each: those that libFuzzer found to reach something new, and those that broke
/// something before.
@Suite struct ReplayTests {
  private static let corpus = URL(fileURLWithPath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent("corpus")

  private static func inputs(_ target: String) throws -> [URL] {
    try FileManager.default.contentsOfDirectory(
      at: corpus.appendingPathComponent(target), includingPropertiesForKeys: nil)
  }

  @Test(arguments: FuzzTarget.all.map { $0.name })
  func `what must hold for any input holds for those in the tree`(_ name: String) throws {
    let target = try #require(FuzzTarget.all.first { $0.name == name })
    let inputs = try ReplayTests.inputs(name)
    #expect(inputs.count > 5)
    for input in inputs {
      let bytes = Array(try Data(contentsOf: input))
      #expect(throws: Never.self, "\(input.lastPathComponent)") { try target.run(bytes) }
    }
  }

  @Test func `every folder of the corpus is a target's`() throws {
    let folders = try FileManager.default.contentsOfDirectory(atPath: ReplayTests.corpus.path)
    #expect(Set(folders) == Set(FuzzTarget.all.map { $0.name }))
  }
}
