"""Places to die at, for crash tests: the process ends as by SIGKILL, no cleanup."""

import os
import signal
from typing import Final

BETWEEN_DESTINATIONS: Final = "between_destinations"
"""One destination's outputs are durable, another's not yet submitted."""

OUTPUTS_ACKED: Final = "outputs_acked"
"""All outputs of a step are durable, its state is not."""

STATE_ACKED: Final = "state_acked"
"""The state is durable, the step not yet over in memory."""


class Failpoints:
    """Armed by a text `name:count`: the process dies when it reaches `name` that often."""

    def __init__(self, text: str = "") -> None:
        name, _, count = text.partition(":")
        self.name = name
        self._left = int(count or 1)

    def armed(self, name: str) -> bool:
        """Whether reaching `name` will end the process, now or later."""
        return self.name == name

    def reach(self, name: str) -> None:
        """Die here if it is time to."""
        if self.name != name:
            return
        self._left -= 1
        if self._left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)
