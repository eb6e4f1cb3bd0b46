// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

@testable import humanz

/// The count of errors in a log that grows, is shortened or is replaced.
@Suite struct CountedLogTests {
  private func line(_ code: Int) -> String {
    "2026-01-01T00:00:00Z humanz-ipam ADD error=\(code)\n"
  }

  private func count(_ path: String) -> [String: Int] {
    Dictionary(
      uniqueKeysWithValues: CountedLog.errors(in: path).all.map {
        ($0.words.joined(separator: " "), $0.count)
      })
  }

  @Test func `each whole line is counted once`() throws {
    let file = FileManager.default.temporaryDirectory.appending(path: UUID().uuidString)
    defer { try? FileManager.default.removeItem(at: file) }
    #expect(count(file.path) == [:])
    try line(7).write(to: file, atomically: false, encoding: .utf8)
    #expect(count(file.path) == ["humanz-ipam 7": 1])
    let log = try FileHandle(forWritingTo: file)
    try log.seekToEnd()
    try log.write(contentsOf: Data((line(7) + line(11).dropLast(4)).utf8))
    #expect(count(file.path) == ["humanz-ipam 7": 2])
    try log.write(contentsOf: Data(line(11).suffix(4).utf8))
    for _ in 0..<2 { #expect(count(file.path) == ["humanz-ipam 7": 2, "humanz-ipam 11": 1]) }
    // More than one read.
    try log.write(contentsOf: Data(String(repeating: line(5), count: 5000).utf8))
    #expect(count(file.path)["humanz-ipam 5"] == 5000)
    try log.truncate(atOffset: 0)
    #expect(count(file.path) == [:])
    try line(3).write(to: file, atomically: true, encoding: .utf8)
    #expect(count(file.path) == ["humanz-ipam 3": 1])
  }
}
