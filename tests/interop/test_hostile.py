"""A third host on the net of a mixed pair: what it sends has no effect, is counted, and told in few lines.

HEARTBEAT_TEST_LONG=1 has each medium with ours at either place."""

import pytest
from interop.hostile import METHOD, OTHER_KEY, forged, settings, siege
from interop.setting import KEYS, LONG, ORDERS
from reference import codec

# of ours as julius on broadcast, beside other clusters
SHORT = [each for each in settings() if (each.media, each.programs) == (("bcast",), ORDERS[0])]


@pytest.mark.parametrize("setting", settings() if LONG else SHORT, ids=str)
def test_nothing_comes_of_what_a_third_host_says(originals, setting):
    made = siege(setting, clusters=LONG or setting.media == ("bcast",))
    print(made.story())
    assert made.right, made.story()


def test_the_forged_is_well_formed_in_both_formats_and_signed_by_the_key_that_it_should_be():
    for keys, other in ((KEYS[METHOD], OTHER_KEY), (OTHER_KEY, KEYS[METHOD])):
        payloads = forged("caesar", 9, keys)
        assert {payload[:4] for payload in payloads} == {b">>>\n", b"###\n"}
        assert all(codec.message_of_datagram(payload, keys) for payload in payloads)
        assert not any(codec.message_of_datagram(payload, other) for payload in payloads)
