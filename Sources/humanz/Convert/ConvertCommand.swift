// SPDX-License-Identifier: Apache-2.0
import CNI
import Embedded
import System

/// `humanz convert`: prints another plugin's configuration as a conflist of ours; names on stderr what has
/// no counterpart.
func convertFile(_ arguments: Arguments) throws(CNIError) -> Int32 {
  let path = arguments.operands[0]
  let list = try NetworkList(path: path)
  var conversion = Conversion(list)
  try conversion.convert()
  for note in conversion.notes { Output.complain(note) }
  try Output.print(conversion.conflist.indentedLines)
  return 0
}

extension JSON {
  /// The value as lines, indented by two spaces a level; a value without objects is on one line.
  var indentedLines: [String] {
    switch self {
    case .object(let object) where !object.isEmpty:
      return JSON.block(
        "{", "}",
        object.members.map { member in
          var lines = member.value.indentedLines
          let name = String(decoding: JSON.string(member.name).text)
          lines[0] = "\(name): \(lines[0])"
          return lines
        })
    case .array(let elements) where elements.contains(where: { $0.hasObject }):
      return JSON.block("[", "]", elements.map { $0.indentedLines })
    default:
      return [String(decoding: text)]
    }
  }

  private static func block(_ start: String, _ end: String, _ elements: [[String]]) -> [String] {
    var lines = [start]
    for (index, element) in elements.enumerated() {
      lines += element.map { "  \($0)" }
      if index < elements.count - 1 { lines[lines.count - 1] += "," }
    }
    return lines + [end]
  }

  private var hasObject: Bool {
    switch self {
    case .object: true
    case .array(let elements): elements.contains { $0.hasObject }
    default: false
    }
  }
}
