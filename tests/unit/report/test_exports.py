"""The figures for machines and papers."""

from __future__ import annotations

import csv
import io
import json
import shutil
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner
from msgspec import structs

from faceorch.cli.main import cli
from faceorch.errors import InputError
from faceorch.record.folder import RunFolder
from faceorch.record.kinds import OutcomeKind
from faceorch.record.reason import Reason
from faceorch.report import exports
from tests.made_up import make_comparison


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return make_comparison(tmp_path / "run", count=2, seconds=0.5)


def test_json_has_every_figure_with_its_method_and_range(run: RunFolder) -> None:
    data = json.loads(json.dumps(exports.as_json(run.run)))
    alder, birch, fir, gum = data["networks"]
    assert alder["values"]["vram_peak_bytes"] == {
        "value": 2e9,
        "method": "per_process",
        "note": "",
        "range": {"count": 3, "min": 2e9, "median": 2e9, "max": 2e9},
    }
    assert [network["outcome"] for network in (alder, birch, fir, gum)] == ["done", "done", "failed", "not run"]
    assert fir["reason"]["kind"] == "gpu_out_of_memory"
    assert data["best"]["animate_s"] == "alder"
    assert {column["key"] for column in data["columns"]} == set(alder["values"])


def test_csv_has_raw_values_and_no_formula(run: RunFolder) -> None:
    job = structs.replace(run.run.jobs[0], network="=1+1")
    run.run.jobs[0] = job
    rows = list(csv.DictReader(io.StringIO(exports.as_csv([run.run]))))
    assert [row["network"] for row in rows] == ["'=1+1", "birch", "fir", "gum"]
    assert float(rows[1]["energy_wh [Wh]"]) == pytest.approx(2.08)
    assert rows[2]["energy_wh [Wh]"] == ""


def test_latex_says_what_is_best_how_it_was_measured_on_what_and_from_which_code(run: RunFolder) -> None:
    run.run.put(structs.replace(run.run.jobs[0], title=r"A_b & \input{x} 100% $x$ #1 ~^"))
    text = exports.as_latex([run.run], exports.choose((), [run.run]))
    assert r"A\_b \& \textbackslash{}input\{x\} 100\% \$x\$ \#1 \textasciitilde{}\textasciicircum{} & \textbf{" in text
    assert r"\item[1] memory of the network's own processes, as the driver lists it" in text
    assert "Test GPU" in text
    assert r"Birch: https://example.org/birch at cccccccccccc." in text
    assert text.count(r"\\") == 5, "a heading, two networks, one that failed and one that was not run"
    assert r"Fir \textless{}img src=x onerror=alert(1)\textgreater{} & \multicolumn{7}{l}{failed\tnote{" in text
    assert "failed, 24 GB of GPU memory found, 40 GB needed; run it with -{}-set fir.size=256" in text
    assert text.index(r"\toprule") < text.index(r"\midrule") < text.index(r"\bottomrule")


HOSTILE = "[a] *b* --c ,,d ''e `f` \"g\" |h| ä ą € x\u0301 漢 😀 \u202e \x00 \x7f"


def test_latex_has_nothing_that_tex_takes_for_its_own_or_cannot_set() -> None:
    assert exports.latex(HOSTILE) == (
        r"{[}a{]} {*}b{*} -{}-c ,{},d '{}'e \textasciigrave{}f\textasciigrave{} \textquotedbl{}g\textquotedbl{} "
        r"\textbar{}h\textbar{} ä ą € x{[}U+0301{]} {[}U+6F22{]} {[}U+1F600{]} {[}U+202E{]} {[}U+0000{]} {[}U+007F{]}"
    )


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex (apt install texlive-latex-extra)")
@pytest.mark.parametrize("count", [0, 2])
def test_tex_sets_the_table(tmp_path: Path, count: int) -> None:
    folder = make_comparison(tmp_path / "run", count=count, seconds=0.5)
    folder.run.jobs = [structs.replace(job, title=f"{HOSTILE} {job.title}") for job in folder.run.jobs]
    folder.run.id = r"a_b & \end{tabular} % #"
    runs = [folder.run, folder.run]
    (tmp_path / "paper.tex").write_text(
        "\\documentclass{article}\n\\usepackage[T1]{fontenc}\n\\usepackage{booktabs,threeparttable}\n"
        "\\begin{document}\n" + exports.as_latex(runs, exports.choose((), runs)) + "\\end{document}\n",
        "utf-8",
    )
    command = ["pdflatex", "-halt-on-error", "-interaction=nonstopmode", "paper.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout.decode("utf-8", "replace")[-2000:]


def test_markdown_has_a_row_for_every_network(run: RunFolder) -> None:
    text = exports.as_markdown([run.run], exports.choose(("fps", "energy_wh"), [run.run]))
    assert text.splitlines()[-2:] == [
        r"| Fir \<img src=x onerror=alert(1)\>: failed, 24 GB of GPU memory found, 40 GB needed; "
        r"run it with --set fir.size=256 | | |",
        "| Gum: not run, its image is not built; faceorch build gum | | |",
    ]


def test_a_run_of_which_nothing_is_known_has_a_table_all_the_same(run: RunFolder) -> None:
    run.run.jobs = run.run.jobs[-1:]
    assert [column.key for column in exports.choose((), [run.run])] == ["total_s"]


def test_several_runs_are_told_apart(run: RunFolder) -> None:
    text = exports.as_latex([run.run, run.run], exports.choose(("energy_wh",), [run.run]))
    assert text.count(r"\multicolumn{2}{l}{\emph{20260131-120000-face-clip}}") == 2


def test_a_column_that_there_is_not_is_an_error_with_the_near_one(run: RunFolder) -> None:
    with pytest.raises(InputError, match=r"no column 'energy' \(did you mean"):
        exports.choose(("energy",), [run.run])


def test_the_commands_table_has_no_paths_of_this_machine(run: RunFolder) -> None:
    reason = Reason(kind=OutcomeKind.CRASH, found="no file /home/somebody/secret/net.pth")
    run.run.put(structs.replace(run.run.job("fir"), reason=reason))
    run.save()
    for form in ("--latex", "--markdown"):
        text = CliRunner().invoke(cli, ["table", str(run.path), form]).output
        assert "somebody" not in text
        assert "…/net.pth" in text


@pytest.mark.parametrize(
    ("options", "begins"),
    [
        ([], "| network | end to end |"),
        (["--latex"], "% needs"),
        (["--csv"], "run,network,outcome,reason,runtime"),
        (["--csv", "--column", "fps"], "run,network,outcome,reason,fps\n"),
    ],
)
def test_the_command_prints_each_form(run: RunFolder, options: list[str], begins: str) -> None:
    result = CliRunner().invoke(cli, ["table", str(run.path), *options])
    assert result.exit_code == 0
    assert result.output.startswith(begins)
