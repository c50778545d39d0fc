"""Places to die or to freeze at, for crash tests: as by SIGKILL or SIGSTOP, no cleanup."""

import os
import signal
from typing import Final

BETWEEN_DESTINATIONS: Final = "between_destinations"
"""One destination's outputs are durable, another's not yet submitted."""

OUTPUTS_ACKED: Final = "outputs_acked"
"""All outputs of a step are durable, its state is not."""

STATE_NEXT: Final = "state_next"
"""A state is about to be sent: who freezes here sends it on waking, whoever owns it then."""

STATE_ACKED: Final = "state_acked"
"""The state is durable, the step not yet over in memory."""


class Failpoints:
    """Armed by a text `name:count`: the process dies when it reaches `name` that often.

    With `name:count:stop` it freezes instead, once, until SIGCONT.
    """

    def __init__(self, text: str = "") -> None:
        name, count, signals, *_ = *text.split(":"), "", ""
        self.name = name
        self._left = int(count or 1)
        self._signal = signal.SIGSTOP if signals == "stop" else signal.SIGKILL

    def armed(self, name: str) -> bool:
        """Whether reaching `name` will end the process, now or later."""
        return self.name == name

    def reach(self, name: str) -> None:
        """Die here if it is time to."""
        if self.name != name:
            return
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), self._signal)
