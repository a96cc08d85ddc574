"""Makes the README's pictures from ganeval's output: docs/terminal.svg and docs/report.png.

Run it in a checkout after `make demo`. It needs chromium and its driver (apt-get install chromium chromium-driver).
"""

import html
import io
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image
from selenium import webdriver

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
COMMAND = "ganeval compare demo/real demo/held-out demo/worse --extractor digits --metrics fid,kid,recall -q"
PAGE = ("compare", "demo/real", "demo/held-out", "demo/worse", "--extractor", "digits", "-q", "--report")
# Terminal picture, in pixels: character width, line height, margin, and the bar on top.
CHARACTER, LINE, MARGIN, BAR = 7.83, 19, 20, 34
# Some SVG viewers collapse several ordinary spaces into one.
NBSP = "\N{NO-BREAK SPACE}"
GREY, TEXT, GREEN = "#8b949e", "#e6edf3", "#7ee787"
# Report picture: size of the browser window, and width of each view.
VIEW = {"width": 1000, "height": 1130, "deviceScaleFactor": 1, "mobile": False}
WIDTH, GAP, FRAME = 620, 12, "#c9cdd5"


def main() -> None:
    """Write both pictures."""
    printed = ganeval(*COMMAND.split()[1:])
    (DOCS / "terminal.svg").write_text(terminal(COMMAND, printed), encoding="utf-8")
    photograph(DOCS / "report.png")


def ganeval(*arguments: str) -> str:
    """The output of a command."""
    command = [sys.executable, "-m", "ganeval_cli", *arguments]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout


def terminal(command: str, printed: str) -> str:
    """A command and its output as SVG, in the shape of a terminal window."""
    lines = [f"$ {command}", *printed.rstrip().splitlines()]
    width = round(max(map(len, lines)) * CHARACTER + 2 * MARGIN)
    height = BAR + len(lines) * LINE + MARGIN
    dots = "".join(f'<circle cx="{MARGIN + 18 * place}" cy="17" r="5" fill="{GREY}"/>' for place in range(3))
    texts = [html.escape(line).replace(" ", NBSP) for line in lines]
    rows = "".join(
        f'<text x="{MARGIN}" y="{BAR + LINE * (row + 1) - 5}" fill="{shade(lines[row])}">{text}</text>\n'
        for row, text in enumerate(texts)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, \'DejaVu Sans Mono\', monospace" font-size="13" '
        ">\n"
        f'<rect width="100%" height="100%" rx="8" fill="#0d1117"/>\n{dots}\n{rows}</svg>\n'
    )


def shade(line: str) -> str:
    """Commands in green, headings in grey, and everything else as plain text."""
    if line.startswith("$ "):
        return GREEN
    return GREY if line.startswith(("metric", "measured")) else TEXT


def photograph(picture: Path) -> None:
    """Two views of the report's page, next to each other: its top when light, and suspected copies when dark."""
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder, "report.html")
        ganeval(*PAGE, str(page))
        views = seen(page)
    whole = Image.new("RGB", (sum(view.width + GAP for view in views) + GAP, views[0].height + 2 * GAP), FRAME)
    for place, view in enumerate(views):
        whole.paste(view, (GAP + place * (view.width + GAP), GAP))
    whole.quantize(256, method=Image.Quantize.FASTOCTREE).save(picture, optimize=True)


def seen(page: Path) -> list[Image.Image]:
    """Screenshots of the views in chromium."""
    options = webdriver.ChromeOptions()
    for option in ("--headless=new", "--no-sandbox", "--hide-scrollbars"):
        options.add_argument(option)
    chromium = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
    views = []
    try:
        for scheme, anchor in (("light", "body"), ("dark", "#copies")):
            media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
            chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
            chromium.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", VIEW)
            chromium.get(page.as_uri())
            chromium.execute_script(
                "document.querySelector(arguments[0]).scrollIntoView({behavior: 'instant'})", anchor
            )
            view = Image.open(io.BytesIO(chromium.get_screenshot_as_png())).convert("RGB")
            views.append(view.resize((WIDTH, round(view.height * WIDTH / view.width)), Image.Resampling.LANCZOS))
    finally:
        chromium.quit()
    return views


if __name__ == "__main__":
    main()
