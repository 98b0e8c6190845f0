"""What a built notebook keeps of a run: the text that nbval compares, and stills of figures.

Figures, widgets and timings differ from machine to machine or weigh megabytes; their cells keep no
output but, in a lesson, a still of each figure (classroom.stills). Text that changes from run to
run, warnings, and figures nobody described are errors.
"""

import hashlib
import json
import re

from nbformat import NotebookNode

PLOTLY = "application/vnd.plotly.v1+json"
PIECE = "application/vnd.classroom.piece+json"
WIDGET = "application/vnd.jupyter.widget-view+json"
STILL = "classroom_still"  # in an output's metadata: the figure's kind and fingerprint
TEXTS = ("text/plain", "text/markdown", "text/html", "text/latex")
MAX_FIGURE_BYTES = 1_000_000
ADDRESS = re.compile(r"\bat 0x[0-9a-fA-F]{6,}")


def output_errors(cell: NotebookNode) -> list[tuple[str, str]]:
    """What is wrong with the outputs a run left in a code cell: (rule, fix) pairs."""
    facts = cell.metadata.get("classroom", {})
    errors = []
    figures = widgets = 0
    for output in cell.outputs:
        if output.output_type == "stream" and output.name == "stderr":
            shown = output.text.strip().splitlines()[-1:] or [""]
            errors.append(
                (
                    f"a notebook shows no warnings; stderr says: {shown[0][:200]}",
                    "Remove the cause; print what is meant to be read.",
                )
            )
        for mime, content in output.get("data", {}).items():
            widgets += mime == WIDGET
            figures += mime in (PLOTLY, PIECE) or mime.startswith("image/")
            if mime == PLOTLY:
                size = len(json.dumps(content).encode())
                if size > MAX_FIGURE_BYTES:
                    errors.append(
                        (
                            f"a figure's JSON is at most 1 MB; this one is {size / 1e6:.1f} MB.",
                            "Draw fewer points or frames.",
                        )
                    )
    if figures and not facts.get("alt"):
        errors.append(("the cell draws a figure without alt text.", 'Add alt="…" to its header.'))
    if facts.get("alt") and not figures:
        errors.append(
            ("the cell has alt text and draws no figure.", "End it with the figure, or drop alt.")
        )
    if widgets and not facts.get("widget"):
        errors.append(("the cell shows a widget.", "Add widget=true to its header."))
    if facts.get("widget") and not widgets:
        errors.append(("the cell says widget=true and shows none.", "Drop widget."))
    fails = facts.get("fails")
    raised = [output.ename for output in cell.outputs if output.output_type == "error"]
    if fails and not raised:
        errors.append(("the cell is meant to fail and did not.", "Drop fails, or make it fail."))
    elif fails and fails is not True and raised[0] != fails:
        errors.append((f"the cell should raise {fails}; it raised {raised[0]}.", "Correct one."))
    if not errors and not drops_outputs(cell):
        for text in _texts(cell):
            if ADDRESS.search(text):
                errors.append(
                    (
                        f"an output names a memory address: {ADDRESS.search(text).group()}.",
                        "Print what is meant, or mark the cell volatile=true.",
                    )
                )
    return errors


def drops_outputs(cell: NotebookNode) -> bool:
    """Whether a built notebook keeps nothing of this cell's outputs."""
    return any(cell.metadata.get("classroom", {}).get(key) for key in ("alt", "widget", "volatile"))


def _texts(cell: NotebookNode) -> list[str]:
    texts = []
    for output in cell.outputs:
        texts += [output.text] if output.output_type == "stream" else []
        texts += [value for value in output.get("data", {}).values() if isinstance(value, str)]
        texts += [output.evalue] if output.output_type == "error" else []
    return texts


def keep_text_outputs(notebook: NotebookNode) -> None:
    """Reduce the outputs of a run to what git keeps, in place; cells count 1, 2, 3, …"""
    count = 0
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        count += 1
        cell.execution_count = count
        kept: list[NotebookNode] = []
        for output in [] if drops_outputs(cell) else cell.outputs:
            _keep(kept, output, count)
        cell.outputs = kept


def without_stills(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """What nbval compares of a cell's outputs."""
    return [output for output in outputs if STILL not in output.get("metadata", {})]


def _keep(kept: list[NotebookNode], output: NotebookNode, count: int) -> None:
    """Append what git keeps of one output; what one print flushed in parts becomes one again."""
    if output.output_type == "stream":
        if kept and kept[-1].output_type == "stream" and kept[-1].name == output.name:
            kept[-1].text += output.text
        else:
            kept.append(NotebookNode(output_type="stream", name=output.name, text=output.text))
    elif output.output_type == "error":
        # nbval compares name and message; the traceback is full of this machine's paths.
        line = f"{output.ename}: {output.evalue}"
        kept.append(
            NotebookNode(
                output_type="error", ename=output.ename, evalue=output.evalue, traceback=[line]
            )
        )
    else:
        data = NotebookNode({mime: output.data[mime] for mime in TEXTS if mime in output.data})
        result = NotebookNode(output_type=output.output_type, data=data, metadata=NotebookNode())
        if output.output_type == "execute_result":
            result.execution_count = count
        kept.append(result)


def outputs_digest(notebook: NotebookNode) -> str:
    """A fingerprint of all outputs, so that a run saved by hand is not taken for the build's."""
    outputs = [
        [cell.execution_count, cell.outputs] for cell in notebook.cells if cell.cell_type == "code"
    ]
    return hashlib.sha256(json.dumps(outputs, sort_keys=True).encode()).hexdigest()
