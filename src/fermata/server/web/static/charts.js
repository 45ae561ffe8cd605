// Draws the two curves of the board with ECharts. Data comes from the server, colours from board.css.
"use strict";
(() => {
  const HOUR = 3600e3, DAY = 24 * HOUR;
  const number = new Intl.NumberFormat("en-US");
  const charts = { out: null, share: null };
  let data = null;

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

  const dayName = (ms) => new Date(ms).toLocaleDateString("en-GB", { day: "numeric", month: "short", timeZone: "UTC" });
  const momentName = (ms) => {
    const at = new Date(ms);
    return `${at.toLocaleDateString("en-GB", { weekday: "short", day: "numeric", month: "short", timeZone: "UTC" })} ` +
      at.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit", timeZone: "UTC" });
  };

  function series(values) {
    const points = values.map((value, index) => [data.start + index * data.step, value]);
    if (points.length) points.push([Math.max(data.now, points[points.length - 1][0]), values[values.length - 1]]);
    return points;
  }

  function frame(width, valueText) {
    return {
      animation: false,
      useUTC: true,
      aria: { enabled: false },
      grid: { left: 8, right: 22, top: 26, bottom: 2, containLabel: true },
      textStyle: { fontFamily: getComputedStyle(document.body).fontFamily, color: colour("muted") },
      legend: { top: 0, left: 0, itemWidth: 16, itemHeight: 8, itemGap: 14, textStyle: { color: colour("muted"), fontSize: 12 } },
      tooltip: {
        trigger: "axis", renderMode: "richText", backgroundColor: colour("card"), borderColor: colour("line"),
        textStyle: { color: colour("text"), fontSize: 12 }, axisPointer: { lineStyle: { color: colour("muted") } },
        formatter: (hits) => [momentName(hits[0].axisValue)].concat(
          hits.map((hit) => `${hit.seriesName}: ${valueText(hit.value[1])}`)).join("\n"),
      },
      xAxis: {
        type: "time", min: data.start, max: data.end, minInterval: DAY, splitNumber: width < 420 ? 4 : 8,
        axisLine: { lineStyle: { color: colour("line") } }, axisTick: { show: false }, splitLine: { show: false },
        axisLabel: { color: colour("muted"), fontSize: 11, hideOverlap: true, formatter: dayName },
      },
      yAxis: {
        type: "value", axisLabel: { color: colour("muted"), fontSize: 11, formatter: valueText },
        splitLine: { lineStyle: { color: colour("line-soft") } }, splitNumber: 3,
      },
    };
  }

  function limitLine(value, text) {
    return {
      silent: true, symbol: "none", animation: false, data: [{ yAxis: value }],
      lineStyle: { color: colour("bad"), type: "dashed", width: 1.5 },
      label: { formatter: text, color: colour("bad"), position: "insideEndTop", fontSize: 11.5 },
    };
  }

  function outOption(width) {
    const option = frame(width, (value) => number.format(value));
    option.series = [
      { name: "plan", type: "line", step: "end", symbol: "none", data: data.planned, z: 1,
        lineStyle: { width: 1, color: colour("plan") }, itemStyle: { color: colour("plan") }, areaStyle: { color: colour("plan"), opacity: .28 } },
      { name: "actual", type: "line", step: "end", symbol: "none", data: series(data.actual), z: 3,
        lineStyle: { width: 1.75, color: colour("open") }, itemStyle: { color: colour("open") } },
    ];
    if (data.cap !== null) {
      option.series[1].markLine = limitLine(data.cap, `limit ${number.format(data.cap)}`);
      option.yAxis.max = (extent) => Math.max(extent.max, data.cap) * 1.14;
      option.yAxis.axisLabel.showMaxLabel = false;
    }
    return option;
  }

  function shareOption(width) {
    const text = (value) => `${Number(value.toFixed(1))} %`;
    const percent = (points) => points.map(([at, count]) => [at, 100 * count / data.baseline]);
    const option = frame(width, text);
    option.series = [
      { name: "plan", type: "line", step: "end", symbol: "none", z: 1,
        data: data.planned.map(([at, out]) => [at, 100 * (data.baseline - out) / data.baseline]),
        lineStyle: { width: 1, color: colour("plan") }, itemStyle: { color: colour("plan") } },
      { name: "actual", type: "line", step: "end", symbol: "none", data: percent(series(data.in_service)), z: 3,
        lineStyle: { width: 1.75, color: colour("good") }, itemStyle: { color: colour("good") } },
    ];
    const lowest = Math.min(...option.series.flatMap((one) => one.data.map((point) => point[1])));
    option.yAxis.max = 100;
    option.yAxis.min = Math.max(0, Math.floor((lowest - 1) / 5) * 5);
    const room = 100 - option.yAxis.min;
    option.yAxis.interval = room <= 20 ? 5 : room <= 40 ? 10 : 25;
    return option;
  }

  function draw() {
    const drawn = { out: data !== null, share: data !== null && data.baseline > 0 };
    for (const [name, shown] of Object.entries(drawn)) document.getElementById(`chart-${name}`).hidden = !shown;
    if (data) window.fermataDraw(drawShown);
  }

  function drawShown(echarts) {
    for (const [name, option] of [["out", outOption], ["share", shareOption]]) {
      const box = document.getElementById(`chart-${name}`);
      if (box.hidden) continue;
      charts[name] ??= echarts.init(box, null, { renderer: "canvas" });
      charts[name].setOption(option(box.clientWidth), { notMerge: true, lazyUpdate: true });
    }
  }

  window.fermataCharts = {
    show(text) { data = JSON.parse(text); draw(); },
  };
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  const sizes = new ResizeObserver(() => Object.values(charts).forEach((chart) => chart && chart.resize()));
  document.querySelectorAll(".chart").forEach((box) => sizes.observe(box));
})();
