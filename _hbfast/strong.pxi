# The strong signature (docs/protocol.md): a field `mac` that the original ignores. Included by codec.pyx.
#
# It covers the fields themselves, not the octets of a format: each as a netstring has it, `mac` and `auth` left out. In
# strings LF and 0x13 count as the same, since the classic format does not tell them apart.


cdef int write_strong(Writer w, Message m, int depth) except -1:
    """What the signature covers of a message. All of a nested one."""
    cdef tuple field
    cdef Name name = Name()
    cdef bytes octets
    cdef Writer nested
    for field in m.fields():
        if depth < 0 and (field[0] == "mac" or field[0] == "auth"):
            continue
        name.use(field[0])
        if field[1] == STRUCT:
            if depth + 1 >= DEEPEST:
                raise ValueError(f"messages nest deeper than {DEEPEST}")
            nested = Writer()
            nested.put(b"###\n", MARKER)
            write_strong(nested, field[2], depth + 1)
            nested.put(b"%%%\n", MARKER)
            write_netstring_field(w, name, STRUCT, nested.data, nested.size)
            continue
        octets = pack_list(field[2], True) if field[1] == LIST else field[2]
        if field[1] == STRING:
            octets = octets.replace(b"\x13", b"\n")
        write_netstring_field(w, name, field[1], octets_in(octets), len(octets))
    return 0


cdef bint is_same_in_strong(list fields):
    """Does the signature cover just what the netstring format writes?"""
    cdef tuple field
    for field in fields:
        if field[1] == STRUCT or (field[1] == STRING and b"\x13" in <bytes>field[2]):
            return False
    return True


cdef Message with_mac(Message message, Authenticator auth):
    """The message with its strong signature, in place of the first `mac` or at the end."""
    cdef Writer w = Writer()
    cdef uint8_t[STRONG_MAX] token
    cdef Message signed = Message.__new__(Message)
    cdef list fields = []
    cdef tuple field, mac
    write_strong(w, message, -1)
    mac = ("mac", STRING, PyBytes_FromStringAndSize(<char*>token, auth.strong_token(-1, w.data, w.size, token)))
    for field in message.fields():
        if field[0] != "mac":
            fields.append(field)
        elif mac is not None:
            fields.append(mac)
            mac = None
    if mac is not None:
        fields.append(mac)
    signed._fields = fields
    return signed


cdef bint strong_verifies(Message message, Authenticator auth):
    """Of a message that has a `mac`: has it one, and is that what one of our keys gives?"""
    cdef Writer w
    cdef tuple mac = message.first("mac")
    if message.macs != 1 or mac[0] != STRING:
        return False
    w = Writer()
    write_strong(w, message, -1)
    return auth.check_strong(w.data, w.size, octets_in(mac[1]), len(mac[1]))
