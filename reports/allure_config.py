"""The configuration of Allure's report generator.

`categories.json` is ignored by Allure 3; its categories live in the configuration, where the first match counts.
Unknown fields of the configuration are errors and change between minor versions: written for 3.18.
"""

from __future__ import annotations

import json
from pathlib import Path

# Labels that say nothing about the pack; without them the description stands higher on the page.
# Without the story: a test that serves clauses of two standards would show each clause below either of them.
TREE = ("epic", "feature")
HIDDEN = ("host", "thread", "language", "framework", "package", "suite", "parentSuite", "subSuite", "as_id")


def config_text(name: str, output: Path) -> str:
    """Return the configuration (an ES module) that makes one HTML file of one run."""
    config = {
        "name": name,
        "output": output.as_posix(),
        "hideLabels": list(HIDDEN),
        "appendHistory": False,
        "plugins": {
            "awesome": {
                "options": {
                    "reportName": name,
                    "singleFile": True,
                    "reportLanguage": "en",
                    "groupBy": list(TREE),
                }
            }
        },
    }
    text = json.dumps(config, indent=2, ensure_ascii=False)
    return f"""const config = {text};
config.categories = {{ rules: [
  {{ name: "Inconclusive: the bench cannot tell",
    matchers: {{ statuses: ["broken"], message: /^Inconclusive/ }} }},
  {{ name: "Product: the BMS did the wrong thing", matchers: {{ statuses: ["failed"] }} }},
  {{ name: "Bench: broken, look at the bench first", matchers: {{ statuses: ["broken"] }} }},
  {{ name: "Not tested", matchers: {{ statuses: ["skipped"] }} }},
] }};
export default config;
"""
