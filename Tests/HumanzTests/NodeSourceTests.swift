// SPDX-License-Identifier: Apache-2.0
import System
import Testing

@testable import humanz

@Suite struct NodeSourceTests {
  private let second = 1_000_000

  @Test func `after a watch that took its whole time the pause is a second again`() throws {
    // Any program that prints nothing and succeeds.
    var source = NodeSource("true", nil, watches: true)
    for _ in 0..<3 { source.fail("a test") }
    #expect(try #require(source.deadline) - Clock.microseconds() > 3 * second)
    let later = Clock.microseconds() + 60 * second
    guard case .begins = try source.advance(at: later) else {
      Issue.record("kubectl was not started")
      return
    }
    // The list ends at once, and the watch begins.
    guard case .ended = try source.read(version: "1"),
      case .ended = try source.advance(at: later + 601 * second)
    else {
      Issue.record("the watch did not end")
      return
    }
    source.fail("a test")
    #expect(try #require(source.deadline) - Clock.microseconds() <= second)
  }
}
