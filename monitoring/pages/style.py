"""How the pages look, in light, in the dark, on paper and on a telephone."""

from __future__ import annotations

from typing import Final

from monitoring.pages.markup import Child, Markup, joined, tag

SERIES: Final = 7
"""Colours that are told apart by colour-blind eyes too; the eighth line gets the first one again."""

CSS: Final = """
:root{color-scheme:light dark;--paper:#fff;--ink:#1d2329;--quiet:#66707a;--faint:#e4e8eb;--card:#f6f8f9;
--good:#0b7a5b;--bad:#b3261e;--warn:#9a5b00;
--c0:#0067a6;--c1:#c2500a;--c2:#0b8a68;--c3:#a2488a;--c4:#9a7400;--c5:#3a86b8;--c6:#4d4d4d;
--local:#2f6690;--peer:#7fb7be;--cloud:#d3c7a9;--edge:#2f6690;--dropped:#c2500a;--heat:#c2500a}
@media (prefers-color-scheme:dark){:root{--paper:#14181c;--ink:#e6eaed;--quiet:#98a3ad;--faint:#2b3238;--card:#1b2126;
--good:#4cc79f;--bad:#ff8a80;--warn:#f0b95b;
--c0:#58b0ea;--c1:#f0894a;--c2:#45c6a0;--c3:#d98ac4;--c4:#d8b540;--c5:#8cc6ea;--c6:#b5b5b5;
--local:#5b9bd0;--peer:#8fd0d6;--cloud:#8d8468;--edge:#5b9bd0;--dropped:#f0894a;--heat:#f0894a}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,
"Helvetica Neue",Arial,sans-serif;-webkit-text-size-adjust:100%}
main{max-width:1080px;margin:0 auto;padding:28px 24px 48px}
header p.over{margin:0;color:var(--quiet);font-size:.875rem}
h1{font-size:1.55rem;line-height:1.3;font-weight:650;letter-spacing:-.01em;margin:.35rem 0 .4rem;max-width:46ch}
h2{font-size:1.06rem;font-weight:650;margin:2.4rem 0 .3rem}
h3{font-size:.95rem;font-weight:650;margin:1.2rem 0 .2rem}
p{margin:.35rem 0;max-width:76ch}
.quiet,figcaption,caption{color:var(--quiet);font-size:.875rem}
.note{font-size:.9375rem;border-left:3px solid var(--warn);padding:.25rem 0 .25rem .8rem;margin:.8rem 0}
.note.bad{border-color:var(--bad)}
.good{color:var(--good)}.bad{color:var(--bad)}.warn{color:var(--warn)}
.badge{display:inline-block;border:1px solid currentColor;border-radius:99px;padding:0 .6em;font-size:.8125rem}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(138px,1fr));gap:1px;
border:1px solid var(--faint);border-radius:8px;overflow:hidden;margin:1.2rem 0 0;padding:0}
.cards>div{box-shadow:0 0 0 1px var(--faint);padding:.65rem .85rem .7rem}
.cards dt{color:var(--quiet);font-size:.8125rem;line-height:1.35}
.cards dd{margin:.1rem 0 0}
.cards dd.figure{font-size:1.42rem;line-height:1.25;font-weight:600;letter-spacing:-.01em;
font-variant-numeric:tabular-nums}
.cards dd.figure small{font-size:.875rem;font-weight:400;color:var(--quiet)}
.cards dd.more{color:var(--quiet);font-size:.8125rem;line-height:1.35}
.two{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,350px),1fr));gap:0 2.4rem}
.two figure svg{max-width:560px}
figure{margin:.6rem 0 0}
figure svg{display:block;width:100%;height:auto;overflow:visible}
figcaption{margin-bottom:.25rem}
svg text{fill:var(--quiet);font-size:12.5px;font-family:inherit;font-variant-numeric:tabular-nums}
svg text.ink{fill:var(--ink)}
svg text.on{fill:#fff}svg text.dark{fill:#1d2329}
svg .grid{stroke:var(--faint);stroke-width:1}
svg .zero{stroke:var(--quiet);stroke-width:1}
svg .line{fill:none;stroke-width:2;stroke-linejoin:round;stroke-linecap:round}
svg .thin{stroke-width:1.2}
svg .dash{stroke-dasharray:6 4}svg .dot{stroke-dasharray:1.5 4}
svg .event{stroke:var(--quiet);stroke-width:1;stroke-dasharray:2 3}
svg .swap{stroke:none;fill:var(--c3)}
svg .bad{stroke:none;fill:var(--bad)}svg .good{stroke:none;fill:var(--good)}svg .warn{stroke:none;fill:var(--warn)}
svg .band{opacity:.16}svg .span{fill:var(--card)}svg .odd-span{fill:none}
svg .edge{stroke:var(--quiet);stroke-width:1}
.legend{display:flex;flex-wrap:wrap;gap:.1rem 1.1rem;margin:.1rem 0 .2rem;padding:0;list-style:none;
font-size:.8125rem;color:var(--quiet)}
.legend svg{width:22px;height:10px;vertical-align:middle;margin-right:.4em;display:inline-block}
.scroll{overflow-x:auto}svg.full{min-width:640px}
table{border-collapse:collapse;font-size:.875rem;margin:.8rem 0 0;width:100%}
caption{text-align:left;padding-bottom:.3rem}
th,td{text-align:left;padding:.3rem .9rem .3rem 0;border-bottom:1px solid var(--faint);vertical-align:top}
th{font-weight:600}thead th{color:var(--quiet);font-weight:500}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;padding-right:0;padding-left:.9rem}td.n{white-space:nowrap}
td:first-child{min-width:5.5em}
td.wrap,code{overflow-wrap:anywhere}
code{font:.9em ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}
details{margin-top:.5rem}summary{color:var(--quiet);font-size:.875rem;cursor:pointer}
footer{margin-top:3rem;border-top:1px solid var(--faint);padding-top:.7rem;color:var(--quiet);font-size:.8125rem}
@media (max-width:640px){main{padding:18px 16px 32px}h1{font-size:1.25rem}.cards{grid-template-columns:1fr 1fr}
svg text{font-size:15px}svg.full text{font-size:17px}svg .odd{display:none}.legend svg{width:22px}}
@media print{:root{color-scheme:light;--paper:#fff;--ink:#000;--quiet:#555;--faint:#ddd;--card:#fff;--good:#0b7a5b;
--bad:#b3261e;--warn:#9a5b00;--c0:#0067a6;--c1:#c2500a;--c2:#0b8a68;--c3:#a2488a;--c4:#9a7400;--c5:#3a86b8;--c6:#4d4d4d;
--local:#2f6690;--peer:#7fb7be;--cloud:#d3c7a9;--edge:#2f6690;--dropped:#c2500a;--heat:#c2500a}
*{-webkit-print-color-adjust:exact;print-color-adjust:exact}
body{font-size:10.5pt}main{max-width:none;padding:0}.two{grid-template-columns:1fr 1fr;gap:0 1.2rem}
svg.full{min-width:0}figure,table,.cards,tr{break-inside:avoid}h2{break-after:avoid}
details:not([open]){display:none}}
""".strip().replace("\n", "")


