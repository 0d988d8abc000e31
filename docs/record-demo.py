#!/usr/bin/env python3
"""Makes docs/demo.svg: runs `modelswap demo` in a terminal (tmux), answers its questions, and draws what stands there at the end.

usage: docs/record-demo.py path/to/modelswap
"""

import html
import pathlib
import re
import subprocess
import sys
import tempfile
import time

COLUMNS, ROWS = 150, 60
SOCKET = f"modelswap-demo-{time.time_ns()}"
CELL_W, CELL_H, PAD = 7.83, 17, 14
PALETTE = ["#3b4252", "#e06c75", "#98c379", "#e5c07b", "#61afef", "#c678dd", "#56b6c2", "#d8dee9"]
BRIGHT = ["#6b7280", "#f28b93", "#b5d99c", "#f0d399", "#8cc5f5", "#d9a3ea", "#86d3dc", "#ffffff"]
BACKGROUND, FOREGROUND = "#1b1f27", "#d8dee9"


def tmux(*words):
    return subprocess.run(["tmux", "-L", SOCKET, "-f", "/dev/null", *words], check=True, capture_output=True, text=True).stdout


def screen():
    return tmux("capture-pane", "-p", "-e", "-t", "demo").rstrip("\n").split("\n")


def record(binary):
    """The last screen of a demo that was run by hand, as far as the terminal can tell."""
    with tempfile.TemporaryDirectory() as directory:
        tmux("new-session", "-d", "-s", "demo", "-x", str(COLUMNS), "-y", str(ROWS), "-c", directory, "env", "-u", "CI", "PS1=$ ", "PATH=" + str(pathlib.Path(binary).resolve().parent) + ":/usr/bin:/bin", "sh")
        try:
            time.sleep(0.5)
            tmux("send-keys", "-t", "demo", "modelswap demo", "Enter")
            for _ in range(600):
                time.sleep(0.5)
                text = re.sub(r"\x1b\[[0-9;:]*m", "", "\n".join(screen()))
                if text.rstrip().endswith("\n$"):
                    break
                if re.search(r"\[y/n\][^\n]*$", text.rstrip(), re.IGNORECASE):
                    tmux("send-keys", "-t", "demo", "y")
                    time.sleep(1)
            else:
                sys.exit("the demo did not end within five minutes:\n" + text)
            return screen()
        finally:
            tmux("kill-server")


def runs(line):
    """Pieces of a line with one look: text, colour, bold."""
    colour, bold, at = FOREGROUND, False, 0
    for match in re.finditer(r"\x1b\[([0-9;:]*)m", line):
        if match.start() > at:
            yield line[at : match.start()], colour, bold
        at = match.end()
        codes = [int(c) for c in re.split("[;:]", match.group(1) or "0") if c]
        for code in codes or [0]:
            if code == 0:
                colour, bold = FOREGROUND, False
            elif code == 1:
                bold = True
            elif code == 39:
                colour = FOREGROUND
            elif 30 <= code <= 37:
                colour = PALETTE[code - 30]
            elif 90 <= code <= 97:
                colour = BRIGHT[code - 90]
    if at < len(line):
        yield line[at:], colour, bold


def plain(line):
    return re.sub(r"\x1b\[[0-9;:]*m", "", line)


def svg(lines):
    width, height = COLUMNS * CELL_W + 2 * PAD, len(lines) * CELL_H + 2 * PAD
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}" role="img">',
        "<title>a run of modelswap demo</title>",
        f'<rect width="100%" height="100%" rx="8" fill="{BACKGROUND}"/>',
        '<g font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, DejaVu Sans Mono, monospace" font-size="13" xml:space="preserve">',
    ]
    for row, line in enumerate(lines):
        column, y = 0, PAD + row * CELL_H + 13
        for text, colour, bold in runs(line):
            if text.strip():
                weight = ' font-weight="bold"' if bold else ""
                x, length = PAD + column * CELL_W, len(text) * CELL_W
                out.append(f'<text x="{x:.1f}" y="{y}" fill="{colour}"{weight} textLength="{length:.1f}" lengthAdjust="spacingAndGlyphs">{html.escape(text)}</text>')
            column += len(text)
    return "\n".join([*out, "</g>", "</svg>", ""])


def main():
    lines = record(sys.argv[1])
    while lines and plain(lines[-1]).strip() in ("", "$"):
        lines.pop()
    # Names of one machine and one run say nothing to a reader.
    lines = [re.sub(r"/tmp/modelswap-demo-\w+/", "", line) for line in lines]
    target = pathlib.Path(__file__).with_name("demo.svg")
    target.write_text(svg(lines), encoding="utf-8")
    print("\n".join(plain(line) for line in lines))


if __name__ == "__main__":
    main()
