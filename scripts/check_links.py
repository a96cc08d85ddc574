"""Check that every link in the documents and in the built site has a target. Run by `make docs`; needs no network.

Links inside the repository and the site are followed, with their anchors. Only the syntax of external
links is checked: whether a server answers says nothing about a change.
"""

import re
import sys
from collections.abc import Iterator
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

ROOT = Path(__file__).parent.parent
SITE = ROOT / "docs" / "_build" / "html"
MARKDOWN = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/*.md", "docs/*/*.md")
FENCE = re.compile(r"^(`{3,}|:{3,}).*?^\1", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`[^`\n]*`")
# [text](target), ![text](target), and <https://...>.
LINK = re.compile(r"\]\(([^()\s]+)\)|<(https?:[^>\s]*)>")


def main() -> None:
    """Print what is wrong; exit 1 if anything is."""
    if not SITE.exists():
        raise SystemExit(f"{SITE} does not exist; build it with `make docs`.")
    documents = [path for pattern in MARKDOWN for path in sorted(ROOT.glob(pattern)) if "_build" not in path.parts]
    found = [*(fault for path in documents for fault in of_document(path))]
    pages = sorted(SITE.rglob("*.html"))
    found += [fault for path in pages for fault in of_page(path)]
    for fault in found:
        print(fault, file=sys.stderr)
    if found:
        raise SystemExit(f"{len(found)} links lead nowhere.")
    print(f"The links of {len(documents)} documents and {len(pages)} pages lead somewhere.")


def of_document(path: Path) -> Iterator[str]:
    """Faults in the links of a Markdown file."""
    text = CODE.sub("", FENCE.sub("", path.read_text(encoding="utf-8")))
    for match in LINK.finditer(text):
        yield from of_link(path, match[1] or match[2], ROOT)


def of_page(path: Path) -> Iterator[str]:
    """Faults in the links of a page of the site."""
    for target in parsed(path).links:
        yield from of_link(path, target, SITE)


def of_link(path: Path, target: str, root: Path) -> Iterator[str]:
    """Faults in one link."""
    where = f"{path.relative_to(ROOT)}: {target}"
    parts = urlsplit(target)
    if parts.scheme in ("http", "https"):
        if "." not in (parts.hostname or ""):
            yield f"{where} has no host"
        return
    if parts.scheme in ("mailto", "data"):
        return
    if parts.scheme or parts.netloc:
        yield f"{where} is neither https nor a path"
        return
    to = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    if to.is_dir() and root == SITE:
        to /= "index.html"
    if not to.exists() or not to.is_relative_to(root):
        yield f"{where}: there is no such file"
    elif parts.fragment and unquote(parts.fragment) not in anchors(to):
        yield f"{where}: there is no such anchor"


@cache
def anchors(path: Path) -> frozenset[str]:
    """The anchors that a link to a file may use."""
    if path.suffix == ".html":
        return frozenset(parsed(path).anchors)
    headings = re.findall(r"^#+ (.*)$", FENCE.sub("", path.read_text(encoding="utf-8")), re.MULTILINE)
    return frozenset(re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings)


class Page(HTMLParser):
    """The links and anchors of an HTML page."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect links and anchors of any tag."""
        for name, value in attrs:
            if value and (name == "id" or (name == "name" and tag == "a")):
                self.anchors.add(value)
            elif value and name in ("href", "src"):
                self.links.append(value)


@cache
def parsed(path: Path) -> Page:
    """Parse a page."""
    page = Page()
    page.feed(path.read_text(encoding="utf-8"))
    # Browsers jump to the top for these.
    page.anchors |= {"", "top"}
    return page


if __name__ == "__main__":
    main()
