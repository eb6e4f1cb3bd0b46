// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import humanz

@Suite struct RepairLogTests {
  private let minute = 60_000_000

  @Test func `the first pass is not written`() {
    var log = RepairLog()
    #expect(log.shown(of: ["one", "two"], at: 0) == [])
    #expect(log.shown(of: ["one"], at: 1) == ["one"])
  }

  @Test func `a line is written once a minute, whatever comes between`() {
    var log = RepairLog()
    _ = log.shown(of: [], at: 0)
    #expect(log.shown(of: ["one"], at: 0) == ["one"])
    #expect(log.shown(of: ["two"], at: 1) == ["two"])
    #expect(log.shown(of: ["one", "two"], at: 2) == [])
    #expect(log.shown(of: ["one", "two"], at: minute) == ["one"])
    #expect(log.shown(of: ["two"], at: minute + 1) == ["two"])
  }

  @Test func `a pass writes at most four lines`() {
    var log = RepairLog()
    _ = log.shown(of: [], at: 0)
    #expect(log.shown(of: ["1", "2", "3", "4"], at: 0).count == 4)
    #expect(
      log.shown(of: ["5", "6", "7", "8", "9"], at: 0) == ["5", "6", "7", "and 2 more repairs"])
  }
}
