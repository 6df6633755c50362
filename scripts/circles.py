#!/usr/bin/env python3
"""Finds circles between the files of a crate: one file uses what another one defines, and that one, maybe over others, what
the first one defines.

    scripts/circles.py src/lib.rs benches/load/main.rs    names the circles of these crates, and fails where there is one

A path counts as a use of the file that defines what it names: a re-export is followed to where it leads, so that a module
whose file only gathers what its submodules define is in no circle with them. What a module defines is the ground that its
submodules stand on: that they use it counts as no circle. Nor do `mod`, a re-export and tests count as a use.
"""

import re
import sys
from pathlib import Path

# What a file defines at its top level, and what may stand in front of it.
DEFINED = re.compile(
    r"^(?:pub(?:\([^)]*\))?\s+)?(?:default\s+|const\s+|async\s+|unsafe\s+)*"
    r"(?:fn|struct|enum|union|trait|type|const|static|macro_rules!)\s+(\w+)",
    re.M,
)
MODULE = re.compile(r'^(?:#\[path = "([^"]+)"\]\s*)?(?:#\[[^\]]*\]\s*)*(?:pub(?:\([^)]*\))?\s+)?mod\s+(\w+);', re.M)
USE = re.compile(r"^\s*((?:pub(?:\([^)]*\))?\s+)?)use\s+([^;]+);", re.M)
PATH = re.compile(r"\b(\w+(?:::\w+)+)")


def without_noise(text):
    """The code without comments, strings and tests."""
    text = re.sub(r"//[^\n]*", "", text)
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    text = re.sub(r'r(#+)".*?"\1', '""', text, flags=re.S)
    text = re.sub(r'"(?:\\.|[^"\\])*"', '""', text, flags=re.S)
    # Unit tests end a file; they may use whatever they like.
    return re.split(r"^#\[cfg\(test\)\]\s*mod \w+ \{", text, maxsplit=1, flags=re.M)[0]


def leaves(tree):
    """The paths that a `use` names, each with the name it has afterwards."""
    tree = re.sub(r"\s+", " ", tree).strip()
    opened = tree.find("{")
    if opened < 0:
        path, _, alias = tree.partition(" as ")
        return [(path.split("::"), alias.strip() or path.split("::")[-1])]
    prefix = [part for part in tree[:opened].strip().split("::") if part]
    parts, depth, start, inner = [], 0, 0, tree[opened + 1 : tree.rindex("}")]
    for at, letter in enumerate(inner + ","):
        depth += (letter == "{") - (letter == "}")
        if letter == "," and depth == 0:
            parts.append(inner[start:at].strip())
            start = at + 1
    found = []
    for part in filter(None, parts):
        for path, alias in leaves(part):
            if path == ["self"]:
                path, alias = [], prefix[-1] if alias == "self" else alias
            found.append((prefix + path, alias))
    return found


class Module:
    def __init__(self, path, file):
        self.path, self.file = path, file
        text = file.read_text()
        self.code = without_noise(text)
        self.defined = set(DEFINED.findall(self.code))
        self.submodules, self.imported, self.exported = {}, {}, {}
        for visible, tree in USE.findall(self.code):
            for path, alias in leaves(tree):
                (self.exported if visible else self.imported)[alias] = path
        # An inline module is part of its file.
        self.defined |= set(re.findall(r"^(?:pub(?:\([^)]*\))?\s+)?mod\s+(\w+)\s*\{", self.code, re.M))


class Crate:
    def __init__(self, root):
        self.modules = {}
        self.read((), Path(root), Path(root).parent)

    def read(self, path, file, folder):
        module = self.modules[path] = Module(path, file)
        is_test = r"#\[cfg\(test\)\]\s*(?:#\[[^\]]*\]\s*)*(?:pub(?:\([^)]*\))?\s+)?mod\s+%s;"
        for given, name in MODULE.findall(module.code_with_paths()):
            if re.search(is_test % name, module.code):
                continue
            places = [folder / given] if given else [folder / f"{name}.rs", folder / name / "mod.rs"]
            place = next(place for place in places if place.exists())
            module.submodules[name] = path + (name,)
            below = place.parent if place.name == "mod.rs" else place.with_suffix("")
            self.read(path + (name,), place, below)

    def resolve(self, module, path, seen=()):
        """The module whose file defines what `path` names, as seen from `module`; None for what is not of this crate."""
        here, rest, is_first = module, list(path), True
        while rest:
            part, *rest = rest
            if part == "crate":
                here = self.modules[()]
            elif part == "self":
                pass
            elif part == "super":
                here = self.modules[here.path[:-1]]
            elif part in here.submodules:
                here = self.modules[here.submodules[part]]
            elif part in here.defined:
                return here
            else:
                names = {**here.imported, **here.exported}
                if part not in names or (here.path, part) in seen or names[part] == [part]:
                    return None
                found = self.resolve(here, names[part] + rest, seen + ((here.path, part),))
                return found
            is_first = False
        # A module itself is named, not what is in it.
        return None

    def uses(self):
        """For each file the files that it uses, each with a path that says so."""
        found = {}
        for module in self.modules.values():
            body = USE.sub("", module.code)
            used = found.setdefault(module.file, {})
            for path in [path for path in module.imported.values()] + [
                match.split("::") for match in PATH.findall(body)
            ]:
                target = self.resolve(module, path)
                is_above = target and target.path == module.path[: len(target.path)]
                if target and not is_above:
                    used.setdefault(target.file, "::".join(path))
        return found


Module.code_with_paths = lambda module: re.sub(r"//[^\n]*", "", module.file.read_text())


def circles(uses):
    """The strongly connected sets of more than one file (Tarjan's algorithm)."""
    index, low, stack, found = {}, {}, [], []

    def visit(file):
        index[file] = low[file] = len(index)
        stack.append(file)
        for other in uses.get(file, {}):
            if other not in index:
                visit(other)
                low[file] = min(low[file], low[other])
            elif other in stack:
                low[file] = min(low[file], index[other])
        if low[file] == index[file]:
            members = stack[stack.index(file) :]
            del stack[stack.index(file) :]
            if len(members) > 1:
                found.append(sorted(members))

    sys.setrecursionlimit(10_000)
    for file in uses:
        if file not in index:
            visit(file)
    return found


def main():
    failed = False
    for root in sys.argv[1:]:
        uses = Crate(root).uses()
        for members in circles(uses):
            failed = True
            print("circle between files:", file=sys.stderr)
            for file in members:
                for other in members:
                    if other in uses[file]:
                        print(f"    {file} uses {uses[file][other]} of {other}", file=sys.stderr)
    return failed


if __name__ == "__main__":
    sys.exit(main())
