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
        _show_values(pkg, pkg)
        _show_calls(pkg)
        _show_namesakes(pkg)


def _show_namesakes(module: griffe.Module) -> None:
    """Griffe takes ``layers.spectral_norm`` for the file; Python, and the reader, take it for the function in it."""
    for name, member in list(module.members.items()):
        if isinstance(member, griffe.Module):
            _show_namesakes(member)
            if module.imports.get(name) == f"{module.path}.{name}.{name}":
                module.set_member(name, member.members[name])


def _show_values(part: griffe.Module | griffe.Class, package: griffe.Module) -> None:
    """Signatures name no constant that a reader cannot import: its value stands there, and the choices of a Literal."""
    for member in part.members.values():
        if isinstance(member, griffe.Module | griffe.Class):
            _show_values(member, package)
        elif isinstance(member, griffe.Function):
            for parameter in member.parameters:
                if str(parameter.default).startswith("_"):
                    parameter.default = _value(parameter.default, package) or parameter.default
                parameter.annotation = _choices(parameter.annotation, package)


def _show_calls(module: griffe.Module) -> None:
    """A class without a constructor of its own gets the signature that it is called with: none, or a tuple's fields."""
    for member in module.members.values():
        if isinstance(member, griffe.Module):
            _show_calls(member)
        elif isinstance(member, griffe.Class) and "__init__" not in member.members:
            bases = {str(base).rpartition(".")[2] for base in member.bases}
            if not bases & {"Module", "NamedTuple"}:
                continue
            kind = griffe.ParameterKind.positional_or_keyword
            fields = member.attributes.values() if "NamedTuple" in bases else ()
            parameters = [
                griffe.Parameter(field.name, annotation=field.annotation, kind=kind, default=field.value)
                for field in fields
                if "property" not in field.labels
            ]
            own = griffe.Parameter("self", kind=kind)
            member.set_member("__init__", griffe.Function("__init__", parameters=griffe.Parameters(own, *parameters)))


def _value(name: Any, package: griffe.Module) -> Any:
    """What a name of the package stands for, if it is a constant."""
    if isinstance(name, griffe.ExprName) and name.canonical_path.startswith(f"{package.name}."):
        constant = package.modules_collection[name.canonical_path]
        return constant.value if constant.is_attribute else None
    return None


def _choices(annotation: Any, package: griffe.Module) -> Any:
    """The annotation with ``Literal[...]`` in the place of its names."""
    if isinstance(annotation, griffe.ExprBinOp):
        left, right = (_choices(side, package) for side in (annotation.left, annotation.right))
        return griffe.ExprBinOp(left, annotation.operator, right)
    value = _value(annotation, package)
    return value if str(value).startswith("Literal[") else annotation
