// SPDX-License-Identifier: Apache-2.0

/// The hash of bytes by FNV-1a, 64 bits. It is the same in every build and on every machine, and not
/// cryptographic.
@inline(never)
public func fnv1a(_ bytes: [UInt8]) -> UInt64 {
  var hash: UInt64 = 0xcbf2_9ce4_8422_2325
  for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
  return hash
}
