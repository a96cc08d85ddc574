"""How `make docs` builds the documentation: Sphinx with furo, Markdown pages, docstrings in Google style."""

import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT / "docs" / "_ext"), str(ROOT), str(ROOT / "cli")]

from ganeval.version import __version__  # noqa: E402, the path comes first

project = "ganeval"
author = "The ganeval authors"
copyright = author
version = release = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_click",
    "mathml",
    "metric_facts",
]
exclude_patterns = ["_build", "_ext"]
html_theme = "furo"
html_title = "ganeval"
html_static_path = ["_static"]
html_css_files = ["ganeval.css"]
html_math_renderer = "mathml"
html_show_sphinx = False
pygments_style = "friendly"
pygments_dark_style = "github-dark"

myst_enable_extensions = ["dollarmath", "colon_fence"]
myst_heading_anchors = 3

# Quotes and dashes stay as they are typed: they stand in options and code.
smartquotes = False

# `one backtick` in a docstring is code, as it is in Markdown.
default_role = "literal"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_rtype = False
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
maximum_signature_line_length = 88

nitpicky = True
# Types in signatures may be other projects', or have no entry of their own. What the pages themselves refer to must
# exist: public names, errors, interfaces.
nitpick_ignore_regex = [
    ("py:class", r"(?!ganeval\.(errors\.|extractors\.(base\.)?[A-Z]|[A-Z]\w*$)).*"),
    # A field whose type is a Literal: Sphinx cuts the type at its first comma.
    ("py:obj", r"typing\.Literal\[.*"),
]
