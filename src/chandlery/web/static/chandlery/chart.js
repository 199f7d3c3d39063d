// A market's chart. Candles by Lightweight Charts; under them, the verdicts of the slots without one; below, who has
// answered for which time. Both are drawn on canvases of our own, by the place that the chart gives to a time.

import { drawLanes, drawVerdicts } from "./bands.js";
import { unread } from "./unread.js";

const box = document.getElementById("chart");
const said = document.getElementById("chart-said");
const picker = document.getElementById("chart-interval");
const IN_VIEW = 800;
const MOST_BUNDLED = 10;

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

class Chart {
  constructor() {
    const asked = new URLSearchParams(location.search);
    const options = [...picker.options].map((option) => option.value);
    if (options.includes(asked.get("interval"))) picker.value = asked.get("interval");
    this.make();
    this.listen();
    const start = Number(asked.get("start")), end = Number(asked.get("end"));
    // Whoever follows a link to a range sees all of it, several candles to a point if need be.
    this.whole = Boolean(start && end);
    const margin = this.margin(end - start);
    this.load(this.whole ? { start: start - margin, end: end + margin } : null);
  }

  // Of a gap, its surroundings are shown as well, as far as that takes no coarser points.
  margin(long) {
    const wanted = Math.max(3600, long / 2), room = Number(picker.value) * 60 * IN_VIEW - long;
    return room > 0 ? Math.min(wanted, room / 2) : wanted;
  }

  make() {
    this.chart = LightweightCharts.createChart(document.getElementById("chart-candles"), {
      autoSize: true,
      layout: { attributionLogo: false, background: { color: "transparent" } },
      timeScale: { timeVisible: true, secondsVisible: false, rightOffset: 0, minBarSpacing: 0.05 },
      crosshair: { mode: LightweightCharts.CrosshairMode.Normal },
      localization: { locale: "en-GB" },
    });
    this.candles = this.chart.addSeries(LightweightCharts.CandlestickSeries, { priceLineVisible: false });
    this.volume = this.chart.addSeries(LightweightCharts.HistogramSeries, {
      priceScaleId: "volume", priceFormat: { type: "volume" }, priceLineVisible: false, lastValueVisible: false,
    });
    this.chart.priceScale("volume").applyOptions({ scaleMargins: { top: 0.82, bottom: 0 } });
    this.candles.priceScale().applyOptions({ scaleMargins: { top: 0.06, bottom: 0.22 } });
    this.dress();
  }

  dress() {
    const line = colour("--line"), text = colour("--faint");
    this.chart.applyOptions({
      layout: { textColor: text }, grid: { vertLines: { color: line }, horzLines: { color: line } },
      rightPriceScale: { borderColor: line }, timeScale: { borderColor: line },
    });
    const up = colour("--up"), down = colour("--down");
    this.candles.applyOptions({ upColor: up, downColor: down, wickUpColor: up, wickDownColor: down, borderVisible: false });
    this.volume.applyOptions({ color: text });
  }

  listen() {
    this.chart.timeScale().subscribeVisibleLogicalRangeChange(() => { this.draw(); this.soon(); });
    this.chart.subscribeCrosshairMove((event) => this.tell(event));
    new ResizeObserver(() => this.draw()).observe(box);
    document.addEventListener("themechange", () => { this.dress(); this.draw(); });
    picker.addEventListener("change", () => { this.whole = false; this.load(this.view()); });
    for (const button of document.querySelectorAll("[data-days]")) {
      button.addEventListener("click", () => this.period(Number(button.dataset.days)));
    }
    for (const button of document.querySelectorAll("[data-move]")) {
      button.addEventListener("click", () => this.shift(Number(button.dataset.move)));
    }
    for (const button of document.querySelectorAll("[data-zoom]")) {
      button.addEventListener("click", () => this.zoom(Number(button.dataset.zoom)));
    }
  }

  async load(view) {
    const asked = new URLSearchParams({ interval: picker.value });
    if (this.whole) asked.set("whole", "1");
    if (view) {
      asked.set("start", Math.floor(view.start));
      asked.set("end", Math.ceil(view.end));
    }
    const number = this.asked = (this.asked || 0) + 1;
    const response = await fetch(`${box.dataset.url}?${asked}`);
    // Whoever has moved on meanwhile has asked again.
    if (number !== this.asked) return;
    if (!response.ok) {
      said.textContent = unread(response, "The candles cannot be loaded.");
      return;
    }
    this.show(await response.json());
  }

