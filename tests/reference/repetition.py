"""What counts as a repetition, in the reference's words: a frame that is, octet by octet, the one that its sender would
write for the taught fields with another `seq` and `ts`, which is not 0. No netstring is one whose strong signature
covers other octets than stand in it: of a string with 0x13."""

from reference import auth, codec


def fields_of(frame: bytes) -> codec.Fields:
    return codec.read_one(codec.without_trailer(frame))


def written(fields: codec.Fields, keys: auth.Keys, index: int, *, netstring: bool, inner_auth: bool) -> bytes:
    if netstring:
        return codec.sign_netstring(fields, keys, index, inner_auth=inner_auth)
    return codec.sign_classic(fields, keys, index)


def repeats(taught: bytes, frame: bytes, keys: auth.Keys, index: int) -> int | None:
    """The sequence number of a frame that repeats the taught one; None where it doesn't."""
    try:
        fields, others = fields_of(taught), fields_of(frame)
        changed = {name: value for name, digit, value in others if digit == 0 and name in (b"seq", b"ts")}
        sequence, ts = (int(changed[name], 16) for name in (b"seq", b"ts"))
    except (codec.Malformed, KeyError, ValueError):
        return None
    numbers = {b"seq": b"%x" % sequence, b"ts": b"%x" % ts}
    names = [name for name, _, _ in fields]
    signatures = (b"auth", b"mac")
    expected = [(name, digit, numbers.get(name, value)) for name, digit, value in fields if name not in signatures]
    if b"mac" in names:
        expected = codec.with_mac(expected, keys, index)
    inner_auth = b"auth" in names
    netstring = taught.startswith(b"#")
    if netstring and b"mac" in names and any(digit == 0 and b"\x13" in value for _, digit, value in fields):
        return None
    return (
        sequence if ts and frame == written(expected, keys, index, netstring=netstring, inner_auth=inner_auth) else None
    )
