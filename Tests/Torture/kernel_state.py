# SPDX-License-Identifier: Apache-2.0
"""What the kernel has in this process's network namespace, asked for in this process: the tests ask
a hundred thousand times. Each object is a key, and what it is like is the value."""

import ctypes
import socket
import struct

_LINKS, _ADDRESSES, _ROUTES, _NEIGHBOURS, _RULES = 18, 22, 26, 30, 34
_DONE, _ERROR = 3, 2
_BRIDGE = 7
_PERMANENT = 0x80
_LOCAL = 255

# Whether a link has a carrier changes by itself, and so do the flags that follow from it.
_FLAGS = 0xFFFF & ~0x40
# A bridge that humanz-bridge made has a random address with these first bytes.
_RANDOM = b"\x02\x68"
_IS_DEAD, _HAS_NO_CARRIER = 1, 16

SYSCTLS = {
    "4": ["forwarding", "proxy_arp", "rp_filter"],
    "6": ["accept_ra", "disable_ipv6", "forwarding", "keep_addr_on_down"],
}


def kernel_state(has_nftables=True):
    """Links, addresses, routes, rules, neighbours, sysctls and nf_tables."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as kernel:
        kernel.settimeout(10)
        names, state = {}, {}
        for header, attributes in _dump(kernel, _LINKS, "BxHiII"):
            names[header[2]] = attributes[3][:-1].decode()
            state[f"link {names[header[2]]}"] = (header, attributes)
        bridges = {_index(attributes[10]) for _, attributes in state.values() if 10 in attributes}
        for key, (header, attributes) in state.items():
            state[key] = _link(header, attributes, names, header[2] in bridges)
        state.update(_addresses(kernel, names))
        state.update(_routes(kernel, names))
        state.update(_neighbours(kernel, names))
        for header, attributes in _dump(kernel, _RULES, "BBBBBBBBI"):
            words = " ".join(f"{number}={value.hex()}" for number, value in sorted(attributes.items()))
            state[f"rule {header[0]} {words}"] = f"{header}"
    state.update(_sysctls(names.values()))
    if has_nftables:
        state.update(_nftables())
    return state


def _link(header, attributes, names, has_ports):
    information = _attributes(attributes.get(18, b""))
    port = _attributes(information.get(5, b"")) if information.get(4) == b"bridge\0" else {}
    master = attributes.get(10)
    kind = information.get(1, b"").rstrip(bytes(1)).decode()
    # The kernel chooses the MTU of a bridge, and leaves one without ports at 1500 or at that of its last port.
    mtu = _number(attributes, 4) if kind != "bridge" or has_ports else None
    return " ".join([
        f"kind={kind}", f"flags={header[3] & _FLAGS:x}", f"mtu={mtu}", f"mac={_hardware(attributes.get(1, b''))}",
        f"master={names.get(_index(master)) if master else None}", f"group={_number(attributes, 27)}",
        f"alias={attributes.get(20, b'').decode(errors='replace')}",
        f"queues={_number(attributes, 31)}/{_number(attributes, 32)}",
        # A port's hairpin mode, BPDU guard, root block, learning, flooding and isolation.
        *(f"port{number}={port[number].hex()}" for number in (4, 5, 6, 8, 9, 33) if number in port)])


def _addresses(kernel, names):
    for (family, length, flags, scope, index), attributes in _dump(kernel, _ADDRESSES, "BBBBi"):
        if scope == 253:  # A link's own, which comes in its own time.
            continue
        # An IPv6 address is not tentative for long, and says so in its flags.
        flags = (_number(attributes, 8) or flags) & ~0x40
        address = _address(attributes.get(2) or attributes[1])
        yield f"address {names.get(index)} {address}/{length}", f"flags={flags:x} scope={scope}"


def _routes(kernel, names):
    for header, attributes in _dump(kernel, _ROUTES, "BBBBBBBBI"):
        family, length, _, tos, table, protocol, scope, kind, flags = header
        target = _address(attributes[1]) if 1 in attributes else "default"
        table = _number(attributes, 15) or table
        if table == _LOCAL or family == socket.AF_INET6 and target.startswith(("fe80", "ff00")):
            continue  # They follow the addresses, some in their own time.
        hops = [(_index(attributes[4]), attributes)] if 4 in attributes else []
        rest = attributes.get(9, b"")
        while len(rest) >= 8:
            size, _, _, index = struct.unpack_from("=HBBi", rest)
            hops.append((index, _attributes(rest[8:size])))
            rest = rest[(size + 3) & ~3:]
        ways = " ".join(
            f"dev {names.get(index)} via {_address(hop[5]) if 5 in hop else hop.get(18, b'').hex()}"
            f" encapsulation {_encapsulation(hop)}" for index, hop in hops)
        yield (f"route {target}/{length} table {table} metric {_number(attributes, 6)} {ways}",
               f"protocol={protocol} scope={scope} type={kind} tos={tos} "
               f"flags={flags & ~_IS_DEAD & ~_HAS_NO_CARRIER:x} source={attributes.get(7, b'').hex()} "
               f"metrics={attributes.get(8, b'').hex()}")


def _encapsulation(hop):
    """Without its flags: whether the outer packets may be fragmented follows a sysctl, if it can be read."""
    attributes = _attributes(hop.get(22, b""))
    return " ".join(f"{number}={value.hex()}" for number, value in sorted(attributes.items()) if number != 6)


def _neighbours(kernel, names):
    for header, attributes in _dump(kernel, _NEIGHBOURS, "BxxxiHBB"):
        _, index, state, flags, kind = header
        address = _address(attributes[1])
        if kind == 5 or address.startswith("fe80"):
            continue
        yield f"neighbour {names.get(index)} {address}", f"flags={flags} permanent={state & _PERMANENT}"
    for header, attributes in _dump(kernel, _NEIGHBOURS, "BxxxiHBB", _BRIDGE):
        if header[2] & _PERMANENT and not attributes[2].startswith((b"\x33\x33", b"\x01\x00\x5e")):
            yield (f"fdb {names.get(header[1])} {_hardware(attributes[2])} vlan {_number(attributes, 5, 'H')} "
                   f"to {attributes.get(1, b'').hex()}", f"flags={header[3]}")


def _sysctls(names):
    paths = ["ipv4/ip_forward", "ipv6/conf/all/forwarding", "ipv6/conf/all/accept_ra"]
    paths += [f"ipv{family}/conf/{name}/{sysctl}"
              for name in names for family in SYSCTLS for sysctl in SYSCTLS[family]]
    for path in paths:
        try:
            with open(f"/proc/sys/net/{path}", "rb", buffering=0) as file:
                yield f"sysctl {path}", file.read().strip().decode()
        except OSError:
            pass  # The link has gone meanwhile, or the kernel has no such file for it.


# nf_tables, by libnftables(3)

_NFT = None


def _nftables():
    global _NFT
    if _NFT is None:
        _NFT = ctypes.CDLL("libnftables.so.1")
        _NFT.nft_ctx_new.restype = ctypes.c_void_p
        _NFT.nft_ctx_get_output_buffer.restype = ctypes.c_char_p
        for name in ("nft_ctx_free", "nft_ctx_buffer_output", "nft_ctx_buffer_error",
                     "nft_ctx_get_output_buffer", "nft_run_cmd_from_buffer", "nft_ctx_output_set_flags"):
            getattr(_NFT, name).argtypes = [ctypes.c_void_p]
        _NFT.nft_run_cmd_from_buffer.argtypes.append(ctypes.c_char_p)
        _NFT.nft_ctx_output_set_flags.argtypes.append(ctypes.c_uint)
    # A context keeps the network namespace that it is made in.
    context = _NFT.nft_ctx_new(0)
    try:
        _NFT.nft_ctx_buffer_output(context)
        _NFT.nft_ctx_buffer_error(context)
        _NFT.nft_ctx_output_set_flags(context, 4)  # Without counters.
        if _NFT.nft_run_cmd_from_buffer(context, b"list ruleset"):
            raise OSError("nft list ruleset failed")
        text = _NFT.nft_ctx_get_output_buffer(context).decode()
    finally:
        _NFT.nft_ctx_free(context)
    place = []
    for line in map(str.strip, text.splitlines()):
        if line == "}":
            place.pop()
        elif line.endswith("{") and "=" not in line:
            place.append(line[:-2])
            yield f"nft {' '.join(place)}", ""
        elif line:
            yield f"nft {' '.join(place)}: {line}", ""


# Netlink's messages

def _dump(kernel, kind, layout, family=0):
    """Each object of a kind: the fields of its message's head, and its attributes by number."""
    size = struct.calcsize("=" + layout)
    while True:
        # The kernel reads a whole head of its kind: zeros but for the family.
        body = struct.pack("=B", family).ljust(16, b"\0")
        kernel.send(struct.pack("=IHHII", 16 + len(body), kind, 0x301, 1, 0) + body)
        found, is_interrupted = [], False
        while (batch := kernel.recv(1 << 18)):
            is_over = False
            while len(batch) >= 16:
                length, answer, flags = struct.unpack_from("=IHH", batch)
                message, batch = batch[16:length], batch[(length + 3) & ~3:]
                is_interrupted |= bool(flags & 0x10)
                if answer == _ERROR:
                    raise OSError(-struct.unpack_from("=i", message)[0], f"netlink dump {kind}")
                if answer == _DONE:
                    is_over = True
                    break
                found.append((struct.unpack_from("=" + layout, message), _attributes(message[size:])))
            if is_over:
                break
        if not is_interrupted:
            return found


def _attributes(data):
    attributes = {}
    start, end = 0, len(data)
    while start + 4 <= end:
        length, kind = struct.unpack_from("=HH", data, start)
        if length < 4:
            break
        attributes[kind & 0x3FFF] = data[start + 4:start + length]
        start += (length + 3) & ~3
    return attributes


def _number(attributes, kind, layout="I"):
    return struct.unpack_from("=" + layout, attributes[kind])[0] if kind in attributes else None


def _hardware(data):
    return "random" if data.startswith(_RANDOM) else data.hex(":")


def _index(data):
    return struct.unpack("=i", data)[0]


def _address(data):
    return socket.inet_ntop(socket.AF_INET if len(data) == 4 else socket.AF_INET6, data)
