"""The sections of a bench definition: instruments, links, shunt, wiring, surroundings, safety."""

from __future__ import annotations

import datetime
import unicodedata
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from bench.envelope import StopLatency
from bench.loading import Frozen
from bench.uncertainty import Accuracy, Budget, Contribution, Distribution


class BenchSection(Frozen):
    """Name and clock."""

    name: str = Field(min_length=1, description="the bench's name in reports")
    title: str = Field(default="", description="one line about it")
    clock: Literal["simulated", "wall"] = Field(
        description="simulated: time made by the program, addresses virtual:NAME; wall: real time"
    )
    simulated: bool = Field(description="true: no hardware can be reached; false: energised only after admission")
    location: str = Field(default="", description="where it stands")

    @field_validator("name")
    @classmethod
    def _can_be_typed(cls, name: str) -> str:
        """A person answers with it, and releases a quarantine by it: what is read must be what is typed."""
        if name != name.strip():
            raise ValueError(f"{name!r} begins or ends with a blank; nobody would type it so")
        if not name.isprintable() or name != unicodedata.normalize("NFC", name):
            raise ValueError(f"{name!a} has characters that cannot be seen or typed; write letters and digits")
        return name


class Measuring(Frozen):
    """How a meter is set: range in volts, integration in power line cycles."""

    range_v: float = Field(gt=0, description="measuring range")
    power_line_cycles: float = Field(default=1.0, gt=0, description="integration time of a reading")


class InstrumentSection(Frozen):
    """One instrument on the table."""

    driver: str = Field(description="file name of its driver")
    address: str = Field(description="virtual:NAME, tcp:HOST:PORT, visa:RESOURCE or serial:PORT")
    model: str = Field(default="", description="what the driver must find")
    serial: str = Field(default="", description="the serial number the driver must find, if known")
    accuracy: dict[Literal["voltage", "current", "power", "temperature", "resistance"], Accuracy] = Field(
        default_factory=dict, description="per quantity: voltage, current"
    )
    calibrated: datetime.date | None = Field(default=None, description="date of the calibration")
    calibration_due: datetime.date | None = Field(default=None, description="date until which it holds")
    certificate: str = Field(default="", description="number of the certificate")
    integration_s: float = Field(default=0.0, ge=0.0, description="averaging time of one reading")
    measuring: Measuring | None = Field(default=None, description="for meters")
    options: dict[str, Any] = Field(default_factory=dict, description="the driver's own options")
    virtual: dict[str, Any] = Field(default_factory=dict, description="how a virtual instrument is wired")


class CanBinding(Frozen):
    """Which adapter a CAN link uses."""

    medium: Literal["can"] = Field(description="a CAN adapter")
    interface: str = Field(description="name of a python-can interface")
    channel: str = Field(default="", description="its channel")
    options: dict[str, Any] = Field(default_factory=dict, description="further arguments of the interface")


class ModbusBinding(Frozen):
    """Which port or host a Modbus link uses."""

    medium: Literal["modbus"] = Field(description="a Modbus connection")
    address: str = Field(description="virtual:NAME, tcp:HOST:PORT or serial:PORT")


Binding = Annotated[CanBinding | ModbusBinding, Field(discriminator="medium")]


