// SPDX-License-Identifier: Apache-2.0
import CNI
import Embedded

/// A command: what its help says and what it does.
struct Command {
  let name: String
  /// One line for the list of commands.
  let summary: String
  /// Its command lines, without `humanz NAME`.
  let forms: [String]
  let operands: ClosedRange<Int>
  let options: [Option]
  /// Further help, in whole lines.
  let notes: String
  /// Runs the command; returns the exit status, 0 or 1.
  let run: (Arguments) throws(CNIError) -> Int32

  init(
    _ name: String, _ summary: String, forms: [String], operands: ClosedRange<Int> = 0...0,
    options: [Option] = [], notes: String = "",
    run: @escaping (Arguments) throws(CNIError) -> Int32
  ) {
    self.name = name
    self.summary = summary
    self.forms = forms
    self.operands = operands
    self.options = options
    self.notes = notes
    self.run = run
  }

  /// Such as `humanz leases`; the command without a name is `humanz`.
  var title: String { name.isEmpty ? "humanz" : "humanz \(name)" }

  var usage: [String] {
    forms.enumerated().map { index, form in
      "\(index == 0 ? "usage: " : "       ")\(title)\(form.isEmpty ? "" : " \(form)")"
    }
  }

  var help: [String] {
    var lines = usage + ["", "\(summary)."]
    if !notes.isEmpty { lines += ["", notes] }
    lines.append("")
    let all = options + [Option("-h, --help", nil, "show this help")]
    let width = all.map { $0.spelling.utf8.count }.max() ?? 0
    for option in all {
      let spelling = option.spelling
      let gap = String(repeating: " ", count: width - spelling.utf8.count + 2)
      lines.append("  \(spelling)\(gap)\(option.help)")
    }
    return lines
  }
}