  show(data) {
    if (!data.candles) {
      said.textContent = "Nothing is stored of it.";
      return;
    }
    this.data = data;
    const columns = data.candles, step = data.step;
    const bars = [], volumes = [];
    let i = 0;
    // Every slot has its place, also one without a candle: time runs evenly, and silence is as wide as it was long.
    for (let time = data.start; time < data.end; time += step) {
      if (columns.time[i] === time) {
        bars.push({ time, open: columns.open[i], high: columns.high[i], low: columns.low[i], close: columns.close[i] });
        volumes.push({ time, value: columns.volume[i] });
        i += 1;
      } else {
        bars.push({ time });
      }
    }
    this.settling = true;
    const price = columns.close.at(-1) || 1, digits = Math.max(0, Math.min(8, 5 - Math.ceil(Math.log10(price))));
    this.candles.applyOptions({ priceFormat: { type: "price", precision: digits, minMove: 10 ** -digits } });
    this.candles.setData(bars);
    this.volume.setData(volumes);
    const place = (time) => Math.min(Math.max((time - data.start) / step, 0), bars.length);
    const from = place(data.view.start);
    this.chart.timeScale().setVisibleLogicalRange({ from, to: Math.max(place(data.view.end), from + 2) });
    said.textContent = this.summary();
    requestAnimationFrame(() => { this.draw(); this.settling = false; });
  }

  summary() {
    const { data } = this, candles = data.candles.time.length;
    const days = data.step / 86_400;
    const width = days > 1 && Number.isInteger(days) ? `${days} days` : `${data.step / 60}min`;
    const ranges = (verdict) => data.runs.filter((run) => run[2] === verdict).length;
    const open = ["MISSING", "SUSPECT"].filter(ranges).map((verdict) => `${verdict.toLowerCase()}: ${ranges(verdict)}`);
    return `${candles.toLocaleString("en")} candles of ${width}. Open ranges in what is loaded: ${open.join(", ") || "none"}.`;
  }

  view() {
    const range = this.chart.timeScale().getVisibleLogicalRange();
    if (!range || !this.data) return null;
    return { start: this.data.start + range.from * this.data.step, end: this.data.start + range.to * this.data.step };
  }

  // Ask again where the view leaves what is loaded, or another width suits it better.
  soon() {
    clearTimeout(this.timer);
    if (this.settling || !this.data) return;
    this.timer = setTimeout(() => {
      const view = this.view(), { data } = this;
      if (!view) return;
      const { history } = data;
      const wanted = { start: Math.max(view.start, history.start), end: Math.min(view.end, history.end) };
      if (wanted.end - wanted.start < data.step) return;
      const leaves = wanted.start < data.start - data.step || wanted.end > data.end + data.step;
      const adapts = this.whole || picker.value === "auto";
      if (leaves || (adapts && this.fits(wanted) !== data.step)) this.load(wanted);
    }, 200);
  }

  fits(view) {
    const long = view.end - view.start;
    const stored = picker.value === "auto" ? this.data.stored : [Number(picker.value)];
    const interval = stored.find((minutes) => long <= minutes * 60 * IN_VIEW);
    if (interval) return interval * 60;
    const widest = stored.at(-1) * 60;
    return widest * Math.min(MOST_BUNDLED, Math.ceil(long / (widest * IN_VIEW)));
  }

  period(days) {
    const { history } = this.data, long = days ? days * 86_400 : history.end - history.start;
    const end = days ? Math.min(history.end, this.view().end) : history.end;
    this.load({ start: Math.max(history.start, end - long), end });
  }

  shift(direction) {
    const view = this.view(), by = direction * (view.end - view.start) / 2;
    this.load({ start: view.start + by, end: view.end + by });
  }

  zoom(factor) {
    const view = this.view(), middle = (view.start + view.end) / 2, half = factor * (view.end - view.start) / 2;
    this.load({ start: middle - half, end: middle + half });
  }

  draw() {
    if (!this.data) return;
    const scale = this.chart.timeScale(), { data } = this;
    const x = (time) => scale.logicalToCoordinate(0) + (time - data.start) / data.step * scale.options().barSpacing - scale.options().barSpacing / 2;
    drawVerdicts(document.getElementById("chart-under"), box, scale.width(), data, x, colour);
    drawLanes(document.getElementById("chart-lanes"), box, scale.width(), data, x, colour);
  }

  tell(event) {
    if (event.time === undefined || !this.data) return;
    const when = new Date(event.time * 1000).toISOString().slice(0, 16).replace("T", " ");
    const bar = event.seriesData.get(this.candles), volume = event.seriesData.get(this.volume);
    if (bar && bar.open !== undefined) {
      const trades = this.data.candles.trades[this.data.candles.time.indexOf(event.time)];
      said.textContent = `${when}: open ${bar.open}, high ${bar.high}, low ${bar.low}, close ${bar.close}, volume ${volume ? volume.value : 0}, ${trades} trades`;
      return;
    }
    const run = this.data.runs.find(([start, end]) => start <= event.time && event.time < end);
    const outage = this.data.outages.some(([start, end]) => start <= event.time && event.time < end);
    said.textContent = `${when}: ${run ? run[2].toLowerCase().replace("_", " ") : "no candle"}${outage ? ", outage of the exchange" : ""}`;
  }
}

if (box) new Chart();
