"""The README's picture: how many times as good as its peers this is, as bars on a logarithmic axis."""

import math
from collections.abc import Callable, Sequence
from html import escape

from benchmarks.report import OURS, Row, number, ratio_text

_PEERS = ("Keystone", "Glance", "Keystone and Glance", "qemu-img convert -c", "qemu-img convert")
"""What somebody would use instead; the first of them that a row has is drawn."""
_WIDTH, _LABELS, _VALUES, _LINE, _TOP, _BOTTOM = 860, 330, 230, 24, 54, 34
_STYLE = """
text { font: 13px system-ui, sans-serif; fill: #57606a }
.title { font-size: 15px; font-weight: 600 }
.case { text-anchor: end }
.tick { text-anchor: middle; font-size: 11px }
line { stroke: #8c959f; stroke-opacity: 0.35 }
.one { stroke-opacity: 1 }
.better { fill: #2da44e } .worse { fill: #cf6a2d }
"""


def draw(rows: Sequence[Row], title: str) -> str:
    """SVG that reads on light and on dark pages."""
    bars = [(row, peer) for row in rows if (peer := next((name for name in _PEERS if name in row.results), None))]
    decades = range(-1, math.ceil(math.log10(max((row.ratio(peer) for row, peer in bars), default=10))) + 1)
    height = _TOP + _LINE * len(bars) + _BOTTOM
    scale = (_WIDTH - _LABELS - _VALUES) / (decades[-1] - decades[0])

    def x(ratio: float) -> float:
        return _LABELS + scale * (math.log10(max(ratio, 10.0 ** decades[0])) - decades[0])

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img">',
        f"<title>{escape(title)}</title><style>{_STYLE}</style>",
        f'<text class="title" x="8" y="24">{escape(title)}</text>',
    ]
    for decade in decades:
        at, emphasis = x(10.0**decade), ' class="one"' if decade == 0 else ""
        parts.append(f'<line{emphasis} x1="{at:.1f}" x2="{at:.1f}" y1="{_TOP - 8}" y2="{height - _BOTTOM}"/>')
        parts.append(f'<text class="tick" x="{at:.1f}" y="{height - _BOTTOM + 16}">{10.0**decade:,g} x</text>')
    for place, (row, peer) in enumerate(bars):
        parts += _bar(row, peer, _TOP + _LINE * place, x)
    return "\n".join([*parts, "</svg>", ""])


def _bar(row: Row, peer: str, top: int, x: Callable[[float], float]) -> list[str]:
    ratio, one = row.ratio(peer), x(1)
    left, right = min(one, x(ratio)), max(one, x(ratio))
    better = "better" if ratio >= 1 else "worse"
    values = f"{number(row.results[OURS].value)} to {number(row.results[peer].value)} {row.unit}"
    size = f'width="{max(1.0, right - left):.1f}" height="{_LINE - 9}"'
    return [
        f'<text class="case" x="{_LABELS - 10}" y="{top + 14}">{escape(row.case)}</text>',
        f'<rect class="{better}" x="{left:.1f}" y="{top + 3}" {size}><title>{escape(values)}</title></rect>',
        f'<text x="{right + 6:.1f}" y="{top + 14}">{ratio_text(ratio)} {escape(peer)}</text>',
    ]
