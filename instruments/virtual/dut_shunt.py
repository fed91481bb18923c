"""The BMS's own shunt, as its front end sees it: sense lines that are open or exchanged.

Faults of the sense lines, not of the shunt's metal: the current flows on. An open line leaves the input to itself; the
front end's bias pulls it to 0 V here, so the BMS reads no current and nothing in the reading tells that it is none. A
front end that watches for it by a test current asks `open`.

Not simulated: the voltage that a really broken shunt throws at its inputs, noise picked up by an open line, drift,
thermoelectric voltages.
"""

from __future__ import annotations


class DutShunt:
    """Sense lines between shunt and front end."""

    def __init__(self) -> None:
        self.open = False
        self.reversed = False

    def sensed_v(self, drop_v: float) -> float:
        """Return what stands at the front end while the shunt drops this, in volts."""
        if self.open:
            return 0.0
        return -drop_v if self.reversed else drop_v
