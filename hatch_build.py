"""What building adds: the links of the description lead somewhere, and a wheel says what it needs.

1. The description is `README.md`, with links to the files of this very release.
2. A wheel has a bill of materials (PEP 770), in CycloneDX. Nothing of other people is in a wheel: what is
   listed has to be there, each with the versions that will do and no other.
3. A wheel has the manual, for `share/man/man1` of where it is installed: `scripts/manpages` makes it of these
   very sources, with nothing but Python.
4. Same sources, same bytes: no moment, no number by chance, and nothing of the machine is written.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.metadata.plugin.interface import MetadataHookInterface
from packaging.requirements import Requirement
from packaging.version import Version

_LINK = re.compile(r"(\[[^\]]*\]\()(?![a-z]+:|#)([^)\s]+\))")


class DescriptionHook(MetadataHookInterface):
    """The description, as a page outside of a checkout (rule 1)."""

    PLUGIN_NAME = "custom"

    def update(self, metadata: dict[str, Any]) -> None:
        """Fill in the description."""
        text = Path(self.root, "README.md").read_text(encoding="utf-8")
        files = f"{metadata['urls']['Source']}/blob/v{metadata['version']}/"
        described = _LINK.sub(rf"\g<1>{files}\g<2>", text)
        metadata["readme"] = {"content-type": "text/markdown", "text": described}


class WheelHook(BuildHookInterface[Any]):
    """What a wheel has beside the package."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 - the interface
        """Add the bill of materials, and the manual (rules 2 and 3)."""
        self._folder = tempfile.TemporaryDirectory()
        path = Path(self._folder.name, f"{self.metadata.name}.cdx.json")
        path.write_text(json.dumps(self._bill(), indent=1) + "\n", encoding="utf-8")
        build_data["sbom_files"].append(str(path))
        manual = Path(self._folder.name, "man1")
        script = str(Path(self.root, "scripts", "manpages"))
        subprocess.run([sys.executable, "-I", "-S", "-B", script, str(manual)], check=True)  # noqa: S603 - our own
        build_data["shared_data"][str(manual)] = "share/man/man1"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:  # noqa: ARG002
        """Remove what was made for the build."""
        self._folder.cleanup()

    def _bill(self) -> dict[str, Any]:
        core = self.metadata.core
        own = {
            "type": "application",
            "bom-ref": f"pkg:pypi/{core.name}@{self.metadata.version}",
            "name": core.name,
            "version": self.metadata.version,
            "description": core.description,
            "licenses": [{"expression": core.license_expression}],
            "purl": f"pkg:pypi/{core.name}@{self.metadata.version}",
            "externalReferences": [{"type": "vcs", "url": core.urls["Source"]}],
        }
        extras = [each for needed in core.optional_dependencies.values() for each in needed]
        components = [_needed(each, "required") for each in core.dependencies]
        components += [_needed(each, "optional") for each in extras]
        components.sort(key=lambda each: str(each["bom-ref"]))
        wanted = [each["bom-ref"] for each in components]
        root = {"ref": own["bom-ref"], "dependsOn": wanted}
        return {
            "$schema": "http://cyclonedx.org/schema/bom-1.7.schema.json",
            "bomFormat": "CycloneDX",
            "specVersion": "1.7",
            "version": 1,
            "metadata": {"lifecycles": [{"phase": "build"}], "component": own},
            "components": components,
            "dependencies": [root, *({"ref": each} for each in wanted)],
        }


def _needed(requirement: str, scope: str) -> dict[str, Any]:
    """Return what is needed as a component that is no part of the wheel, with the versions that will do."""
    read = Requirement(requirement)
    name = re.sub(r"[-_.]+", "-", read.name).lower()
    versions = sorted(read.specifier, key=lambda each: Version(each.version))
    return {
        "type": "library",
        "bom-ref": f"pkg:pypi/{name}",
        "name": read.name,
        "scope": scope,
        "isExternal": True,
        "versionRange": "vers:pypi/" + "|".join(f"{each.operator}{each.version}" for each in versions),
        "purl": f"pkg:pypi/{name}",
    }
