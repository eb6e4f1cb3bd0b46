// SPDX-License-Identifier: Apache-2.0
import CNI
import Embedded

/// Rows of words in columns, for a person.
struct Table {
  /// The largest width of a table without --wide, in columns of the terminal.
  static let width = 120
  private static let gap = 2
  /// Words are not cut shorter than this.
  private static let shortest = 12

  private var rows: [[String]]

  init(_ header: [String]) { rows = [header] }

  mutating func append(_ row: [String]) {
    // Without a mark, the next column's word would seem to be in the empty cell.
    rows.append(row.map { $0.isEmpty ? "-" : printable($0) })
  }

  var isEmpty: Bool { rows.count == 1 }

  /// The table without those of the named columns that are empty.
  func withoutEmpty(_ titles: String...) -> Table {
    let kept = rows[0].indices.filter { column in
      !titles.contains(rows[0][column]) || rows.dropFirst().contains { $0[column] != "-" }
    }
    var table = self
    table.rows = rows.map { row in kept.map { row[$0] } }
    return table
  }

  /// The lines: every column but the last is as wide as its widest word.
  /// - Parameter wide: whether lines may be longer than `width`; otherwise the widest words are cut,
  ///   and end in `…`.
  func lines(wide: Bool) -> [String] {
    var widths = rows[0].indices.map { column in rows.map { columns(of: $0[column]) }.max() ?? 0 }
    let gaps = Table.gap * (widths.count - 1)
    while !wide, widths.reduce(gaps, +) > Table.width,
      let widest = widths.indices.max(by: { widths[$0] < widths[$1] }),
      widths[widest] > Table.shortest
    {
      widths[widest] -= 1
    }
    return rows.map { row in
      var line = ""
      for (column, word) in row.enumerated() {
        let word = cut(word, to: widths[column])
        line += word
        if column < row.count - 1 {
          line += String(repeating: " ", count: widths[column] - columns(of: word) + Table.gap)
        }
      }
      return line
    }
  }

  /// Each scalar counts as one column, which holds for names.
  private func columns(of word: String) -> Int { word.unicodeScalars.count }

  private func cut(_ word: String, to width: Int) -> String {
    guard columns(of: word) > width else { return word }
    var short = String.UnicodeScalarView()
    for scalar in word.unicodeScalars.prefix(width - 1) { short.append(scalar) }
    return String(short) + "…"
  }
}

extension String {
  /// The first 12 characters of a container ID, as other tools show it; all of it if `wide`.
  func shortened(_ wide: Bool) -> String {
    wide || utf8.count <= 12 ? self : String(decoding: Array(utf8)[..<12])
  }
}
