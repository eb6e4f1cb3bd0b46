// SPDX-License-Identifier: Apache-2.0
import CNetlink
import Embedded
import System

package enum TimeTable {
  /// Times in UTC, to the millisecond.
  package static let times: [Case] = [
    (-1, 999_999_999, "1970-01-01T00:00:00.000Z"),
    (-62_135_596_800, 0, "1970-01-01T00:00:00.000Z"),
    (0, 999_999, "1970-01-01T00:00:00.000Z"),
    (951_782_399, 0, "2000-02-28T23:59:59.000Z"), (951_782_400, 0, "2000-02-29T00:00:00.000Z"),
    (1_700_000_000, 12_345_678, "2023-11-14T22:13:20.012Z"),
    (4_107_542_399, 999_999_999, "2100-02-28T23:59:59.999Z"),
    (4_107_542_400, 0, "2100-03-01T00:00:00.000Z"),
  ].map { (seconds, nanoseconds, expected) in
    Case("\(seconds)", is: expected) {
      Clock.timestamp(timespec(tv_sec: seconds, tv_nsec: nanoseconds))
    }
  }
}
