// Draws what a campaign takes of its limits, and its progress with the fan of what is foreseen. Colours from board.css.
"use strict";
(() => {
  const main = document.querySelector("main[data-curves]");
  if (!main) return;
  const DAY = 24 * 3600e3;
  const number = new Intl.NumberFormat("en-US");
  const pick = document.getElementById("limit");
  const charts = {};
  let data = null;

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  const part = (ms, how) => new Date(ms).toLocaleDateString("en-GB", { timeZone: "UTC", ...how });
  const dayName = (ms) => part(ms, { day: "numeric", month: "short" });
  const moment = (ms) => `${part(ms, { weekday: "short", day: "numeric", month: "short" })} ${
    new Date(ms).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit", timeZone: "UTC" })}`;

  function frame(width, low) {
    return {
      animation: false, useUTC: true, aria: { enabled: false },
      grid: { left: 8, right: 24, top: low ? 46 : 28, bottom: 2, containLabel: true },
      textStyle: { fontFamily: getComputedStyle(document.body).fontFamily, color: colour("muted") },
      legend: { top: 0, left: 0, itemWidth: 16, itemHeight: 8, itemGap: 12, textStyle: { color: colour("muted"), fontSize: 12 } },
      tooltip: {
        trigger: "axis", renderMode: "richText", backgroundColor: colour("card"), borderColor: colour("line"),
        textStyle: { color: colour("text"), fontSize: 12 }, axisPointer: { lineStyle: { color: colour("muted") } },
        formatter: (hits) => [moment(hits[0].axisValue)].concat(hits.filter((hit) => !hit.seriesName.startsWith("_"))
          .map((hit) => `${hit.seriesName}: ${number.format(hit.value[1])}`)).join("\n"),
      },
      xAxis: {
        type: "time", min: data.start, max: data.end, minInterval: DAY, splitNumber: width < 420 ? 4 : 8,
        axisLine: { lineStyle: { color: colour("line") } }, axisTick: { show: false }, splitLine: { show: false },
        axisLabel: { color: colour("muted"), fontSize: 11, hideOverlap: true, formatter: dayName },
      },
      yAxis: {
        type: "value", min: 0, axisLabel: { color: colour("muted"), fontSize: 11, formatter: (value) => number.format(value) },
        splitLine: { lineStyle: { color: colour("line-soft") } }, splitNumber: 4, minInterval: 1,
      },
    };
  }

  function line(name, points, tone, more) {
    return { name, type: "line", symbol: "none", data: points, lineStyle: { width: 1.75, color: colour(tone) },
      itemStyle: { color: colour(tone) }, ...more };
  }

  function mark(places, text, tone) {
    return { silent: true, symbol: "none", animation: false, data: [places],
      lineStyle: { color: colour(tone), type: "dashed", width: 1.5 },
      label: { formatter: text, color: colour(tone), position: "insideEndTop", fontSize: 11.5 } };
  }

  function limitOption(width) {
    const limit = data.limits[Number(pick.value)];
    const option = frame(width, false);
    const used = limit.used.map((value, index) => [data.start + index * data.step, value]);
    if (used.length) used.push([Math.max(data.now, used[used.length - 1][0]), limit.used[limit.used.length - 1]]);
    option.series = [
      line("planned", limit.planned, "plan", { step: "end", areaStyle: { color: colour("plan"), opacity: .28 }, lineStyle: { width: 1, color: colour("plan") }, z: 1 }),
      line("used", used, "open", { step: "end", z: 3, markLine: mark({ yAxis: limit.allowed }, `allowed ${number.format(limit.allowed)}`, "bad") }),
    ];
    option.yAxis.max = (extent) => Math.max(extent.max, limit.allowed) * 1.14;
    option.yAxis.axisLabel.showMaxLabel = false;
    return option;
  }

  function burnOption(width) {
    const option = frame(width, width < 560);
    const back = data.returned.concat([[data.now, data.returned.length ? data.returned[data.returned.length - 1][1] : 0]]);
    const from = data.foreseen === null ? [] : [[data.foreseen, data.returned.filter(([at]) => at <= data.foreseen).reduce((_, point) => point[1], 0)]];
    const median = from.concat(data.fan.map(([at, middle]) => [at, middle]));
    const bound = from.concat(data.fan.map(([at, , least]) => [at, least]));
    const band = median.map(([at, middle], index) => [at, middle - bound[index][1]]);
    option.series = [
      line("planned", data.planned, "plan", { step: "end", z: 1 }),
      line("nine in ten, or more", bound, "warn", { z: 2, stack: "fan", lineStyle: { width: 1, color: colour("warn"), type: "dotted" } }),
      line("_band", band, "open", { z: 2, stack: "fan", lineStyle: { opacity: 0 }, areaStyle: { color: colour("open"), opacity: .22 }, tooltip: { show: false } }),
      line("foreseen, half", median, "open", { z: 3, lineStyle: { width: 1.5, color: colour("open"), type: "dashed" } }),
      line("back", back, "good", { step: "end", z: 4, lineStyle: { width: 2.25, color: colour("good") },
        markLine: mark({ xAxis: data.deadline }, "deadline", "bad") }),
    ];
    Object.assign(option.series[4].markLine.label, { position: "insideEnd", rotate: 0, align: "right", offset: [-5, 12] });
    option.legend.data = option.series.map((one) => one.name).filter((name) => name !== "_band" && (data.fan.length || !/half|nine/.test(name)));
    option.yAxis.axisLabel.showMaxLabel = true;
    option.xAxis.max = Math.max(data.end, data.deadline);
    option.yAxis.max = data.in_scope;
    return option;
  }

  function draw() {
    if (data) window.fermataDraw(drawBoth);
  }

  function drawBoth(echarts) {
    for (const [name, option] of [["limit", limitOption], ["burn", burnOption]]) {
      const box = document.getElementById(`plot-${name}`);
      if (!box || (name === "limit" && !pick.value)) continue;
      box.hidden = false;
      if (!charts[name]) {
        charts[name] = echarts.init(box, null, { renderer: "canvas" });
        new ResizeObserver(() => { charts[name].resize(); }).observe(box);
      }
      charts[name].setOption(option(box.clientWidth), { notMerge: true });
    }
  }

  function openTarget() {
    const found = location.hash.startsWith("#on-") && document.getElementById(location.hash.slice(1));
    if (!found) return;
    found.closest("details").open = true;
    found.scrollIntoView({ block: "center" });
    found.querySelector("a, td").focus?.();
  }

  async function load() {
    const answer = await fetch(main.dataset.curves);
    if (!answer.ok) return; // the tables below say the same
    data = await answer.json();
    if (!data) return;
    document.getElementById("pick").hidden = false;
    draw();
  }

  pick?.addEventListener("change", draw);
  window.addEventListener("hashchange", openTarget);
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  openTarget();
  load();
})();
