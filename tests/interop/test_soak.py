"""A mixed pair on bad lines for a minute: one holder throughout, and every message recovered or superseded.

`sh scripts/interop --soak` and HEARTBEAT_TEST_LONG=1 take ten minutes, with ours at either place."""

import pytest
from interop.setting import LONG
from interop.soak import LONG_S, SHORT_S, settings, soak


@pytest.mark.parametrize("setting", settings() if LONG else settings()[:1], ids=str)
def test_on_bad_lines_every_message_is_recovered_or_superseded(originals, setting):
    made = soak(setting, LONG_S if LONG else SHORT_S)
    print(made.story())
    assert made.right, made.story()
