'use strict';
// The line charts: slices over time, and latency by percentile.
(() => {
  const data = page.data;
  const charts = [];
  const dashes = [[], [], [], [8, 3], [3, 3], [8, 3, 2, 3]];

  // line is how a variant is drawn; what is of second rank is dotted.
  const line = (label, i, dotted) => ({
    label,
    stroke: () => page.color(`--variant-${i % 6}`),
    width: i === 0 ? 1.5 : 2,
    dash: dotted ? [2, 4] : dashes[i % dashes.length],
    value: (u, v) => v == null ? '–' : page.number(v),
    points: {show: false},
  });

  const axis = extra => ({
    stroke: () => page.color('--muted'),
    grid: {stroke: () => page.color('--line'), width: 1},
    ticks: {stroke: () => page.color('--line'), width: 1},
    ...extra,
  });

  // nearest finds, for the cursor, the closest point at which a series has a
  // value: at one time only one variant has a slice.
  const nearest = (u, series, i) => {
    const values = u.data[series];
    for (let d = 0; d < values.length; d++) {
      if (values[i - d] != null) return i - d;
      if (values[i + d] != null) return i + d;
    }
    return i;
  };

  const draw = (id, options, values) => {
    const place = document.getElementById(id);
    const size = () => ({width: place.clientWidth, height: place.clientWidth < 500 ? 260 : 320});
    const chart = new uPlot({...size(), ...options}, values, place);
    new ResizeObserver(() => { if (chart.width !== size().width) chart.setSize(size()); }).observe(place);
    charts.push(chart);
  };

  // borders draws where blocks begin.
  const borders = u => {
    const {ctx, bbox} = u;
    ctx.save();
    ctx.strokeStyle = ctx.fillStyle = page.color('--muted');
    ctx.lineWidth = devicePixelRatio;
    ctx.setLineDash([4 * devicePixelRatio, 4 * devicePixelRatio]);
    ctx.font = `${11 * devicePixelRatio}px system-ui, sans-serif`;
    ctx.textAlign = 'left';
    ctx.textBaseline = 'top';
    const room = data.borders.length > 1 ? bbox.width / data.borders.length : bbox.width;
    data.borders.forEach((t, block) => {
      const x = Math.round(u.valToPos(t, 'x', true));
      if (x < bbox.left || x > bbox.left + bbox.width) return;
      ctx.beginPath();
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, bbox.top + bbox.height);
      ctx.stroke();
      if (room > 24 * devicePixelRatio) ctx.fillText(block + 1, x + 3 * devicePixelRatio, bbox.top + 2);
    });
    ctx.restore();
  };

  // decades is a logarithmic axis with a line a power of ten.
  const decade = v => Math.abs(Math.log10(v) % 1) < 1e-9;
  const decades = (u, ticks) => ticks.map(v => decade(v) ? v : null);
  const logarithmic = () => axis({size: 64, filter: decades, grid: {stroke: () => page.color('--line'), width: 1, filter: decades}, ticks: {show: false}, values: (u, ticks) => ticks.map(v => v == null ? null : `${v}`)});
  const linear = () => axis({size: 64, values: (u, ticks) => ticks.map(v => v.toLocaleString('en'))});

  // overTime joins the variants' slices on one axis of time. A point without a
  // value is a gap (2, uPlot's NULL_EXPAND), unlike a time that only others have.
  const overTime = (id, column, y, scale) => draw(id, {
    cursor: {sync: {key: 'time'}, dataIdx: nearest},
    hooks: {draw: [borders]},
    scales: {x: {time: false}, y: scale},
    axes: [axis({values: (u, ticks) => ticks.map(t => `${t} s`)}), y],
    series: [{label: 'time', value: (u, v) => v == null ? '–' : `${v.toFixed(2)} s`}, ...data.variants.map((name, i) => line(name, i))],
  }, uPlot.join(data.slices.map(s => [s.start, s[column]]), data.slices.map(() => [0, 2])));

  const percent = nines => nines == null ? '–' : nines === 0 ? '0%' : `${(100 * (1 - 10 ** -nines)).toFixed(Math.max(0, Math.ceil(nines) - 2 + (nines % 1 ? 1 : 0)))}%`;

  const byPercentile = () => draw('chart-percentiles', {
    scales: {x: {time: false}, y: {distr: 3}},
    axes: [
      axis({splits: (u, i, min, max) => (u.width < 500 ? [0, 1, 2, 3, 5, 7] : [0, Math.log10(2), 1, 2, 3, 4, 5, 6, 7]).filter(x => x >= min && x <= max), values: (u, ticks) => ticks.map(percent)}),
      logarithmic(),
    ],
    series: [{label: 'percentile', value: (u, v) => percent(v)}, ...data.latency.lines.map(l => line(l.label, l.variant, l.sent))],
  }, [data.latency.nines, ...data.latency.lines.map(l => l.ms)]);

  overTime('chart-ops', 'ops', linear(), {range: (u, low, high) => [0, (high || 1) * 1.05]});
  overTime('chart-ms', 'ms', logarithmic(), {distr: 3});
  byPercentile();
  page.onTheme.push(() => { for (const chart of charts) chart.redraw(false); });
})();
