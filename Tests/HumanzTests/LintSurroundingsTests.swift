// SPDX-License-Identifier: Apache-2.0
import CNI
import Testing

@testable import humanz

@Suite struct LintSurroundingsTests {
  @Test(arguments: [
    ("containerd github.com/containerd/containerd 1.6.20~ds1 1.6.20~ds1-1+deb12u3\n", "1.6.20~ds1"),
    ("containerd containerd.io 1.6.28 ae07eda36dd25f8a1b98dfbf587313b99c0190bb\n", "1.6.28"),
    (
      "containerd github.com/containerd/containerd v1.7.13 7c3aca7a610df76212171d200ca3811ff6096eb8\n",
      "1.7.13"
    ),
    (
      "containerd github.com/containerd/containerd/v2 v2.0.0 207ad711eabd375a01713109a8a197d197ff6542\n",
      "2.0.0"
    ),
    ("podman version 4.3.1\n", "4.3.1"),
    ("containerd github.com/containerd/containerd 7c3aca7a610df762 12345\n", nil),
    ("", nil),
  ]) func `a runtime's version is the first word that looks like one`(
    _ printed: String, _ version: String?
  ) {
    #expect(LintSurroundings.version(in: printed) == version)
  }

  @Test(arguments: [
    ("containerd", "1.5.18", ProtocolVersion.v040), ("containerd", "1.6.20~ds1", .v100),
    ("containerd", "1.7.13", .v100), ("containerd", "2.0.0", .v110), ("podman", "3.4.4", .v040),
    ("podman", "4.3.1", .v100), ("podman", "5.0.0", .v100),
  ]) func `a runtime's release has a newest version of the protocol`(
    _ runtime: String, _ release: String, _ version: ProtocolVersion
  ) {
    #expect(LintSurroundings.supported(by: runtime, release) == version)
  }
}
