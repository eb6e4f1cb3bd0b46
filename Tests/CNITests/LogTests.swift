// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

@testable import CNI

/// The log has one line for each call, cannot fail a call, and is written only to the configured place.
@Suite final class LogTests {
  private let folder = FileManager.default.temporaryDirectory
    .appendingPathComponent("log-\(UInt64.random(in: 0 ... .max))")
  private var path: String { folder.appendingPathComponent("log").path }

  init() throws {
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: false)
  }

  deinit { try? FileManager.default.removeItem(at: folder) }

  private func logged(_ name: String = "log") -> String {
    (try? String(contentsOf: folder.appendingPathComponent(name), encoding: .utf8)) ?? ""
  }

  private func mode(_ path: String) throws -> Int {
    let attributes = try FileManager.default.attributesOfItem(atPath: path)
    return attributes[.posixPermissions] as! Int
  }

  @Test func `a line has the time before it and is root's alone`() throws {
    let log = Log(path: path)
    log.write("one")
    log.write("two\nlines\u{7}")
    let time = #/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/#
    #expect(
      logged().wholeMatch(of: /(\S+) one\n(\S+) two lines \n/).map {
        $0.1.wholeMatch(of: time) != nil
      } == true)
    #expect(try mode(path) == 0o600)
  }

  @Test func `lines that are written at once stay whole`() async {
    let path = path
    await withTaskGroup { group in
      for number in 0..<8 {
        group.addTask {
          for _ in 0..<50 { Log(path: path).write(String(repeating: "\(number)", count: 300)) }
        }
      }
    }
    let lines = logged().split(separator: "\n")
    #expect(lines.count == 400)
    #expect(
      lines.allSatisfy { line in
        let text = line.split(separator: " ").last ?? ""
        return text.count == 300 && Set(text).count == 1
      })
  }

  @Test func `a link is not followed`() throws {
    let target = folder.appendingPathComponent("target")
    try Data("precious".utf8).write(to: target)
    try FileManager.default.createSymbolicLink(atPath: path, withDestinationPath: target.path)
    Log(path: path).write("line")
    #expect(logged("target") == "precious")
  }

  @Test func `a file that has another name is not written to`() throws {
    let target = folder.appendingPathComponent("target")
    try Data("precious".utf8).write(to: target)
    try FileManager.default.linkItem(atPath: target.path, toPath: path)
    Log(path: path).write("line")
    #expect(logged("target") == "precious")
  }

  @Test func `what cannot be logged is not`() throws {
    #expect(mkfifo(path, 0o600) == 0)
    Log(path: path).write("nobody reads this")
    Log(path: "").write("line")
    Log(path: folder.path).write("line")
    Log(path: folder.appendingPathComponent("missing/log").path).write("line")
    Log(path: "/dev/full").write("line")
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["log"])
  }

  @Test func `the line of a call tells which attachment it was for`() throws {
    let variables = ["CNI_CONTAINERID": "pod", "CNI_NETNS": "/run/netns/pod", "CNI_IFNAME": "eth0"]
    let input = "{\"cniVersion\":\"1.0.0\",\"name\":\"net\",\"logFile\":\"\(path)\"}"
    let invocation = try Invocation(.add, input: Array(input.utf8), environment: { variables[$0] })
    var call = LogEntry(plugin: "humanz-x", verb: "ADD")
    call.describe(invocation)
    call.addresses = ["10.0.0.2/24", "fd00::2/64"]
    call.write(since: nil)
    call.addresses = []
    call.error = CNIError(.kernel, "no\nway", details: "why")
    call.write(since: nil)
    let lines = logged().split(separator: "\n").map { $0.drop { $0 != " " } }
    #expect(
      lines == [
        " humanz-x ADD network=net container=pod interface=eth0 addresses=10.0.0.2/24,fd00::2/64 duration=0us",
        " humanz-x ADD network=net container=pod interface=eth0 duration=0us error=100 no way (why)",
      ])
  }
}
