// SPDX-License-Identifier: Apache-2.0
import CNetlink
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
      #expect(Clock.timestamp(time) == String(cString: text))
    }
  }

  @Test func `times are in UTC to the millisecond`() {
    #expect(Clock.timestamp(timespec(tv_sec: 0, tv_nsec: 999_999)) == "1970-01-01T00:00:00.000Z")
    #expect(
      Clock.timestamp(timespec(tv_sec: 1_700_000_000, tv_nsec: 12_345_678))
        == "2023-11-14T22:13:20.012Z")
    let before = Clock.microseconds()
    #expect(Clock.microseconds() >= before)
  }
}
