// SPDX-License-Identifier: Apache-2.0
import Embedded

/// `; did you mean "NAME"?` for the name most similar to a mistyped word; empty if none is similar.
func suggestion(for word: String, among names: [String]) -> String {
  var best: (name: String, distance: Int)?
  for name in names {
    let distance = editDistance(word, name)
    // At most a third of the letters may differ.
    guard distance * 3 <= max(word.utf8.count, name.utf8.count), distance < best?.distance ?? .max
    else { continue }
    best = (name, distance)
  }
  return best.map { "; did you mean \"\($0.name)\"?" } ?? ""
}

/// The number of letters to add, leave out, change or swap with their neighbour. Case does not
/// matter.
private func editDistance(_ left: String, _ right: String) -> Int {
  let (left, right) = (left.utf8.map(uppercase), right.utf8.map(uppercase))
  // The names are short: a longer word is none of them.
  guard left.count <= 64, right.count <= 64 else { return .max / 3 }
  var before: [Int] = []
  var previous = Array(0...right.count)
  for (row, letter) in left.enumerated() {
    var current = [row + 1]
    for (column, other) in right.enumerated() {
      var distance = min(
        previous[column + 1] + 1, current[column] + 1, previous[column] + (letter == other ? 0 : 1))
      if row > 0, column > 0, letter == right[column - 1], left[row - 1] == other {
        distance = min(distance, before[column - 1] + 1)
      }
      current.append(distance)
    }
    before = previous
    previous = current
  }
  return previous[right.count]
}
