// SPDX-License-Identifier: Apache-2.0
import CNI
import Embedded
import Netlink
import System

/// Cuts a stream of JSON objects into pieces, and parses each as soon as it is complete.
///
/// A piece is an object of the stream, or an object in its `items` array: of a list of thousands of nodes only
/// one is in memory at a time. Each byte is looked at twice: here, to find the end of its piece, and by the JSON
/// parser.
struct SyncDocuments {
  struct Piece: Equatable {
    /// In a document with `items` each item is replaced by `0`; it was a piece of its own.
    let json: JSONObject
    let isItem: Bool
    /// The line where it begins, from 1.
    let line: Int
  }

  /// In bytes. etcd stores objects of at most 1.5 MiB.
  private static let sizeLimit = 16 << 20

  private struct Place {
    var line = 1
    var column = 1
  }

  /// The bytes that have arrived, and how many of them were read.
  private var input: [UInt8] = []
  private var position = 0
  private var place = Place()

  private var document: [UInt8] = []
  private var documentPlace = Place()
  private var item: [UInt8] = []
  private var itemPlace = Place()

  /// The number of open brackets.
  private var depth = 0
  private var isInString = false
  private var isEscaped = false
  /// Whether the second open bracket is that of `items`.
  private var isInItems = false

  /// Adds bytes that have arrived. Call it only after `next` has returned nil.
  mutating func append(_ bytes: [UInt8]) {
    input = bytes
    position = 0
  }

  /// The next piece; nil if more bytes are needed.
  /// - Throws: error 6 with line and column in the stream.
  mutating func next() throws(CNIError) -> Piece? {
    while position < input.count {
      let byte = input[position]
      position += 1
      let isWhole = try take(byte)
      if byte == 0x0a {
        place = Place(line: place.line + 1, column: 1)
      } else {
        place.column += 1
      }
      if isWhole { return try finishPiece() }
    }
    return nil
  }

  /// - Throws: error 6 if the stream ends inside a document.
  func finish() throws(CNIError) {
    guard depth == 0 else {
      throw SyncDocuments.error(
        place, "the input ends inside the object that begins in line \(documentPlace.line)")
    }
  }

  /// Reads a byte.
  /// - Returns: whether it ends a piece.
  private mutating func take(_ byte: UInt8) throws(CNIError) -> Bool {
    let isItem =
      isInItems && (depth > 2 || depth == 2 && byte == UInt8(ascii: "{") && !isInString)
    if depth == 0 {
      if byte == 0x20 || byte == 0x0a || byte == 0x0d || byte == 0x09 { return false }
      guard byte == UInt8(ascii: "{") else {
        throw SyncDocuments.error(place, "a JSON object is expected here")
      }
      documentPlace = place
    } else if isItem, depth == 2 {
      itemPlace = place
    }
    guard item.count + document.count < SyncDocuments.sizeLimit else {
      throw SyncDocuments.error(place, "the object has more than \(SyncDocuments.sizeLimit) bytes")
    }
    if isItem {
      item.append(byte)
      // Keeps the line numbers of errors after the item right.
      if byte == 0x0a { document.append(byte) }
    } else {
      document.append(byte)
    }
    if isInString {
      if isEscaped {
        isEscaped = false
      } else if byte == UInt8(ascii: "\\") {
        isEscaped = true
      } else {
        isInString = byte != UInt8(ascii: "\"")
      }
      return false
    }
    switch byte {
    case UInt8(ascii: "\""):
      isInString = true
    case UInt8(ascii: "{"), UInt8(ascii: "["):
      depth += 1
      if depth == 2 { isInItems = byte == UInt8(ascii: "[") && followsItems }
    case UInt8(ascii: "}"), UInt8(ascii: "]"):
      depth -= 1
      if depth == 1 { isInItems = false }
      return depth == 0 || isItem && depth == 2
    default:
      break
    }
    return false
  }

  /// Whether the `[` that was just read begins the value of a member `items`.
  private var followsItems: Bool {
    var before = document.dropLast()
    while let last = before.last, last <= 0x20 { before.removeLast() }
    guard before.popLast() == UInt8(ascii: ":") else { return false }
    while let last = before.last, last <= 0x20 { before.removeLast() }
    return String(decoding: before.suffix(7)).isSame(as: "\"items\"")
      && before.dropLast(7).last != UInt8(ascii: "\\")
  }

  /// Parses the piece that is complete.
  private mutating func finishPiece() throws(CNIError) -> Piece {
    let isItem = depth > 0
    let place = isItem ? itemPlace : documentPlace
    let text = isItem ? item : document
    if isItem {
      document.append(UInt8(ascii: "0"))
      item.removeAll(keepingCapacity: true)
    } else {
      document.removeAll(keepingCapacity: true)
    }
    let json: JSON
    do throws(JSONError) { json = try JSON(parsing: text) } catch {
      let column = error.line == 1 ? place.column + error.column - 1 : error.column
      throw SyncDocuments.error(
        Place(line: place.line + error.line - 1, column: column), error.problem)
    }
    return Piece(json: json.object ?? JSONObject(), isItem: isItem, line: place.line)
  }

  private static func error(_ place: Place, _ problem: String) -> CNIError {
    CNIError(.undecodable, "stdin: line \(place.line), column \(place.column): \(problem)")
  }
}
