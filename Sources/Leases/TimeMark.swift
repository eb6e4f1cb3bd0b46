import CNetlink
import Embedded
import Node
import System

/// What a file is known by without reading it: nanoseconds of its time of modification that say what
/// it was made of. Another writer leaves the same ones once in a thousand million times.
struct TimeMark: Equatable {
  private let nanoseconds: Int

  init(_ bytes: some Sequence<UInt8>) {
    let hash = bytes.reduce(0xcbf2_9ce4_8422_2325 as UInt64) {
      ($0 ^ UInt64($1)) &* 0x100_0000_01b3
    }
    nanoseconds = Int(hash % 999_999_999) + 1
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
  /// Marks a file. The corresponding C function is `utimensat`.
  borrowing func set(_ mark: TimeMark, on name: String) throws(SystemError) {
    let time = mark.time
    guard utimensat(rawValue, name, [time, time], AT_SYMLINK_NOFOLLOW) == 0 else {
      throw .last("mark \(path(of: name))")
    }
  }
}
