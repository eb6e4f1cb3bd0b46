# SPDX-License-Identifier: Apache-2.0
"""Values that no key of a configuration and no variable expects; those of keys are JSON text."""

import json

# The size of a huge value in bytes. It shows that a key costs no more time than reading its value; `test_limits.py`
# goes to the largest size that is read.
HUGE = 1 << 20

WRONG_TYPES = ["null", "true", "false", "0", "1", "-1", "1.5", '""', '"x"', "[]", "{}", "[[]]", "[{}]", "[null]",
               '[""]', '{"x":1}', '[[[{"subnet":1}]]]', '{"type":"x","subnet":{}}']

NUMBERS = ["-0", "1e0", "1e400", "1E-400", "65535", "65536", "4095", "4294967295", "4294967296",
           "2147483648", "-2147483649", "9223372036854775807", "9223372036854775808",
           "-9223372036854775808", "-9223372036854775809", "340282366920938463463374607431768211456",
           "9" * 5000, "-" + "9" * 400, "0." + "0" * 400 + "1"]

TEXTS = [text if isinstance(text, str) else text.decode("latin-1") for text in [
    # NUL, escaped and raw; control characters, escapes of a terminal, marks of direction.
    '"\\u0000"', '"a\\u0000b"', '"/run/a\\u0000/b"', b'"a\x00b"', '"\\u001b[2J\\u0007"', '"\\u009b31m"', '"\\n\\r\\t"',
    '"a\\nb"', '"\\u202eabc"', '"\u00e9"', '"\\ud83d\\ude00"',
    # Invalid UTF-8: a truncated character, an overlong form, a surrogate, beyond the last plane, unpaired surrogates.
    b'"\xff"', b'"\xc0\x80"', b'"\xed\xa0\x80"', b'"\xf5\x80\x80\x80"', b'"\xe2\x82"', '"\\ud800"', '"\\udc00\\ud800"',
    '"\\ud83dx"', '"\\u12"', '"\\x41"',
    # Paths and patterns.
    '".."', '"."', '"../../../run/x"', '"a/b"', '"run/x"', '"%d%s%n"', '" "', '"-h"', '"$(id)"', '"a;b=c"', '"eth0"',
    '"lo"', '"all"', '"default"', '"' + "x" * 15 + '"', '"' + "x" * 16 + '"', '"' + "x" * 300 + '"',
    '"/run/' + "x" * 300 + '"', '"/run/' + "x/" * 3000 + '"']]

ADDRESSES = [json.dumps(text) for text in [
    "0.0.0.0/0", "::/0", "10.1.0.0/0", "10.1.0.1/24", "10.1.0.0/33", "10.1.0.0/-1", "10.1.0.0/024", "10.1.0.0/",
    "/24", "10.1.0.0/24/24", "10.1.0.0/24 ", " 10.1.0.0/24", "10.1/16", "010.1.0.0/24", "0x0a.1.0.0/8", "10.1.0.256",
    "10.1.0.0/99999999999999999999", "255.255.255.255", "255.255.255.255/32", "255.255.255.254/31", "0.0.0.0",
    "127.0.0.0/8", "127.0.0.1", "224.0.0.0/4", "224.0.0.1", "169.254.0.0/16", "10.1.0.0/31", "10.1.0.0/30",
    "::", "::1", "::1/128", "fd00::/128", "fd00::/127", "fd00::/126", "fd00::1/64", "fd00::/129", "ff02::1", "ff00::/8",
    "fe80::1", "fe80::/64", "fe80::1%eth0", "fe80::%eth0/64", "fe80::1%25eth0", "::ffff:10.1.0.0/120",
    "::ffff:10.1.0.0/24", "::ffff:10.1.0.5", "::ffff:0:0/96", "::10.1.0.5", "64:ff9b::10.1.0.5", "fd00:::1", "1:2:3:4:5:6:7:8:9",
    "00:00:00:00:00:00", "01:00:5e:00:00:01", "ff:ff:ff:ff:ff:ff", "02:00:00:00:00", "02-00-00-00-00-01", "0.1.0", "1.1.1"]]

NESTED = ["[" * 500 + "]" * 500, '{"x":' * 500 + "1" + "}" * 500, "[" * 600 + "]" * 600, "[" * 100_000,
          "[" + '"10.9.0.0/24",' * 2000 + "1]", "[" + "{}," * 2000 + "{}]"]

# Text, escapes, numbers, and values that are larger in memory than as text.
HUGE_VALUES = [
    b'"' + b"x" * HUGE + b'"', b'"' + b"\\n" * (HUGE // 2) + b'"', b'"' + b"\\u00e9" * (HUGE // 6) + b'"', b"9" * HUGE,
    b"[" + b"{}," * (HUGE // 3) + b"1]", b"[" + b"1," * (HUGE // 2) + b"1]", b"[" + b'"",' * (HUGE // 3) + b'""]',
    b"{" + b",".join(b'"%07d":1' % number for number in range(HUGE // 12)) + b"}"]

VALUES = [*WRONG_TYPES, *NUMBERS, *TEXTS, *ADDRESSES, *NESTED]
LISTED = [f"[{value}]" for value in [*ADDRESSES, *TEXTS[:8]]]

# For the environment, which has no NUL.
VARIABLES = ["", " ", "x", "..", ".", "/", "a/b", "../x", "%d", "eth0", "lo", "\x1b[2J", "\n", "a\nb", "\xff\xfe", "\x80" * 15,
             "x" * 15, "x" * 16, "x" * 128, "x" * 129, "x" * 100_000, "=", ";", "=;=;", "IP=", "IP=x", "IP=10.1.0.9", "MAC=x",
             "IP=fe80::1%eth0", "IP=::ffff:10.1.0.9/24,::/0", "MAC=01:00:5e:00:00:01", "IP=" + "10.1.0.9," * 10_000,
             "K8S_POD_NAMESPACE=a;K8S_POD_NAME=../..", "IgnoreUnknown=1;" * 5000, "/run/netns/none", "/etc/passwd",
             "/proc/self/ns/mnt", "/run", "/dev/null", "/dev/zero", "1", "-1", "9" * 50]
