// SPDX-License-Identifier: Apache-2.0
import Embedded

/// One run of the machine, from its start to its end.
public enum Boot {
  /// The random ID that the kernel gives each boot; nil if procfs does not have it. See random(4), `boot_id`.
  public static let id: String? = {
    FileDescriptor.shortContents(of: "/proc/sys/kernel/random/boot_id").map { bytes in
      String(decoding: bytes.filter { $0 > 0x20 })
    }
  }()
}
