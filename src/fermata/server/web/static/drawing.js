// Fetches ECharts once a page has something to draw and has painted: it weighs more than everything else together.
"use strict";
(() => {
  const address = document.currentScript.dataset.library;
  let library = null;

  const painted = () => new Promise((done) => { requestAnimationFrame(() => { setTimeout(done); }); });

  const fetched = () => new Promise((done, failed) => {
    const script = document.createElement("script");
    script.src = address;
    script.onload = () => { done(window.echarts); };
    script.onerror = () => { library = null; failed(new Error("the charts' library did not come")); }; // the next draws try again
    document.head.append(script);
  });

  // Calls `draw` with the library: at once where it is here, after the first paint where it is not.
  window.fermataDraw = (draw) => {
    if (window.echarts) { draw(window.echarts); return; }
    library ??= painted().then(fetched);
    library.then(draw, () => {}); // tables and captions say the same
  };
})();
