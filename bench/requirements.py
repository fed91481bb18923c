"""Requirement ids and the documents they come from, for reports."""

from __future__ import annotations

STANDARDS = {
    "IEC62619": "IEC 62619:2022",
    "GB44240": "GB 44240-2024",
    "GB38031": "GB 38031-2025",
    "GBT36276": "GB/T 36276-2023",
    "R100": "UN R100 series 03",
    "UN383": "UN Manual of Tests and Criteria, 38.3",
    "BMSBENCH": "bmsbench: what any BMS owes",
}


def standard_of(requirement: str) -> str:
    """Return the document of a requirement id such as `GB44240-8.4`; a lab's own prefix stands for itself."""
    prefix = requirement.partition("-")[0]
    return STANDARDS.get(prefix, prefix)
