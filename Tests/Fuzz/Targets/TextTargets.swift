// SPDX-License-Identifier: Apache-2.0
import Addresses
import Embedded
import System

@testable import CNI

/// A JSON text: what is read is written, and read again as the same.
func fuzzJSON(_ input: [UInt8]) throws(Violation) {
  let value: JSON
  do throws(JSONError) { value = try JSON(parsing: input) } catch {
    let lines = input.count { $0 == 0x0a } + 1
    try require((1...lines).contains(error.line), "line \(error.line) of \(lines)")
    try require((1...input.count + 1).contains(error.column), "column \(error.column)")
    return
  }
  let text = value.text
  guard let again = try? JSON(parsing: text) else {
    throw Violation(description: "what was written is not JSON")
  }
  try require(again == value && again.text == text, "another value comes back")
  try require(text.count <= 6 * input.count, "\(input.count) bytes become \(text.count)")
  read(value)
}

/// Reads each member by each type, as a configuration's keys are read.
private func read(_ value: JSON) {
  use(value.int)
  for element in value.array ?? [] { read(element) }
  guard let object = value.object else { return }
  let keys = Keys(object, path: "input")
  for member in object.members {
    let name = member.name
    use(try? keys.string(name))
    use(try? keys.bool(name))
    use(try? keys.int(name, in: -5...5))
    use(try? keys.strings(name))
    use(try? keys.list(name))
    use(try? keys.addresses(name, .v4))
    use(try? keys.networks(name))
    use(try? keys.prefix(name))
    read(member.value)
  }
  use(try? keys.dns())
  use(try? keys.refuseMisspelled([.ofEveryPlugin]))
}

/// Addresses, prefixes and names, one a line: what is read is written, and read again as the same.
func fuzzTexts(_ input: [UInt8]) throws(Violation) {
  for line in lines(input) {
    if let address = IPAddress(line) {
      try require(IPAddress(address.description) == mapped(address), "\(line) is \(address)")
      try require(IPAddress(bytes: address.bytes) == address, "the bytes of \(address)")
      if let next = address.advanced(by: 1) { try require(address < next, "after \(address)") }
    }
    if let prefix = IPPrefix(line) {
      try require(IPPrefix(prefix.description) == prefix, "\(line) is \(prefix)")
      try require(
        prefix.network.isNetwork && prefix.contains(prefix.first) && prefix.contains(prefix.last)
          && prefix.first <= prefix.address && prefix.address <= prefix.last,
        "the ends of \(prefix)")
    }
    if let mac = MACAddress(line) {
      try require(MACAddress(mac.description) == mac, "\(line) is \(mac)")
    }
    if let name = InterfaceName(line) {
      try require(name.description == line && line.utf8.count <= 15, "the name \(line)")
    }
    if let id = ContainerID(line) {
      try require(id.description.utf8.count <= ContainerID.limit, "the ID \(line)")
    }
    if let name = NetworkName(line) {
      try require(!name.description.contains("/"), "the network \(line)")
    }
    if let version = ProtocolVersion(line) {
      try require(version.description == line, "the version \(line)")
    }
    // The standard library's own reads the same.
    let number: Int? = Int(line)
    try require(number == Int(line, radix: 10), "\(line) is \(text(number))")
    use(PodName(namespace: line, name: line))
    use(line.words)
  }
}

/// An address as its text is read: an IPv4-mapped one as the IPv4 address in it.
private func mapped(_ address: IPAddress) -> IPAddress {
  address.family == .v6 && address.value >> 32 == 0xffff
    ? IPAddress(.v4, address.value & 0xffff_ffff) : address
}

/// The CNI_ variables, one a line in the specification's order, and behind them the configuration.
func fuzzInvocation(_ input: [UInt8]) throws(Violation) {
  let names = ["CNI_COMMAND", "CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_ARGS"]
  let parts = input.split(
    separator: 0x0a, maxSplits: names.count, omittingEmptySubsequences: false)
  let variables = parts.map { String(decoding: $0, as: UTF8.self) }
  guard parts.count > names.count, let verb = Verb(rawValue: variables[0]) else { return }
  guard
    let invocation = try? Invocation(
      verb, input: Array(parts[names.count]),
      environment: { name in names.firstIndex(of: name).map { variables[$0] } })
  else { return }
  if verb == .add || verb == .check {
    try require(
      invocation.attachment != nil && invocation.namespace != nil,
      "\(verb) without an attachment")
    guard (try? invocation.arguments()) != nil else {
      throw Violation(description: "CNI_ARGS are not refused")
    }
  }
  if let pod = invocation.pod { try require(pod.description.utf8.count <= 507, "\(pod)") }
  use(invocation.configuration.readablePrevResult)
  use(try? invocation.configuration.validAttachments())
  use(try? invocation.configuration.prevResult())
  let requested = try? invocation.requested(
    "mac", argument: "MAC", fromKeys: { (keys: Keys) throws(CNIError) in try keys.string("mac") },
    fromText: { (text: String) throws(CNIError) in text })
  use(requested)
}

private func text(_ number: Int?) -> String { number.map { "\($0)" } ?? "no number" }
