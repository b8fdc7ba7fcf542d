'use strict';
// The page around the charts: colors, and tables that sort.

// page is what the other scripts share: the report's data, colors as the
// theme has them, and a way to hear that they changed.
const page = {
  data: JSON.parse(document.getElementById('data').textContent),
  onTheme: [],
  // color resolves a custom property of the style sheet, for a canvas.
  color(name) {
    const probe = document.createElement('span');
    probe.style.color = `var(${name})`;
    document.body.append(probe);
    const color = getComputedStyle(probe).color;
    probe.remove();
    return color;
  },
  formats: [0, 1, 2, 3].map(digits => new Intl.NumberFormat('en', {minimumFractionDigits: digits, maximumFractionDigits: digits})),
  // number prints a figure with about three significant digits.
  number(v) {
    const a = Math.abs(v);
    return page.formats[a === 0 || a >= 100 ? 0 : a >= 10 ? 1 : a >= 1 ? 2 : 3].format(v);
  },
};

// The theme is the system's until the reader chooses; paper is always light.
(() => {
  const root = document.documentElement;
  const button = document.getElementById('theme');
  const system = matchMedia('(prefers-color-scheme: dark)');
  let chosen = '';
  const dark = () => (chosen || (system.matches ? 'dark' : 'light')) === 'dark';
  const show = theme => {
    if (theme) root.dataset.theme = theme; else delete root.dataset.theme;
    button.setAttribute('aria-pressed', dark());
    for (const f of page.onTheme) f();
  };
  button.addEventListener('click', () => show(chosen = dark() ? 'light' : 'dark'));
  system.addEventListener('change', () => show(chosen));
  addEventListener('beforeprint', () => show('light'));
  addEventListener('afterprint', () => show(chosen));
  show(chosen);
})();

// Tables sort by the columns whose cells hold figures, and by name.
for (const table of document.querySelectorAll('table.sortable')) {
  const body = table.tBodies[0];
  const cells = row => row.children;
  const heads = [...table.tHead.rows[0].cells];
  const value = (row, column) => {
    const cell = cells(row)[column];
    return 'sort' in cell.dataset ? Number(cell.dataset.sort) : cell.textContent;
  };
  const sort = column => {
    const figures = typeof value(body.rows[0], column) === 'number';
    const first = figures ? 'descending' : 'ascending', second = figures ? 'ascending' : 'descending';
    const order = heads[column].getAttribute('aria-sort') === first ? second : first;
    for (const head of heads) head.removeAttribute('aria-sort');
    heads[column].setAttribute('aria-sort', order);
    const sign = order === 'ascending' ? 1 : -1;
    const compare = (a, b) => figures ? a - b : a.localeCompare(b);
    body.append(...[...body.rows].sort((a, b) => sign * compare(value(a, column), value(b, column))));
  };
  heads.forEach((head, column) => {
    if (!body.rows.length || column > 0 && !('sort' in cells(body.rows[0])[column].dataset)) return;
    const button = document.createElement('button');
    button.type = 'button';
    button.textContent = head.textContent;
    button.addEventListener('click', () => sort(column));
    head.dataset.sortable = '';
    head.replaceChildren(button);
  });
}