class ReferenceShunt(Frozen):
    """The bench's own shunt, in the one branch common to source and sink."""

    ohm: float = Field(gt=0, description="resistance")
    positive_means: Literal["charge", "discharge"] = Field(description="what a positive meter reading means")
    range_a: float = Field(gt=0, description="range of the reference current")
    uncertainty_pct: float = Field(gt=0, description="calibration, expanded (k = 2)")
    drift_pct: float = Field(default=0.0, ge=0, description="limit of drift since its calibration")
    tempco_ppm_per_k: float = Field(default=0.0, ge=0, description="limit of its temperature coefficient")
    temperature_span_k: float = Field(
        default=0.0, ge=0, description="how far its temperature may be from that of its calibration"
    )
    thermal_emf_v: float = Field(default=0.0, ge=0, description="limit of thermo-electric voltage")
    calibrated: datetime.date | None = Field(default=None, description="date of the calibration")
    calibration_due: datetime.date | None = Field(default=None, description="date until which it holds")

    @property
    def sign(self) -> int:
        """+1, or -1 where a positive reading means discharge."""
        return 1 if self.positive_means == "charge" else -1

    def budget(self, current_a: float, meter: Accuracy, *, apart: bool = False) -> Budget:
        """Return the uncertainty budget of a reference current, in amperes (metrology reference 6.3).

        `apart` keeps the meter's gain and zero apart, for sums and differences of currents through this shunt.
        """

        def of_shunt(what: str, share: float, distribution: Distribution) -> Contribution:
            # I = V / R, so dI / dR = -I / R: errors of the shunt turn round with the current.
            return Contribution.within(
                what, share * self.ohm, distribution, -current_a / self.ohm, source=what, unit="ohm"
            )

        per_volt = 1.0 / self.ohm
        drift_k = self.tempco_ppm_per_k * self.temperature_span_k * 1e-6
        return Budget(
            "A",
            (
                of_shunt("shunt calibration", self.uncertainty_pct / 100.0, "normal"),
                of_shunt("shunt drift", self.drift_pct / 100.0, "rectangular"),
                of_shunt("shunt temperature", drift_k, "rectangular"),
                Contribution.within(
                    "thermo-electric voltage",
                    self.thermal_emf_v,
                    "rectangular",
                    per_volt,
                    source="thermo-electric",
                    unit="V",
                ),
                *meter.contributions(current_a * self.ohm, "meter", per_volt, apart=apart, unit="V"),
            ),
        )


class Topology(Frozen):
    """How it is wired."""

    current_path: Literal["power"] = Field(default="power", description="the real current flows through the BMS")
    cells: Literal["pack", "emulated"] = Field(
        default="pack",
        description="pack: the BMS measures the pack's cells; emulated: it measures the emulator's channels, while "
        "the current flows through the pack",
    )
    reference_shunt: ReferenceShunt = Field(description="the bench's own shunt")
    remote_sense: Literal["none", "bench_side", "pack_side"] = Field(
        default="none", description="where sense leads go; never across the BMS's switch"
    )
    fuse_a: float = Field(gt=0, description="rating of the fuse")
    wiring_a: float = Field(gt=0, description="rating of the power leads")
    disconnect_a: float = Field(gt=0, description="rating of the disconnect")
    voltage_class: Literal["extra_low", "high"] = Field(default="extra_low", description="high: above 60 V")
    lead_ohm: float = Field(default=0.002, ge=0, description="declared resistance of the power leads")
    references: dict[str, str] = Field(
        default_factory=dict,
        description="what each terminal or adapter is referred to: isolated, earth, B-, P-",
    )


class Environment(Frozen):
    """Ambient, as far as it is declared rather than measured."""

    temperature_degc: float | None = Field(default=None, description="ambient")
    warm_up_min: float | None = Field(default=None, ge=0, description="how long the instruments have been on")
    humidity_pct: float | None = Field(default=None, description="relative")


class Safety(Frozen):
    """How long this program may be silent before others make the bench safe."""

    stall_s: float = Field(
        default=3.0,
        ge=0.3,
        le=60.0,
        description="after this long without a good sample the guardian takes over, and watchdogs switch off; longer "
        "than an instrument's time-out (2 s), so that a hung instrument stays the run's own business",
    )
    stop_latency: StopLatency | None = Field(
        default=None,
        description="measured time of each way of stopping ('bmsbench commission' measures it); without it nothing "
        "that moves towards a limit is provoked",
    )
    cell_voltage_stop: str = Field(
        default="",
        description="how cell voltages stop the bench without any program (hard-wired into the interlock); mandatory "
        "with real cells",
    )
