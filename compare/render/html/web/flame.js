'use strict';
// The differential flame graph. Callers are above, callees below. A frame is
// as wide as what it costs the head, and what only the base does stands beside
// it, hatched, as wide as it was there. The color is head minus base.
(() => {
  const {data} = page;
  const names = data.flames.names;
  const at = id => document.getElementById(id);
  const graph = at('flame-graph');
  const row = 20; // px
  const base = 0;
  let tree;        // the graph that is shown
  let merged;      // whether it is one of all calls of a function
  let zoomed = 0;  // its frame that fills the width
  let drawn = [];  // of every frame: its element, or nothing
  let focused = 0; // the frame that the keyboard is on
  let pattern;     // what is searched

  // read turns a graph, listed in preorder, into a tree: callers, callees,
  // the value of each frame with its callees.
  const read = g => {
    const n = g.name.length;
    const parent = new Array(n).fill(-1), children = Array.from({length: n}, () => []), path = [];
    for (let i = 0; i < n; i++) {
      path[g.depth[i]] = i;
      if (i === 0) continue;
      parent[i] = path[g.depth[i] - 1];
      children[parent[i]].push(i);
    }
    const total = g.self.map(self => {
      const sum = [...self];
      for (let i = n - 1; i > 0; i--) sum[parent[i]] += sum[i];
      return sum;
    });
    return {...g, size: n, parent, children, total};
  };
  const trees = data.flames.graphs.map(read);

  // callsOf merges all calls of one function, whoever calls it, into a graph of
  // its own. It shows what changed below a function that is called by other
  // functions than before.
  const callsOf = wanted => {
    const g = {label: tree.label, unit: tree.unit, name: [], depth: [], self: tree.self.map(() => [])};
    const add = (frames, depth) => {
      g.name.push(tree.name[frames[0]]);
      g.depth.push(depth);
      tree.self.forEach((self, v) => g.self[v].push(frames.reduce((sum, i) => sum + self[i], 0)));
      const callees = Map.groupBy(frames.flatMap(i => tree.children[i]), i => tree.name[i]);
      for (const same of callees.values()) add(same, depth + 1);
    };
    add(outermost(i => tree.name[i] === wanted), 0);
    return read(g);
  };

  // outermost are the frames that a test holds for, but not those inside others.
  const outermost = test => {
    const found = [], inside = new Array(tree.size).fill(false);
    for (let i = 0; i < tree.size; i++) {
      const within = i > 0 && inside[tree.parent[i]];
      inside[i] = within || test(i);
      if (inside[i] && !within) found.push(i);
    }
    return found;
  };

  const head = () => Number(at('flame-head').value);
  const relative = () => document.querySelector('input[name=flame-view]:checked').value === 'relative';
  const name = i => names[tree.name[i]];

  const share = (variant, i) => tree.total[variant][i] / (tree.total[variant][0] || 1);

  // value is what a frame costs a variant with its callees: per operation, or
  // in percent of the variant's total.
  const value = (variant, i) => {
    return relative() ? 100 * share(variant, i) : tree.total[variant][i];
  };
  const change = i => value(head(), i) - value(base, i);
  const isGone = i => tree.total[head()][i] <= 0 && tree.total[base][i] > 0;
  const isNew = i => tree.total[base][i] <= 0 && tree.total[head()][i] > 0;
  const amount = v => relative() ? `${v.toFixed(2)}%` : `${page.number(v)} ${tree.unit}`;
  const signed = v => (v > 0 ? '+' : v < 0 ? '−' : '±') + amount(Math.abs(v));

  // widths are those of all frames: the head's cost and, where wanted, what
  // only the base does below.
  const widths = () => {
    const width = new Array(tree.size);
    const gone = new Array(tree.size).fill(0);
    for (let i = tree.size - 1; i >= 0; i--) {
      if (isGone(i)) gone[i] = at('flame-gone').checked ? value(base, i) : 0;
      width[i] = isGone(i) ? gone[i] : value(head(), i) + gone[i];
      if (i > 0) gone[tree.parent[i]] += gone[i];
    }
    return width;
  };

  // places lays the callees of the zoomed frame out below it, from left to
  // right, those that are gone last; its callers are as wide as all.
  const places = () => {
    const width = widths(), place = new Map();
    const whole = width[zoomed] || 1;
    for (let i = tree.parent[zoomed]; i >= 0; i = tree.parent[i]) place.set(i, {x: 0, width: 1, caller: true});
    const put = (i, x) => {
      place.set(i, {x, width: width[i] / whole});
      const live = tree.children[i].filter(c => !isGone(c)), gone = tree.children[i].filter(isGone);
      for (const c of [...live, ...gone]) {
        if (width[c] / whole * graph.clientWidth < 0.8) continue; // nobody sees it
        put(c, x);
        x += width[c] / whole;
      }
    };
    put(zoomed, 0);
    return place;
  };

  // colors mixes the palette by the size of a change beside the largest; the
  // square root lets middling changes be seen.
  const colors = () => {
    const palette = ['--less', '--same', '--more'].map(n => page.color(n).match(/\d+(\.\d+)?/g).map(Number));
    const most = largestChange();
    return i => {
      const c = change(i), part = most ? Math.sqrt(Math.abs(c) / most) : 0;
      const [from, to] = [palette[1], palette[c < 0 ? 0 : 2]];
      return `rgb(${from.map((v, k) => Math.round(v + (to[k] - v) * part)).join(' ')})`;
    };
  };
  const largestChange = () => {
    let most = 0;
    for (let i = 1; i < tree.size; i++) most = Math.max(most, Math.abs(change(i)));
    return most;
  };

  const short = text => text.replace(/^.*\/(?=[^/]*$)/, '');
  const label = i => (isGone(i) ? '− ' : isNew(i) ? '+ ' : '') + short(name(i));

  const describe = i => {
    const b = value(base, i), h = value(head(), i);
    const part = variant => relative() ? '' : ` (${page.number(100 * share(variant, i))}%)`;
    const side = (variant, v) => `${data.variants[variant]} ${amount(v)}${part(variant)}`;
    const mark = isGone(i) ? ', gone' : isNew(i) ? ', new' : '';
    return `${name(i)}: ${side(base, b)}, ${side(head(), h)}; change ${signed(h - b)}${mark}`;
  };

  const element = (i, p, color) => {
    const e = document.createElement('div');
    e.className = 'frame';
    e.dataset.frame = i;
    e.setAttribute('role', 'treeitem');
    e.setAttribute('aria-level', tree.depth[i] + 1);
    e.setAttribute('aria-label', describe(i));
    e.tabIndex = i === focused ? 0 : -1;
    e.style.left = `${p.x * 100}%`;
    e.style.width = `${p.width * 100}%`;
    e.style.top = `${tree.depth[i] * row}px`;
    const pixels = p.width * graph.clientWidth;
    e.classList.toggle('thin', pixels < 8);
    if (pixels > 24) e.textContent = label(i);
    if (isGone(i)) e.classList.add('gone'); else e.style.backgroundColor = color(i);
    e.classList.toggle('caller', Boolean(p.caller));
    return e;
  };

  const draw = () => {
    const place = places(), color = colors(), list = [];
    if (!place.has(focused)) focused = zoomed;
    drawn = [];
    let deepest = 0;
    for (const [i, p] of place) {
      list.push(drawn[i] = element(i, p, color));
      deepest = Math.max(deepest, tree.depth[i]);
    }
    graph.style.height = `${(deepest + 1) * row}px`;
    graph.replaceChildren(...list);
    mark();
    legend();
    trail();
  };

  const legend = () => {
    const most = largestChange(), [b, h] = [data.variants[base], data.variants[head()]];
    at('flame-less').textContent = `less in ${h}: ${signed(-most)}`;
    at('flame-more').textContent = `more: ${signed(most)}`;
    at('flame-gone-key').textContent = `gone: only in ${b}`;
    at('flame-new-key').textContent = `new: only in ${h}`;
  };

  // trail names the zoomed frame and its nearest callers, as a way back.
  const trail = () => {
    const path = [];
    for (let i = zoomed; i >= 0; i = tree.parent[i]) path.unshift(i);
    const shown = path.length > 4 ? [path[0], null, ...path.slice(-2)] : path;
    const parts = shown.flatMap((i, k) => {
      const step = k ? [' › '] : [];
      if (i === null) return [...step, '…'];
      if (i === zoomed) {
        const here = document.createElement('span');
        here.textContent = short(name(i));
        here.setAttribute('aria-current', 'location');
        return [...step, here];
      }
      const button = document.createElement('button');
      button.type = 'button';
      button.textContent = short(name(i));
      button.addEventListener('click', () => zoom(i));
      return [...step, button];
    });
    at('flame-path').replaceChildren(...parts);
    at('flame-reset').disabled = zoomed === 0 && !merged;
    at('flame-calls').disabled = zoomed === 0;
    if (merged) at('flame-path').prepend('all calls of ');
  };

  const detail = i => { at('flame-detail').textContent = describe(i); };

  const zoom = i => {
    zoomed = focused = i;
    draw();
    detail(i);
  };

  const focus = i => {
    if (i === undefined || !drawn[i]) return;
    if (drawn[focused]) drawn[focused].tabIndex = -1;
    focused = i;
    drawn[i].tabIndex = 0;
    drawn[i].focus();
  };

  // beside is the next frame to the left or right in the same row.
  const beside = (i, step) => {
    const level = Object.keys(drawn).map(Number).filter(j => tree.depth[j] === tree.depth[i]);
    level.sort((a, b) => parseFloat(drawn[a].style.left) - parseFloat(drawn[b].style.left));
    return level[level.indexOf(i) + step];
  };

  const keys = {
    ArrowUp: i => focus(tree.parent[i]),
    ArrowDown: i => focus(tree.children[i].find(c => drawn[c])),
    ArrowLeft: i => focus(beside(i, -1)),
    ArrowRight: i => focus(beside(i, 1)),
    Home: () => focus(0),
    Enter: i => { zoom(i); focus(i); },
    ' ': i => { zoom(i); focus(i); },
    Escape: () => { const from = zoomed; zoom(Math.max(0, tree.parent[zoomed])); focus(drawn[from] ? from : zoomed); },
  };

  // mark shows which frames the search matches.
  const mark = () => {
    graph.classList.toggle('searching', Boolean(pattern));
    drawn.forEach((e, i) => e.classList.toggle('match', Boolean(pattern && pattern.test(name(i)))));
  };

  // search marks frames by name. What they cost is summed without counting a
  // frame inside another one twice.
  const search = () => {
    const text = at('flame-search').value;
    const matched = at('flame-matched');
    pattern = undefined;
    if (text) {
      try {
        pattern = new RegExp(text, 'i');
      } catch {
        pattern = new RegExp(text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'), 'i');
      }
    }
    mark();
    if (!pattern) { matched.textContent = ''; return; }
    const all = outermost(i => pattern.test(name(i)));
    const sum = variant => all.reduce((total, i) => total + value(variant, i), 0);
    const count = tree.name.filter(n => pattern.test(names[n])).length, before = sum(base), after = sum(head());
    matched.textContent = `${count} frames match: ${data.variants[base]} ${amount(before)}, ${data.variants[head()]} ${amount(after)}, change ${signed(after - before)}`;
  };

  const show = calls => {
    merged = Boolean(calls);
    tree = calls || trees[Number(at('flame-profile').value)];
    zoomed = focused = 0;
    redraw();
    detail(0);
  };

  const redraw = () => {
    draw();
    search();
  };

  const option = (value, text) => Object.assign(document.createElement('option'), {value, textContent: text});
  at('flame-profile').append(...trees.map((t, i) => option(i, `${t.label}, ${t.unit}`)));
  at('flame-head').append(...data.variants.map((v, i) => option(i, v)).slice(1));
  at('flame').hidden = false;

  const frameOf = e => { const f = e.target.closest('.frame'); return f ? Number(f.dataset.frame) : undefined; };
  graph.addEventListener('click', e => { const i = frameOf(e); if (i !== undefined) { zoom(i); focus(i); } });
  graph.addEventListener('mouseover', e => { const i = frameOf(e); if (i !== undefined) detail(i); });
  graph.addEventListener('focusin', e => { const i = frameOf(e); if (i !== undefined) detail(i); });
  graph.addEventListener('keydown', e => {
    const i = frameOf(e), act = keys[e.key];
    if (i === undefined || !act || e.ctrlKey || e.metaKey || e.altKey) return;
    e.preventDefault();
    act(i);
  });
  at('flame-reset').addEventListener('click', () => { show(); focus(0); });
  at('flame-calls').addEventListener('click', () => { show(callsOf(tree.name[zoomed])); focus(0); });
  at('flame-profile').addEventListener('change', () => show());
  for (const id of ['flame-head', 'flame-gone']) at(id).addEventListener('change', redraw);
  for (const radio of document.querySelectorAll('input[name=flame-view]')) radio.addEventListener('change', redraw);
  at('flame-search').addEventListener('input', search);
  document.querySelector('.controls').addEventListener('submit', e => e.preventDefault());
  new ResizeObserver(() => { if (graph.clientWidth !== graph.drawnWidth) { graph.drawnWidth = graph.clientWidth; draw(); } }).observe(graph);
  page.onTheme.push(draw);
  show();
})();