def page(title: str, *body: Child) -> str:
    """A whole document, without anything that is not in it."""
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width,initial-scale=1"),
        tag("meta", http_equiv="Content-Security-Policy", content="default-src 'none'; style-src 'unsafe-inline'"),
        tag("title", title),
        Markup(f"<style>{CSS}</style>"),
    )
    return f"<!doctype html>\n{tag('html', head, tag('body', tag('main', *body)), lang='en')}\n"


def card(name: str, figure: str, unit: str = "", more: str = "", tone: str | None = None) -> Markup:
    """One figure that is worth being seen first."""
    shown = tag("dd", figure, tag("small", f"\u202f{unit}") if unit else None, class_=f"figure {tone or ''}".strip())
    return tag("div", tag("dt", name), shown, tag("dd", more, class_="more") if more else None)


def cards(*children: Child) -> Markup:
    """Cards in a row, or as many rows as it takes."""
    return tag("dl", *children, class_="cards")


def table(head: list[str], rows: list[list[Child]], caption: str = "", numbers: int = 0) -> Markup:
    """A table; the last ``numbers`` columns are numbers, set flush right."""
    text = len(head) - numbers

    def kind(k: int) -> str | None:
        return "n" if k >= text else None

    return tag(
        "div",
        tag(
            "table",
            tag("caption", caption) if caption else None,
            tag("thead", tag("tr", [tag("th", name, class_=kind(k), scope="col") for k, name in enumerate(head)])),
            tag("tbody", [tag("tr", [tag("td", cell, class_=kind(k)) for k, cell in enumerate(row)]) for row in rows]),
        ),
        class_="scroll",
    )


def section(title: str, *children: Child) -> Markup | None:
    """A part of the page; nothing where it has nothing to say."""
    inner = joined(children)
    return tag("section", tag("h2", title), inner) if inner else None


def details(summary: str, *children: Child) -> Markup:
    """What is there for whoever wants it."""
    return tag("details", tag("summary", summary), *children)
