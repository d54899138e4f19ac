"""Docstrings read well in an editor (Sphinx roles, ``.. math::``); here they become Markdown for the site."""

import re
import textwrap
from typing import Any

import griffe

ROLE = re.compile(r":(?:class|func|meth|mod|attr|exc|data):`~?([^`]+)`")
MATH_ROLE = re.compile(r":math:`([^`]+)`")
# The formula stands on the directive's line, or indented below it.
MATH_BLOCK = re.compile(r"^([ ]*)\.\. math::[ ]*(.*(?:\n(?:[ ]*\n)*\1[ ]+\S.*)*)", re.MULTILINE)
# Griffe knows the plural as a section of code; the singular would become a box of prose.
EXAMPLE = re.compile(r"^Example:$", re.MULTILINE)
# An example without a heading.
DOCTEST = re.compile(r"^>>> .*(?:\n.+)*", re.MULTILINE)


def _math_block(match: re.Match[str]) -> str:
    indent, first_and_rest = match.groups()
    first, _, rest = first_and_rest.partition("\n")
    lines = [line for line in (first.strip(), *textwrap.dedent(rest).splitlines()) if line.strip()]
    if any("&" in line for line in lines):  # Sphinx aligns such formulas by itself
        lines = [r"\begin{aligned}", *lines, r"\end{aligned}"]
    return "\n".join(indent + line for line in ["", "$$", *lines, "$$", ""])


def to_markdown(text: str) -> str:
    text = MATH_BLOCK.sub(_math_block, text)
    text = MATH_ROLE.sub(r"$\1$", text)
    text = ROLE.sub(r"`\1`", text)
    text = DOCTEST.sub(lambda match: "Examples:\n" + textwrap.indent(match[0], "    "), text)
    return EXAMPLE.sub("Examples:", text)


class MarkdownDocstrings(griffe.Extension):
    def on_instance(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        if obj.docstring is not None:
            obj.docstring.value = to_markdown(obj.docstring.value)

    def on_package(self, *, pkg: griffe.Module, **kwargs: Any) -> None:
        _show_namesakes(pkg)


def _show_namesakes(module: griffe.Module) -> None:
    """Griffe takes ``layers.spectral_norm`` for the file; Python, and the reader, take it for the function in it."""
    for name, member in list(module.members.items()):
        if isinstance(member, griffe.Module):
            _show_namesakes(member)
            if module.imports.get(name) == f"{module.path}.{name}.{name}":
                module.set_member(name, member.members[name])
