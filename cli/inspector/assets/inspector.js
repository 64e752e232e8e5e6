"use strict";
/* Client-side callbacks: the address, linked axes, clicks on classes, playback. */
(() => {
  const CLASS = /class (\d+)\b/;
  const AXIS = /^[xy]axis\d*\.(range(\[[01]\])?|autorange)$|^scene\d*\.camera$/;
  const PATIENCE = 4000; // milliseconds
  const skip = () => window.dash_clientside.no_update;
  const name = (id) => JSON.stringify(id, Object.keys(id).sort());
  const plot = (id) => {
    const place = document.getElementById(name(id));
    return place && place.querySelector(".js-plotly-plot");
  };

  function value(layout, path) {
    return path.replace(/\[(\d)\]/g, ".$1").split(".").reduce((at, key) => at && at[key], layout);
  }

  /* The class of a clicked point: the row of a heat map, or the name of a curve or point cloud. */
  function classOf(point, figure, panel) {
    const trace = figure.data[point.curveNumber] || {};
    for (const text of trace.type === "heatmap" ? [point.y] : [trace.name]) {
      const found = CLASS.exec(String(text));
      if (found) return Number(found[1]);
    }
    const line = panel === "accuracy" && trace.type === "scatter";
    return line && Number.isInteger(point.x) ? point.x : null;
  }

  function address(query) {
    window.history.replaceState(null, "", window.location.pathname + (query || ""));
    return skip();
  }

  async function copy() {
    try {
      await navigator.clipboard.writeText(window.location.href);
      return "Copied.";
    } catch {
      return window.location.href;
    }
  }

  function link() {
    const context = window.dash_clientside.callback_context;
    for (const event of context.triggered) {
      if (!event.value) continue;
      const own = JSON.parse(event.prop_id.slice(0, event.prop_id.lastIndexOf(".")));
      const change = Object.fromEntries(
        Object.entries(event.value).filter(([key]) => AXIS.test(key)));
      if (!Object.keys(change).length) continue;
      for (const { id } of context.inputs_list[0]) {
        if (id.panel !== own.panel || id.row !== own.row || id.run === own.run) continue;
        const other = plot(id);
        if (!other || !window.Plotly) continue;
        const differs = Object.entries(change).some(
          ([key, to]) => JSON.stringify(value(other.layout, key)) !== JSON.stringify(to));
        if (differs) window.Plotly.relayout(other, change);
      }
    }
    return skip();
  }

  function pick(_clicks, figures) {
    const context = window.dash_clientside.callback_context;
    const event = context.triggered.find((one) => one.value && one.value.points);
    if (!event) return skip();
    const key = event.prop_id.slice(0, event.prop_id.lastIndexOf("."));
    const at = context.inputs_list[0].findIndex((one) => name(one.id) === name(JSON.parse(key)));
    const found = at < 0 ? null : classOf(event.value.points[0], figures[at], JSON.parse(key).panel);
    return found === null ? skip() : found;
  }

  /* Panels are drawn while they are in sight or close to it. */
  const inSight = new Set();
  const observer = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      const panel = target.dataset.panel;
      if (!target.isConnected || inSight.has(panel) === isIntersecting) continue;
      if (isIntersecting) inSight.add(panel);
      else inSight.delete(panel);
      window.dash_clientside.set_props({ type: "seen", panel }, { data: isIntersecting });
    }
  }, { rootMargin: "200px" });

  const frame = () => new Promise((done) => window.requestAnimationFrame(done));
  const pause = () => new Promise((done) => window.setTimeout(done, 20));

  /* The picture of the page itself is drawn first: the other requests of the page, for panels and
     the table of runs, would compete for the processor. */
  async function watch() {
    await frame();
    const end = window.performance.now() + PATIENCE;
    const waits = () => document.querySelector(".board .dash-graph:not(:has(.main-svg))");
    while (waits() && window.performance.now() < end) await pause();
    observer.disconnect();
    inSight.clear();
    document.querySelectorAll(".board .panel").forEach((one) => observer.observe(one));
    return true;
  }

  /* Until a person chooses, the page is as dark or light as the system. */
  function theme(clicks) {
    const root = document.documentElement.dataset;
    const own = window.localStorage.getItem("theme");
    const system = window.matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
    root.theme = own || system;
    if (clicks) {
      root.theme = root.theme === "dark" ? "light" : "dark";
      window.localStorage.setItem("theme", root.theme);
    }
    return root.theme;
  }

  function play(_clicks, stopped) {
    return [!stopped, stopped ? "Pause" : "Play"];
  }

  /* Wait for a checkpoint that is still being drawn. */
  function tick(_ticks, at, last) {
    const slider = document.getElementById("epoch");
    if (slider && slider.disabled) return skip();
    if (document.querySelector(".board [data-dash-is-loading=true]")) return skip();
    return Number(at) >= last ? 0 : Number(at) + 1;
  }

  /* The page's head loads the drawing library; until it is loaded, Dash waits for this promise
     instead of loading it a second time. */
  if (!window.Plotly) {
    const loads = document.getElementById("drawing");
    window.Plotly = new Promise((done) => loads.addEventListener("load", done));
  }

  /* Dash restores the cursor of every input, and a slider has none. */
  const select = HTMLInputElement.prototype.setSelectionRange;
  HTMLInputElement.prototype.setSelectionRange = function (...ends) {
    if (this.type !== "range") select.apply(this, ends);
  };

  window.dash_clientside = Object.assign({}, window.dash_clientside, {
    inspector: { address, copy, link, pick, play, theme, tick, watch },
  });
})();
