// SPDX-License-Identifier: Apache-2.0
import CNetlink
import Tables
import Testing

@testable import System

@Suite struct ClockTests {
  @Test func `a time is written as the C library has it in UTC`() {
    var generator = SystemRandomNumberGenerator()
    let edges = [0, 951_782_399, 951_782_400, 1_709_164_800, 4_107_542_399, 4_107_542_400]
    for second in edges
      + (0..<2000).map({ _ in Int.random(in: 0...8_000_000_000, using: &generator) })
    {
      var seconds = second
      var parts = tm()
      gmtime_r(&seconds, &parts)
      var text = [CChar](repeating: 0, count: 64)
      strftime(&text, text.count, "%Y-%m-%dT%H:%M:%S.007Z", &parts)
      let time = timespec(tv_sec: second, tv_nsec: 7_999_999)
      #expect(
        Clock.timestamp(time)
          == String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self))
    }
  }

  @Test(arguments: TimeTable.times)
  func `times are in UTC to the millisecond`(_ row: Case) {
    #expect(row.failure == nil)
  }

  @Test func `microseconds only go forward`() {
    let before = Clock.microseconds()
    #expect(Clock.microseconds() >= before)
  }
}
