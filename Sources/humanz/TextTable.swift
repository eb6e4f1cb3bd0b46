import CNI

/// Rows of words as lines for a person, each column but the last as wide as its widest word.
public func textTable(_ rows: [[String]]) -> [String] {
  var widths: [Int] = []
  for row in rows {
    for (column, word) in row.enumerated() {
      if column == widths.count { widths.append(0) }
      widths[column] = max(widths[column], word.utf8.count)
    }
  }
  var lines: [String] = []
  for row in rows {
    var line = ""
    for (column, word) in row.enumerated() {
      line += word
      if column < row.count - 1 {
        line += String(repeating: " ", count: widths[column] - word.utf8.count + 2)
      }
    }
    lines.append(line)
  }
  return lines
}
