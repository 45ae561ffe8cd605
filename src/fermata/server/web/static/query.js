// Ctrl or Cmd with Enter runs the query, and an answer of texts and numbers is drawn as bars; everything else works
// without script.
"use strict";
(() => {
  const text = document.getElementById("q");
  text.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      text.form.requestSubmit();
    }
  });

  const box = document.getElementById("bars");
  if (!box) return;
  const ROW = 22, BESIDE = 56;
  const told = JSON.parse(box.dataset.chart);
  box.style.height = `${BESIDE + told.labels.length * Math.max(ROW, told.series.length * 13)}px`;
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  const number = new Intl.NumberFormat("en-US");

  function draw(chart) {
    const width = box.clientWidth;
    const quiet = { color: colour("muted"), fontSize: 11.5 };
    chart.setOption({
      animation: false,
      color: [colour("open"), colour("good"), colour("warn")],
      textStyle: { fontFamily: getComputedStyle(document.body).fontFamily },
      grid: { left: 4, right: 56, top: told.series.length > 1 ? 30 : 6, bottom: 4, containLabel: true },
      legend: told.series.length > 1 ? { top: 0, left: 0, textStyle: quiet } : undefined,
      xAxis: { type: "value", axisLabel: { ...quiet, hideOverlap: true, formatter: (value) => number.format(value) }, splitLine: { lineStyle: { color: colour("line-soft") } }, splitNumber: width < 500 ? 2 : 5 },
      yAxis: { type: "category", inverse: true, data: told.labels, axisTick: { show: false }, axisLine: { lineStyle: { color: colour("line") } },
        axisLabel: { ...quiet, color: colour("text"), interval: 0, width: width < 500 ? 130 : 380, overflow: "truncate" } },
      series: told.series.map((one) => ({ name: one.name, type: "bar", data: one.values, barMaxWidth: 14,
        label: { show: true, position: "right", ...quiet, formatter: (hit) => number.format(hit.value) } })),
    }, { notMerge: true });
  }
  window.fermataDraw((echarts) => {
    const chart = echarts.init(box, null, { renderer: "canvas" });
    draw(chart);
    window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { draw(chart); });
    new ResizeObserver(() => { chart.resize(); draw(chart); }).observe(box);
  });
})();
