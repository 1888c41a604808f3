"""The wire format as protocol/wire.md §1 to §5 has it.

A message is a list of (name, digit, value): octets, except a list of octets for digit 3 and a message for digit 2.
What is no message is the exception Malformed; `messages_of_stream` says what a decoder makes of a stream.

Where wire.md leaves it open, this is settled: there is exactly one `auth` line in a signed classic message; an octet
of a classic message between its markers is either signed or in that line; decimal lengths have no leading zeros; a
NUL is an error in names and strings; a line that begins with "<<<" and isn't the end is an error.
"""

import base64
import bz2
import re
import zlib

from reference import auth

LIMIT = 262144
INFLATED_LIMIT = 2 * 1024 * 1024
DEPTH = 16
LEVELS = [*range(0x14, 0x20), 0x0F, 0x10, 0x11, 0x12]  # what stands for LF in a message nested at that depth

Value = bytes | list
Fields = list[tuple[bytes, int, Value]]


class Malformed(Exception):  # noqa: N818 - it is what it is called
    pass


def require(condition: object) -> None:
    if not condition:
        raise Malformed


def length_and_rest(octets: bytes) -> tuple[bytes, bytes]:
    """What "5:abcde,rest" holds, and the rest."""
    digits, colon, rest = octets.partition(b":")
    require(colon and digits.isdigit() and len(digits) <= 7 and str(int(digits)).encode() == digits)
    size = int(digits)
    require(rest[size : size + 1] == b",")
    return rest[:size], rest[size + 1 :]


def read_list(octets: bytes) -> list[bytes]:
    elements = []
    while octets:
        element, octets = length_and_rest(octets)
        elements.append(element)
    return elements


def write_list(elements: list[bytes]) -> bytes:
    return b"".join(b"%d:%s," % (len(element), element) for element in elements)


# ---- classic ----


BASE64 = re.compile(rb"([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")


def read_base64(octets: bytes) -> bytes:
    return base64.b64decode(octets) if BASE64.fullmatch(octets) else b""


def read_classic(octets: bytes, depth: int = -1) -> Fields:
    require(depth < DEPTH)
    end = bytes([LEVELS[depth]]) if depth >= 0 else b"\n"
    require(octets.startswith(b">>>" + end) and octets.endswith(end + b"<<<" + end) and b"\0" not in octets)
    fields = []
    for line in octets[4:-4].split(end):
        if not line:
            continue
        digit = 0
        rest = line
        if line.startswith(b"("):
            require(line[1:2] in (b"1", b"2", b"3", b"4", b"5") and line[2:3] == b")")
            digit = int(line[1:2])
            rest = line[3:]
        name, equals, text = rest.partition(b"=")
        require(name and equals and not name.startswith(b"(") and not line.startswith(b"<<<"))
        value: Value
        if digit == 0:
            value = text.replace(b"\x13", b"\n")
        elif digit == 2:
            value = read_classic(text, depth + 1)
        elif digit == 3:
            value = read_list(text)
        else:
            value = read_base64(text)
        fields.append((name, digit, value))
    return fields


def write_classic(fields: Fields, depth: int = -1) -> bytes:
    return b">>>\n" + write_lines(fields, depth) + b"<<<\n"


def write_lines(fields: Fields, depth: int = -1) -> bytes:
    lines = b""
    for name, digit, value in fields:
        if digit == 0:
            lines += name + b"=" + value.replace(b"\n", b"\x13") + b"\n"
            continue
        if digit == 2:
            level = bytes([LEVELS[depth + 1]])
            nested = write_classic(value, depth + 1)
            require(level not in nested)
            text = nested.replace(b"\n", level)
        elif digit == 3:
            text = write_list(value)
        else:
            text = base64.b64encode(value)
        lines += b"(%d)%s=%s\n" % (digit, name, text)
    return lines


def sign_classic(fields: Fields, keys: auth.Keys, index: int) -> bytes:
    body = write_lines(fields)
    return b">>>\n" + body + b"auth=" + auth.sign(keys, index, body) + b"\n<<<\n"


def verified_classic(octets: bytes, keys: auth.Keys) -> bool:
    lines = octets.removeprefix(b">>>\n").removesuffix(b"<<<\n").split(b"\n")
    signatures = [line for line in lines if line.startswith(b"auth=")]
    body = b"\n".join(line for line in lines if not line.startswith(b"auth="))
    return len(signatures) == 1 and auth.verifies(keys, body, signatures[0].removeprefix(b"auth="))


# ---- netstring ----


def read_netstring(octets: bytes, depth: int = -1) -> tuple[Fields, bytes]:
    """The fields, and what follows the end marker."""
    require(depth < DEPTH and octets.startswith(b"###\n"))
    octets = octets[4:]
    fields = []
    while not octets.startswith(b"%%%\n"):
        field, octets = length_and_rest(octets)
        require(field[:1] == b"(" and field[1:2] in (b"0", b"1", b"2", b"3", b"4", b"5") and field[2:3] == b")")
        digit = int(field[1:2])
        name, equals, text = field[3:].partition(b"=")
        require(name and equals and b"\0" not in name and not name.startswith(b">>>\n"))
        value: Value = text
        if digit == 0:
            require(b"\0" not in text)
        elif digit == 2:
            value, rest = read_netstring(text, depth + 1)
            require(not rest)
        elif digit == 3:
            value = read_list(text)
        fields.append((name, digit, value))
    return fields, octets[4:]


