# SPDX-License-Identifier: Apache-2.0
"""Runs a program for which one of the kernel's system calls fails, as with a runtime's seccomp filter.

    seccomp.py NUMBER ERRNO PROGRAM [ARGUMENT ...]

See seccomp(2): the call of the number fails with the error; all others are permitted.
"""

import ctypes
import os
import struct
import sys

_NO_NEW_PRIVILEGES, _SET_SECCOMP, _FILTER = 38, 22, 2
_LOAD, _EQUAL, _RETURN = 0x20, 0x15, 0x06
_ALLOW, _FAIL = 0x7fff0000, 0x00050000


def main(number, error, *command):
    instructions = b"".join(struct.pack("=HBBI", *one) for one in (
        (_LOAD, 0, 0, 0), (_EQUAL, 0, 1, number), (_RETURN, 0, 0, _FAIL | error), (_RETURN, 0, 0, _ALLOW)))
    kept = ctypes.create_string_buffer(instructions, len(instructions))
    program = struct.pack("@HP", len(instructions) // 8, ctypes.addressof(kept))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0) or libc.prctl(_SET_SECCOMP, _FILTER, program, 0, 0):
        raise OSError(ctypes.get_errno(), "seccomp")
    os.execv(command[0], command)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:])
