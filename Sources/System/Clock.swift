// SPDX-License-Identifier: Apache-2.0
import CNetlink
import Embedded

/// CLOCK_REALTIME and CLOCK_MONOTONIC.
public enum Clock {
  /// The current time, in the form of `timestamp(_:)`.
  public static func timestamp() -> String {
    var now = timespec()
    clock_gettime(CLOCK_REALTIME, &now)
    return timestamp(now)
  }

  /// A time in UTC to the millisecond, as RFC 3339 writes it: `2026-01-31T12:00:00.000Z`.
  /// A time before 1970, which a file can have, becomes the start of 1970.
  public static func timestamp(_ time: timespec) -> String {
    if time.tv_sec < 0 { return timestamp(timespec()) }
    let second = time.tv_sec % 86_400
    let ofDay = [second / 3600, second / 60 % 60, second % 60]
    let milliseconds = String(UInt64(time.tv_nsec / 1_000_000), digits: 3)
    return "\(joined(date(day: time.tv_sec / 86_400), "-"))T\(joined(ofDay, ":")).\(milliseconds)Z"
  }

  /// Year, month and day of a day counted from 1970, in the Gregorian calendar. (The C
  /// library's `gmtime` reads the file of the local time zone in each process.)
  private static func date(day: Int) -> [Int] {
    // Years begin in March here, so that a leap day is a year's last one; eras are of 400 years.
    let (era, dayOfEra) = (day + 719_468).quotientAndRemainder(dividingBy: 146_097)
    let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let monthFromMarch = (5 * dayOfYear + 2) / 153
    let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
    return [
      era * 400 + yearOfEra + (month <= 2 ? 1 : 0), month,
      dayOfYear - (153 * monthFromMarch + 2) / 5 + 1,
    ]
  }

  /// Microseconds of the monotonic clock, since an arbitrary moment. The corresponding C function is
  /// `clock_gettime` with CLOCK_MONOTONIC.
  public static func microseconds() -> Int {
    var now = timespec()
    clock_gettime(CLOCK_MONOTONIC, &now)
    return now.tv_sec * 1_000_000 + now.tv_nsec / 1000
  }

  private static func joined(_ numbers: [Int], _ separator: String) -> String {
    numbers.map { String(UInt64($0), digits: 2) }.joined(separator: separator)
  }
}