def write_netstring(fields: Fields) -> bytes:
    octets = b"###\n"
    for name, digit, value in fields:
        text = value
        if digit == 2:
            text = write_netstring(value)
        elif digit == 3:
            text = write_list(value)
        field = b"(%d)%s=%s" % (digit, name, text)
        octets += b"%d:%s," % (len(field), field)
    return octets + b"%%%\n"


def sign_netstring(fields: Fields, keys: auth.Keys, index: int, *, inner_auth: bool = True) -> bytes:
    if inner_auth and not any(digit in (2, 4, 5) for _, digit, _ in fields):
        fields = [*fields, (b"auth", 0, auth.sign(keys, index, write_lines(fields)))]
    octets = write_netstring(fields)
    signature = auth.sign(keys, index, octets)
    return octets + b"%d:%s," % (len(signature), signature)


def verified_netstring(octets: bytes, keys: auth.Keys) -> bool:
    rest = octets[4:]
    while not rest.startswith(b"%%%\n"):
        _, rest = length_and_rest(rest)
    signature, rest = length_and_rest(rest[4:])
    require(not rest)
    body = octets.removesuffix(b"%d:%s," % (len(signature), signature))
    return len(signature) <= 256 and auth.verifies(keys, body, signature)


# ---- the strong signature (docs/protocol.md) ----


def covered(fields: Fields) -> bytes:
    """What it covers: the fields as in a netstring, without the signatures, and with LF for 0x13 in strings."""
    body = [field for field in fields if field[0] not in (b"mac", b"auth")]
    return write_netstring(told_alike(body)).removeprefix(b"###\n").removesuffix(b"%%%\n")


def told_alike(fields: Fields) -> Fields:
    return [
        (name, digit, told_alike(v) if digit == 2 else v.replace(b"\x13", b"\n") if digit == 0 else v)
        for name, digit, v in fields
    ]


def with_mac(fields: Fields, keys: auth.Keys, index: int) -> Fields:
    mac = (b"mac", 0, auth.strong_token(keys, index, covered(fields)))
    places = [i for i, (name, _, _) in enumerate(fields) if name == b"mac"] or [len(fields)]
    before, after = fields[: places[0]], fields[places[0] :]
    return [*before, mac, *(field for field in after if field[0] != b"mac")]


def strong(fields: Fields, keys: auth.Keys) -> bool | None:
    """None where there is no such signature."""
    macs = [field for field in fields if field[0] == b"mac"]
    if not macs:
        return None
    return len(macs) == 1 and macs[0][1] == 0 and auth.strong_verifies(keys, covered(fields), macs[0][2])


# ---- whole messages ----


def inflate(octets: bytes, algorithm: bytes) -> bytes:
    try:
        if algorithm == b"zlib":
            octets = zlib.decompress(octets)
        elif algorithm == b"bz2":
            octets = bz2.decompress(octets)
        else:
            raise Malformed
    except (zlib.error, OSError, ValueError) as error:
        raise Malformed from error
    require(len(octets) <= INFLATED_LIMIT)
    return octets


def read_one(octets: bytes) -> Fields:
    """One whole message of either format, without a trailer."""
    if octets.startswith(b"###\n"):
        fields, rest = read_netstring(octets)
        require(not rest)
        return fields
    return read_classic(octets.removesuffix(b"\0"))


def without_trailer(octets: bytes) -> bytes:
    if not octets.startswith(b"###\n"):
        return octets
    rest = octets[4:]
    while not rest.startswith(b"%%%\n"):
        _, rest = length_and_rest(rest)
    trailer = rest[4:]
    if trailer:
        signature, rest = length_and_rest(trailer)
        require(not rest and len(signature) <= 256)
    return octets.removesuffix(trailer)


def read(octets: bytes) -> Fields:
    """One whole message of either format, regardless of its signature; the inner one of a compressed one."""
    fields = read_one(without_trailer(octets))
    for name, digit, value in fields:
        if name == b"_compressed_payload":
            if digit != 1:
                break
            algorithm = next((value for name, _, value in fields if name == b"_compression_algorithm"), b"")
            return read_one(inflate(value, algorithm))
    return fields


def verified(octets: bytes, keys: auth.Keys) -> bool:
    if octets.startswith(b"###\n"):
        return verified_netstring(octets, keys)
    return verified_classic(octets, keys)


def message_of_datagram(octets: bytes, keys: auth.Keys | None) -> Fields | None:
    """The message that a datagram is; None where it is rejected."""
    if octets.startswith(b">>>"):
        octets = octets.removesuffix(b"\0")
    try:
        require(octets[:4] in (b">>>\n", b"###\n") and len(octets) <= LIMIT)
        if keys is not None:
            require(octets[:1] == b"#" or octets.endswith(b"\n<<<\n"))
            require(verified(octets, keys))
            require(strong(read_one(without_trailer(octets)), keys) is not False)
        return read(octets)
    except Malformed:
        return None


def messages_of_stream(octets: bytes, keys: auth.Keys, limit: int = LIMIT) -> list[Fields]:
    """Of all stretches that are good messages the one that ends first is one; so on behind it."""
    starts = [i for i in range(len(octets)) if octets[i : i + 4] in (b">>>\n", b"###\n")]
    ends = [i for i in range(len(octets) + 1) if octets[:i].endswith((b"\n<<<\n", b","))]
    found = []
    floor = 0
    for end in ends:
        for start in starts:
            if floor <= start < end <= start + limit and octets[end - 1] == {35: 44, 62: 10}[octets[start]]:
                fields = message_of_datagram(octets[start:end], keys)
                if fields is not None:
                    found.append(fields)
                    floor = end
                    break
    return found
