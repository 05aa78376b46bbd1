"""Looks at a page in a real browser, in a frame of some width."""

from __future__ import annotations

import json
import re
import subprocess
from html import unescape
from pathlib import Path
from typing import Any

#: A page around the report, which is left as it is, and which measures it; PAGE and WIDTH are filled in.
FRAME = """<!doctype html><meta charset="utf-8"><body style="margin:0"><iframe id="f" src="PAGE"
style="width:WIDTHpx;height:800px;border:0"></iframe><pre id="out"></pre><script>
document.getElementById("f").addEventListener("load", event => {
  const page = event.target.contentDocument, root = page.documentElement;
  document.getElementById("out").textContent = JSON.stringify({
    title: page.title, inside: root.clientWidth, content: root.scrollWidth,
    images: page.images.length, broken: [...page.images].filter(image => !image.naturalWidth).length,
    sections: [...page.querySelectorAll("section")].filter(section => section.offsetHeight > 40).length,
    fetched: event.target.contentWindow.performance.getEntriesByType("resource").map(entry => entry.name)
      .filter(name => !name.startsWith("data:")),
  });
});
</script>"""
QUIET = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--enable-logging=stderr",
    "--allow-file-access-from-files",
    "--virtual-time-budget=10000",
    "--dump-dom",
)


def look(chromium: str, folder: Path, page: str, width: int) -> tuple[dict[str, Any], list[str]]:
    """Opens a page in a frame of some width; returns what was measured, and the console's complaints."""
    (folder / "page.html").write_text(page, encoding="utf-8")
    (folder / "frame.html").write_text(FRAME.replace("PAGE", "page.html").replace("WIDTH", str(width)))
    command = [chromium, *QUIET, f"--user-data-dir={folder / 'profile'}", (folder / "frame.html").as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    found = re.search(r'<pre id="out">(.*?)</pre>', done.stdout, re.DOTALL)
    assert found is not None, done.stderr
    return json.loads(unescape(found[1])), re.findall(r".*CONSOLE.*", done.stderr)
