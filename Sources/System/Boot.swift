// SPDX-License-Identifier: Apache-2.0
import Embedded

/// The time from one start of the machine to the next.
public enum Boot {
  /// The kernel's random name for it; nil where procfs does not say. See random(4), `boot_id`.
  public static let id: String? = {
    let path = "/proc/sys/kernel/random/boot_id"
    guard let bytes = try? FileDescriptor.contents(of: path, isShort: true) else { return nil }
    return String(decoding: bytes.filter { $0 > 0x20 })
  }()
}
