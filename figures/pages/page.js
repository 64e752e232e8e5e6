// Each figure follows the window: panels side by side on a wide one, one below the other otherwise.
(() => {
  if (typeof Plotly === "undefined") return; // each figure's place says what is lacking
  const plain = (value) => value !== null && typeof value === "object" && !Array.isArray(value);
  const merged = (one, other) => {
    const found = { ...one };
    for (const [key, value] of Object.entries(other)) {
      found[key] = plain(value) && plain(found[key]) ? merged(found[key], value) : value;
    }
    return found;
  };
  const narrow = window.matchMedia("(max-width: 720px)");
  for (const element of document.querySelectorAll(".plot")) {
    const drawn = JSON.parse(element.nextElementSibling.textContent);
    element.replaceChildren();
    const layouts = { false: drawn.layout, true: merged(drawn.layout, drawn.narrow) };
    const show = () => {
      const shown = drawn.data.filter((trace) => !(narrow.matches && trace.meta?.wide));
      Plotly.purge(element);
      Plotly.newPlot(element, shown, structuredClone(layouts[narrow.matches]), drawn.config);
    };
    show();
    narrow.addEventListener("change", show);
  }
})();
