// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

@testable import CNI

/// Comparison with Foundation's parser: the same documents have the same meaning, and the same texts are
/// refused.
@Suite struct JSONAgainstFoundationTests {
  @Test func `generated documents mean to Foundation what they mean to us`() throws {
    var random = SeededRandom(seed: 1)
    for _ in 0..<400 {
      let document = random.document()
      let loose = Array(document.looseText(&random).utf8)
      #expect(try JSON(parsing: loose) == document)
      #expect(try JSON(parsing: document.text) == document)
      for text in [loose, document.text] {
        let theirs = try JSONSerialization.jsonObject(
          with: Data(text), options: [.fragmentsAllowed])
        #expect(isSame(document, theirs), "\(String(decoding: text, as: UTF8.self))")
      }
    }
  }

  @Test func `what Foundation writes we read`() throws {
    var random = SeededRandom(seed: 2)
    for _ in 0..<200 {
      let document = random.document()
      let theirs = try JSONSerialization.jsonObject(
        with: Data(document.text), options: [.fragmentsAllowed])
      for options in [[.fragmentsAllowed], [.fragmentsAllowed, .prettyPrinted]]
        as [JSONSerialization.WritingOptions]
      {
        let written = try JSONSerialization.data(withJSONObject: theirs, options: options)
        #expect(isSame(try JSON(parsing: Array(written)), theirs))
      }
    }
  }

  @Test func `mutated texts are accepted and refused as Foundation does`() throws {
    var random = SeededRandom(seed: 3)
    var (accepted, refused) = (0, 0)
    for _ in 0..<6000 {
      let text = mutated(random.document(depth: 3).text, &random)
      let ours = Result { () throws(JSONError) in try JSON(parsing: text) }
      let theirs = try? JSONSerialization.jsonObject(
        with: Data(text), options: [.fragmentsAllowed])
      switch (ours, theirs) {
      case (.success(let ours), let theirs?):
        accepted += 1
        #expect(isSame(ours, theirs), "\(String(decoding: text, as: UTF8.self))")
        #expect(try JSON(parsing: ours.text) == ours)
      case (.success(let ours), nil):
        #expect(ours.hasNumberBeyondDouble, "only we accept \(text)")
      case (.failure(let error), _?):
        #expect(isStricter(error, text), "only we refuse \(text): \(error)")
      case (.failure(let error), nil):
        refused += 1
        #expect(error.line >= 1 && error.column >= 1)
      }
    }
    #expect(accepted > 500 && refused > 2000, "accepted \(accepted), refused \(refused)")
  }

  /// Removes, inserts, repeats, swaps and cuts off bytes.
  private func mutated(_ text: [UInt8], _ random: inout SeededRandom) -> [UInt8] {
    var text = text
    for _ in 0..<1 + random.below(3) {
      let place = random.below(text.count + 1)
      switch random.below(6) {
      case 0: text.insert(random.one(of: Array("{}[]\",:\\eE+-.0123 \ntfnu/".utf8)), at: place)
      case 1: text.insert(UInt8(random.below(256)), at: place)
      case 2 where place < text.count: text.remove(at: place)
      case 3 where place < text.count: text[place] ^= 1 << UInt8(random.below(8))
      case 4: text.insert(contentsOf: text[..<place].suffix(random.below(8)), at: place)
      default: if random.below(3) == 0 { text = Array(text[..<place]) }
      }
    }
    return text
  }

  /// What only we refuse, on purpose: a name that occurs twice, a byte order mark, and encodings other
  /// than UTF-8.
  private func isStricter(_ error: JSONError, _ text: [UInt8]) -> Bool {
    error.problem.contains("occurs twice") || text.prefix(4).contains(0)
      || [0xfe, 0xff, 0xef].contains(text.first)
  }

  private func isSame(_ ours: JSON, _ theirs: Any) -> Bool {
    switch ours {
    case .null: return theirs is NSNull
    case .bool(let value): return theirs as? Bool == value
    case .number(let spelling):
      // Foundation converts through a decimal type, which may lose the last bit.
      guard let ours = Double(spelling), let theirs = theirs as? NSNumber else { return false }
      return abs(ours - theirs.doubleValue) <= abs(ours) * 1e-15
    case .string(let value):
      return (theirs as? String).map { Array($0.unicodeScalars) } == Array(value.unicodeScalars)
    case .array(let elements):
      guard let theirs = theirs as? [Any], theirs.count == elements.count else { return false }
      return zip(elements, theirs).allSatisfy { isSame($0, $1) }
    case .object(let object):
      // To Foundation two names with the same canonical form are one.
      let names = Set(object.members.map { $0.name })
      guard let theirs = theirs as? [String: Any], theirs.count == names.count else { return false }
      if names.count < object.members.count { return true }
      return object.members.allSatisfy { member in
        theirs[member.name].map { isSame(member.value, $0) } ?? false
      }
    }
  }
}

extension JSON {
  fileprivate var hasNumberBeyondDouble: Bool {
    switch self {
    case .number(let spelling): Double(spelling).map { !$0.isFinite } ?? true
    case .array(let elements): elements.contains { $0.hasNumberBeyondDouble }
    case .object(let object): object.members.contains { $0.value.hasNumberBeyondDouble }
    default: false
    }
  }
}
