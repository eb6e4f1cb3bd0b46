// SPDX-License-Identifier: Apache-2.0
import CNI
import CNetlink
import Embedded
import System

/// The result's `dns`, from a file in the form of resolv.conf(5).
/// - Throws: error 5 if the file cannot be read.
func resolverConfiguration(at path: String) throws(CNIError) -> JSONObject {
  let bytes: [UInt8]
  do { bytes = try FileDescriptor.contents(of: path, limit: 1 << 20) } catch {
    throw CNIError(error)
  }
  var nameservers: [JSON] = []
  var domain: JSON?
  var search: [JSON] = []
  var options: [JSON] = []
  for line in String(decoding: bytes).fields(separatedBy: "\n") {
    let words = line.words
    guard let keyword = words.first, words.count > 1 else { continue }
    let values = words.dropFirst().map { JSON.string($0) }
    switch keyword {
    case "nameserver": nameservers.append(values[0])
    case "domain": domain = values[0]
    case "search": search = values
    case "options": options += values
    default: break
    }
  }
  return JSONObject(
    ("nameservers", nameservers.isEmpty ? nil : .array(nameservers)), ("domain", domain),
    ("search", search.isEmpty ? nil : .array(search)),
    ("options", options.isEmpty ? nil : .array(options)))
}
