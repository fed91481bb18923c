"""How a BMS is brought to operation: sections of a profile."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from bench.loading import Frozen


class Step(Frozen):
    """One step to operation: what to request, and the state word to wait for."""

    request: dict[str, float] = Field(description="what to send: signals of the request message and their numbers")
    until: str = Field(description="state word to wait for")
    timeout_s: float = Field(gt=0, description="how long to wait for it")
    wait_s: float = Field(default=0.0, ge=0.0, description="minimum time in that state before going on")


Waker = Literal["current", "request", "power_cycle"]


class Precharge(Frozen):
    """When a BMS with contactors takes the bus for charged, and what it does if that does not come."""

    max_v: float = Field(gt=0, description="difference of bus and pack below which it closes the main contactor")
    max_a: float | None = Field(default=None, gt=0, description="current below which it does")
    timeout_s: float = Field(gt=0, description="how long it waits for that")
    tries: int = Field(default=1, ge=1, description="how often it tries before it gives up")


class Sleep(Frozen):
    """When a BMS goes to sleep, and what wakes it."""

    after_s: float = Field(gt=0, description="without current and request")
    wakes_by: tuple[Literal["current", "request", "power_cycle"], ...] = Field(
        min_length=1, description="what wakes it"
    )


class StateRequest(Frozen):
    """The bench must send a request cyclically; without it the BMS leaves operation."""

    kind: Literal["state_request"] = Field(description="the bench asks for a state, cyclically")
    link: str = Field(description="on which link")
    message: str = Field(description="message that carries the request")
    period_s: float = Field(gt=0, description="how often it is sent")
    period_window_s: tuple[float, float] | None = Field(default=None, description="what the BMS accepts")
    state: str = Field(default="state", description="name of the signal that tells the state")
    operating: str = Field(description="the state word in which the switches are closed")
    error: str = Field(description="the state word after a fatal fault")
    sequence: tuple[Step, ...] = Field(min_length=1, description="steps from power-on to operation")
    open: dict[str, float] = Field(description="the request that opens the switches")
    clear: dict[str, float] = Field(description="the request that clears persistent flags")
    closed: str | None = Field(default=None, description="signal that is 1 while the current path is closed")
    precharge_s: float = Field(default=0.5, ge=0, description="time that precharging takes")
    reclose_wait_s: float = Field(default=0.0, ge=0, description="pause the BMS needs between closings")
    precharge: Precharge | None = Field(default=None, description="when the bus counts as charged; none: by time alone")
    sleep: Sleep | None = Field(default=None, description="when it sleeps; none: never")


class AlwaysOn(Frozen):
    """The BMS closes its switches by itself and cannot be asked to open them."""

    kind: Literal["always_on"] = Field(description="it closes its switches by itself")
    settle_s: float = Field(default=2.0, ge=0, description="from power-on to closed switches")
    sleep: Sleep | None = Field(default=None, description="when it sleeps; none: never")


Operation = Annotated[StateRequest | AlwaysOn, Field(discriminator="kind")]
