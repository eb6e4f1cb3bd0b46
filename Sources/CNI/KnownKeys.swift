// SPDX-License-Identifier: Apache-2.0
import Embedded

/// The names of the keys that an object of a configuration may have.
///
/// A plugin ignores what it does not know. A mistyped key would be ignored too: with `peer` instead
/// of `peers` a node would lose its routes to all peers.
public struct KnownKeys: Sendable {
  private let names: StaticString

  /// The keys with these names.
  /// - Parameter names: with one space between.
  public init(_ names: StaticString) { self.names = names }

  /// Those of every plugin's configuration, those that runtimes add, and `logFile` of this suite. Source:
  /// specification section 1, "Plugin configuration objects", and section 3.
  public static var ofEveryPlugin: KnownKeys {
    KnownKeys(
      """
      cniVersion cniVersions name type capabilities runtimeConfig args prevResult ipam dns ipMasq \
      disableCheck disableGC logFile
      """)
  }

  /// The first name that `isMatch` accepts, in UTF-8; nil if it accepts none.
  fileprivate func first(
    where isMatch: (UnsafeBufferPointer<UInt8>) -> Bool
  ) -> UnsafeBufferPointer<UInt8>? {
    let all = UnsafeBufferPointer(start: names.utf8Start, count: names.utf8CodeUnitCount)
    var start = 0
    while start < all.count {
      let end = all[start...].firstIndex(of: UInt8(ascii: " ")) ?? all.count
      let name = UnsafeBufferPointer(rebasing: all[start..<end])
      if isMatch(name) { return name }
      start = end + 1
    }
    return nil
  }
}

/// A key that the plugin does not know.
public struct UnknownKey: Equatable {
  /// As it stands in the configuration.
  public let name: String
  /// The whole path, as in `peers[0].vai`.
  public let path: String
  /// The known key that differs from it only in case or by one letter; nil if there is none.
  public let meant: String?
}

extension Keys {
  /// The keys of the object that are not `known`. A name with a dot or a slash in it, such as
  /// `cni.dev/valid-attachments`, belongs to the owner of the domain, and is left out.
  public func unknown(besides known: [KnownKeys]) -> [UnknownKey] {
    object.members.compactMap { member in
      let name = Array(member.name.utf8)
      for known in known where known.first(where: { $0.elementsEqual(name) }) != nil { return nil }
      if name.contains(UInt8(ascii: ".")) || name.contains(UInt8(ascii: "/")) { return nil }
      var meant: String?
      for known in known where meant == nil {
        meant = known.first { differsByOneLetter($0, name) }.map { String(decoding: Array($0)) }
      }
      return UnknownKey(name: member.name, path: path(of: member.name), meant: meant)
    }
  }

  /// Refuses a key that is most likely mistyped: it differs from a known one only in case or by one
  /// letter.
  /// - Returns: the other unknown keys, for the log.
  /// - Throws: error 7 naming the key and the one that was meant.
  @discardableResult
  public func refuseMisspelled(_ known: [KnownKeys]) throws(CNIError) -> [UnknownKey] {
    let unknown = unknown(besides: known)
    for key in unknown {
      guard let meant = key.meant else { continue }
      throw CNIError(
        .invalidConfiguration, "key \"\(key.path)\" is unknown: did you mean \"\(meant)\"?")
    }
    return unknown
  }
}

/// Whether two words are the same but for case and one letter: a letter is missing, added or another, or two
/// adjacent ones are exchanged.
private func differsByOneLetter(_ one: UnsafeBufferPointer<UInt8>, _ other: [UInt8]) -> Bool {
  let (one, other) = (one.map { lowercased($0) }, other.map { lowercased($0) })
  var (start, end) = (0, 0)
  while start < min(one.count, other.count), one[start] == other[start] { start += 1 }
  while end < min(one.count, other.count) - start,
    one[one.count - 1 - end] == other[other.count - 1 - end]
  {
    end += 1
  }
  switch (one.count - start - end, other.count - start - end) {
  case (0...1, 0...1): return true
  case (2, 2): return one[start] == other[start + 1] && one[start + 1] == other[start]
  default: return false
  }
}

func lowercased(_ character: UInt8) -> UInt8 {
  (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(character) ? character | 0x20 : character
}
