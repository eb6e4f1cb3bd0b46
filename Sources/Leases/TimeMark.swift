// SPDX-License-Identifier: Apache-2.0
import CNetlink
import Embedded
import System

/// A content fingerprint kept in the modification time's nanoseconds: shows without reading a file whether
/// it has a certain content. Another writer leaves the same nanoseconds by chance once in a billion times.
struct TimeMark: Equatable {
  private let nanoseconds: Int

  /// The fingerprint of the bytes: FNV-1a.
  init(_ bytes: some Sequence<UInt8>) {
    nanoseconds = Int(fnv1a(Array(bytes)) % 999_999_999) + 1
  }

  func isOn(_ file: stat?) -> Bool { file?.st_mtim.tv_nsec == nanoseconds }

  /// The time now, with the mark in it.
  fileprivate var time: timespec {
    var now = timespec()
    clock_gettime(CLOCK_REALTIME, &now)
    now.tv_nsec = nanoseconds
    return now
  }
}

extension Directory {
  /// Puts a mark on a file. The corresponding C function is `utimensat`.
  borrowing func set(_ mark: TimeMark, on name: String) throws(SystemError) {
    let time = mark.time
    guard utimensat(rawValue, name, [time, time], AT_SYMLINK_NOFOLLOW) == 0 else {
      throw .last("set the time of \(path(of: name))")
    }
  }
}
