"""What readers are shown runs as shown."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("file", sorted((ROOT / "examples").glob("*.py")), ids=lambda f: f.name)
def test_every_example_runs_and_prints(file, capsys):
    runpy.run_path(str(file), run_name="__main__")
    assert capsys.readouterr().out.strip()


def test_a_strangers_graph_takes_at_most_twenty_lines_and_every_derivative_is_right():
    file = ROOT / "examples" / "own_graph.py"
    lines = [line for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    assert len(lines) <= 20
    names = runpy.run_path(str(file))
    leaves = list(names["params"].values())
    gradient = torch.autograd.grad(names["loss"](names["params"]), leaves, create_graph=True)
    along = sum((g * g.detach()).sum() for g in gradient)
    torch.testing.assert_close(list(names["gradient"].values()), list(gradient))
    curvature = torch.autograd.grad(along, leaves)
    torch.testing.assert_close(list(names["curvature"].values()), list(curvature))


@pytest.mark.parametrize("block", re.findall(r"```python\n(.*?)```", README, re.DOTALL))
def test_the_readmes_python_runs(block, tmp_path, monkeypatch, capsys, request):
    if "cuda" in block:
        request.getfixturevalue("cupy")
    monkeypatch.chdir(tmp_path)
    exec(compile(block, "README.md", "exec"), {"__name__": "readme"})
    assert capsys.readouterr().out.strip()


def test_the_readme_has_python_to_run():
    assert "```python" in README


def test_the_readme_names_only_commands_and_systems_that_exist():
    from dglmeta import systems
    from dglmeta.cli import _parser

    (commands,) = (a for a in _parser()._actions if a.dest == "command")
    shown = set(re.findall(r"^\| `dglmeta (\w+)", README, re.MULTILINE))
    assert shown == set(commands.choices)
    named = re.findall(r"^\| ([\w-]+) \|.*\| yes", README, re.MULTILINE)
    assert {name.replace("-", "") for name in named} == {
        name for name in systems.__all__ if name not in ("Result", "System")
    }


PAGES = [ROOT / "README.md", *sorted(ROOT.glob("*/README.md")), *sorted(ROOT.glob("docs/*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_within_the_project_leads_somewhere(page):
    text = page.read_text(encoding="utf-8")
    targets = re.findall(r"\]\((?!https?:|mailto:)([^)#]*)(#[^)]*)?\)", text)
    assert [to for to, _ in targets if to and not (page.parent / to).exists()] == []
    headings = {
        re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-")
        for h in re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    }
    assert [a for to, a in targets if not to and a[1:] not in headings] == []
