// SPDX-License-Identifier: Apache-2.0
/// Replaces the characters of a text that control a terminal or change the order of others: control
/// characters (C0 with tab and line feed, DEL, C1), bidirectional marks, embeddings, overrides and isolates,
/// and the line and paragraph separators of Unicode. All other bytes stay as they are.
/// - Parameters:
///   - text: UTF-8.
///   - replacement: gets the one to three bytes of such a character; returns what takes their place.
@inline(never)
public func replacingTerminalControls(
  _ text: [UInt8], _ replacement: (ArraySlice<UInt8>) -> [UInt8]
) -> [UInt8] {
  var clean: [UInt8] = []
  clean.reserveCapacity(text.count)
  var index = 0
  while index < text.count {
    let size = terminalControlSize(at: index, of: text)
    if size > 0 {
      clean += replacement(text[index..<index + size])
      index += size
    } else {
      clean.append(text[index])
      index += 1
    }
  }
  return clean
}

/// The number of bytes of the terminal control that begins at an index; 0 if none does.
private func terminalControlSize(at index: Int, of text: [UInt8]) -> Int {
  func byte(_ offset: Int) -> UInt8 { index + offset < text.count ? text[index + offset] : 0 }
  return switch (byte(0), byte(1), byte(2)) {
  case (0..<0x20, _, _), (0x7f, _, _): 1
  // C1; the Arabic letter mark.
  case (0xc2, 0x80...0x9f, _), (0xd8, 0x9c, _): 2
  // Left-to-right and right-to-left marks; line and paragraph separators, embeddings and overrides; isolates.
  case (0xe2, 0x80, 0x8e...0x8f), (0xe2, 0x80, 0xa8...0xae), (0xe2, 0x81, 0xa6...0xa9): 3
  default: 0
  }
}
