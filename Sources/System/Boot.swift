// SPDX-License-Identifier: Apache-2.0
import Embedded

/// The time from one start of the machine to the next.
public enum Boot {
  /// The kernel's random name for it; nil where procfs does not say. See random(4), `boot_id`.
  public static let id: String? = {
    FileDescriptor.shortContents(of: "/proc/sys/kernel/random/boot_id").map { bytes in
      String(decoding: bytes.filter { $0 > 0x20 })
    }
  }()
}
