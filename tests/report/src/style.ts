/** The page's looks, light and dark. Colours of outcomes keep apart for colour-blind eyes and by lightness. */
export const STYLE = `
:root {
  color-scheme: light dark;
  --paper: #fbfbf9; --card: #ffffff; --ink: #1c2024; --soft: #5c6670; --line: #dfe2e0; --grid: #eceeec;
  --old: #2f66b3; --new: #1d9a72; --trial: #e0a020; --safe-mode: #98a0aa; --violation: #c8234f;
  --good: #16805d; --bad: #c8234f;
  --c0: #2f66b3; --c1: #1d9a72; --c2: #e0a020; --c3: #8a5cc2; --c4: #d3673a; --c5: #3fa3bd; --c6: #a8823c;
  --c7: #c2558f; --c8: #6f8f3a; --c9: #6b7685;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #14171a; --card: #1c2125; --ink: #e8eaea; --soft: #9aa5ae; --line: #343b41; --grid: #262c31;
    --old: #74a8ec; --new: #4fcf9f; --trial: #f2c25c; --safe-mode: #7d8792; --violation: #ff6a8d;
    --good: #57d3a2; --bad: #ff6a8d;
    --c0: #74a8ec; --c1: #4fcf9f; --c2: #f2c25c; --c3: #b594ea; --c4: #f0976d; --c5: #6fcbe2; --c6: #d0ae6c;
    --c7: #ea8fbd; --c8: #a5c86c; --c9: #95a0ad;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 1120px; margin: 0 auto; padding: 2.5rem 1.25rem 4rem; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .4rem; letter-spacing: -.01em; }
h2 { font-size: 1.3rem; margin: 3rem 0 .3rem; }
h3 { font-size: 1rem; margin: 1.4rem 0 .4rem; }
p { margin: .3rem 0 .9rem; max-width: 46rem; }
.soft, figcaption, .note { color: var(--soft); }
.note { font-size: .87rem; }
.good { color: var(--good); } .bad { color: var(--bad); }
code { font: .87em ui-monospace, monospace; background: var(--grid); padding: .1em .35em; border-radius: 4px; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(170px, 1fr)); gap: .8rem; margin: 1.4rem 0; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: .9rem 1rem; }
.card b { display: block; font-size: 1.55rem; line-height: 1.2; font-variant-numeric: tabular-nums; }
.card span { color: var(--soft); font-size: .87rem; }
figure { background: var(--card); border: 1px solid var(--line); border-radius: 10px; margin: .8rem 0; padding: 1rem; }
figcaption { font-size: .9rem; margin-bottom: .5rem; }
.wide { overflow-x: auto; }
svg { display: block; width: 100%; height: auto; }
svg text { font: 12px system-ui, sans-serif; fill: var(--soft); }
svg .strong { fill: var(--ink); }
svg .grid { stroke: var(--grid); stroke-width: 1; }
svg .axis { stroke: var(--line); stroke-width: 1; }
svg .mark { stroke: var(--ink); stroke-width: 2; }
svg .lane { fill: var(--grid); }
.legend { display: flex; flex-wrap: wrap; gap: .3rem 1.1rem; font-size: .87rem; color: var(--soft); margin: .4rem 0; }
.legend i { display: inline-block; width: .8em; height: .8em; border-radius: 3px; margin-right: .4em; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: .93rem; }
th, td { text-align: left; padding: .38rem .7rem .38rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
th { color: var(--soft); font-weight: 500; }
td.number, th.number { text-align: right; }
details { border-top: 1px solid var(--line); padding: .5rem 0; }
details > summary { cursor: pointer; font-weight: 500; }
details > summary .soft { font-weight: 400; }
@media (max-width: 640px) { figure { padding: .6rem; } svg.drawn { min-width: 720px; } }
@media print { body { background: none; } figure, .card { break-inside: avoid; } }
`;
