// The coverage map: a canvas that draws the rows in view, and nothing else, however many there are.
//
// Each cell is a column of colours, from the ground up: what is answered, what is quiet, what is contradicted, what is
// missing. What is open is never less than two pixels: one lost slot in a month is to be seen.

import { unread } from "./unread.js";

const ROW = 18;
const NAME = 96;
const HEAD = 22;
const LEAST = 2;
const frame = document.getElementById("map-frame");
const canvas = document.getElementById("map-canvas");
const sizer = document.getElementById("map-sizer");
const said = document.getElementById("map-said");
const section = document.getElementById("map");

if (section) start();

async function start() {
  const response = await fetch(section.dataset.cells);
  if (!response.ok) {
    said.textContent = unread(response, "The map cannot be loaded.");
    return;
  }
  const map = decoded(await response.arrayBuffer());
  if (section.dataset.sort === "open") map.order.sort((a, b) => openSlots(map, b) - openSlots(map, a));
  new Drawing(map);
}

// Four bytes of length, a JSON head, then one plane of bytes for each verdict: a share a cell, 255 being all.
function decoded(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const head = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  const columns = head.columns.length - 1;
  const size = head.rows.length * columns;
  const planes = head.verdicts.map((_, i) => new Uint8Array(buffer, 4 + length + i * size, size));
  return { ...head, columns, edges: head.columns, planes, order: head.rows.map((_, i) => i) };
}

function openSlots(map, row) {
  return map.rows[row][4] + map.rows[row][5];
}

class Drawing {
  constructor(map) {
    this.map = map;
    this.at = { row: 0, column: Math.max(0, map.columns - 1) };
    this.cellWidth = 1;
    frame.addEventListener("scroll", () => this.later());
    frame.addEventListener("keydown", (event) => this.key(event));
    frame.addEventListener("focus", () => this.tell());
    canvas.addEventListener("mousemove", (event) => this.point(event));
    canvas.addEventListener("click", (event) => { this.point(event); this.open(); });
    canvas.addEventListener("dblclick", () => this.days());
    document.addEventListener("themechange", () => this.later());
    new ResizeObserver(() => this.measure()).observe(frame);
    frame.style.height = `min(68vh, ${HEAD + ROW * this.map.rows.length + 20}px)`;
    this.measure();
    frame.scrollLeft = frame.scrollWidth;
    this.tell();
  }

  measure() {
    const room = frame.clientWidth - NAME;
    this.cellWidth = Math.max(this.map.step === "month" ? 7 : 9, Math.min(28, room / this.map.columns));
    sizer.style.width = `${NAME + this.cellWidth * this.map.columns}px`;
    sizer.style.height = `${HEAD + ROW * this.map.rows.length}px`;
    this.later();
  }

  later() {
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => { this.waiting = false; this.draw(); });
  }

  draw() {
    const width = frame.clientWidth, height = frame.clientHeight, scale = devicePixelRatio || 1;
    if (canvas.width !== Math.round(width * scale) || canvas.height !== Math.round(height * scale)) {
      canvas.width = Math.round(width * scale);
      canvas.height = Math.round(height * scale);
      canvas.style.width = `${width}px`;
      canvas.style.height = `${height}px`;
    }
    const pen = canvas.getContext("2d"), style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(name).trim();
    const ground = colour("--unlisted");
    const colours = this.map.verdicts.map((verdict) => colour(`--${verdict.toLowerCase().replace("_", "-")}`));
    pen.setTransform(scale, 0, 0, scale, 0, 0);
    pen.clearRect(0, 0, width, height);
    const first = Math.floor(frame.scrollTop / ROW);
    const last = Math.min(this.map.rows.length, first + Math.ceil((height - HEAD) / ROW) + 1);
    const left = Math.floor(frame.scrollLeft / this.cellWidth);
    const right = Math.min(this.map.columns, left + Math.ceil((width - NAME) / this.cellWidth) + 1);
    for (let place = first; place < last; place += 1) {
      const y = HEAD + place * ROW - frame.scrollTop;
      for (let column = left; column < right; column += 1) {
        const x = NAME + column * this.cellWidth - frame.scrollLeft;
        this.cell(pen, colours, ground, this.map.order[place], column, x, y);
      }
    }
    this.frame(pen, colour, first, last, left, right, width);
  }

  cell(pen, colours, ground, row, column, x, y) {
    const at = row * this.map.columns + column, wide = Math.max(1, this.cellWidth - 1), high = ROW - 3;
    pen.fillStyle = ground;
    pen.fillRect(x, y, wide, high);
    let bottom = y + high;
    for (let i = 0; i < colours.length; i += 1) {
      const share = this.map.planes[i][at];
      if (!share) continue;
      const tall = Math.min(bottom - y, Math.max(share * high / 255, i >= 4 ? LEAST : 0));
      pen.fillStyle = colours[i];
      // What is open goes over what is answered, from the top, so that the least of it shows.
      if (i >= 4) pen.fillRect(x, i === 5 ? y : bottom - tall, wide, tall);
      else pen.fillRect(x, bottom - tall, wide, tall);
      if (i < 5) bottom -= share * high / 255;
    }
  }

  frame(pen, colour, first, last, left, right, width) {
    pen.fillStyle = colour("--card");
    pen.fillRect(0, 0, width, HEAD);
    pen.fillRect(0, 0, NAME - 4, frame.clientHeight);
    pen.font = "12px system-ui, sans-serif";
    pen.textBaseline = "middle";
    for (let place = first; place < last; place += 1) {
      const row = this.map.order[place], y = HEAD + place * ROW - frame.scrollTop;
      if (y < HEAD - ROW / 2) continue;
      pen.fillStyle = openSlots(this.map, row) ? colour("--text") : colour("--faint");
      pen.fillText(this.map.rows[row][0], 2, y + ROW / 2 - 1, NAME - 10);
    }
    pen.fillStyle = colour("--card");
    pen.fillRect(0, 0, width, HEAD);
    this.dates(pen, colour("--faint"), left, right);
    const x = NAME + this.at.column * this.cellWidth - frame.scrollLeft, y = HEAD + this.at.row * ROW - frame.scrollTop;
    if (y >= HEAD - 2 && x >= NAME - 2) {
      pen.strokeStyle = colour("--text");
      pen.lineWidth = 2;
      pen.strokeRect(x - 1, y - 1, this.cellWidth + 1, ROW - 1);
    }
  }

  dates(pen, ink, left, right) {
    pen.fillStyle = ink;
    let free = 0;
    for (let column = left; column < right; column += 1) {
      const day = this.map.edges[column], x = NAME + column * this.cellWidth - frame.scrollLeft;
      const starts = this.map.step === "month" ? day.slice(5, 7) === "01" : day.slice(8) === "01" || column === 0;
      if (!starts || x < NAME - 2 || x < free) continue;
      const text = this.map.step === "month" ? day.slice(0, 4) : day.slice(0, 7);
      const end = x + pen.measureText(text).width;
      if (end > frame.clientWidth) break;
      pen.fillText(text, x, HEAD / 2);
      free = end + 8;
    }
  }

  point(event) {
    const box = canvas.getBoundingClientRect();
    const column = Math.floor((event.clientX - box.left - NAME + frame.scrollLeft) / this.cellWidth);
    const row = Math.floor((event.clientY - box.top - HEAD + frame.scrollTop) / ROW);
    if (column < 0 || column >= this.map.columns || row < 0 || row >= this.map.rows.length) return;
    this.at = { row, column };
    this.tell();
    this.later();
  }

  key(event) {
    const moves = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1], PageUp: [-20, 0], PageDown: [20, 0], Home: [0, -this.map.columns], End: [0, this.map.columns] };
    if (event.key === "Enter") this.open();
    else if (event.key === "d") this.days();
    else if (moves[event.key]) this.move(...moves[event.key]);
    else return;
    event.preventDefault();
  }

  move(rows, columns) {
    this.at.row = Math.min(this.map.rows.length - 1, Math.max(0, this.at.row + rows));
    this.at.column = Math.min(this.map.columns - 1, Math.max(0, this.at.column + columns));
    const x = this.at.column * this.cellWidth, y = this.at.row * ROW;
    const wide = frame.clientWidth - NAME - this.cellWidth, high = frame.clientHeight - HEAD - ROW;
    frame.scrollLeft = Math.min(Math.max(frame.scrollLeft, x - wide), x);
    frame.scrollTop = Math.min(Math.max(frame.scrollTop, y - high), y);
    this.tell();
    this.later();
  }

  get cellAt() {
    const row = this.map.order[this.at.row], start = this.map.edges[this.at.column];
    const end = new Date(`${this.map.edges[this.at.column + 1]}T00:00Z`);
    const last = new Date(end.getTime() - 86_400_000).toISOString().slice(0, 10);
    return { row, start, last };
  }

  tell() {
    if (!this.map.rows.length) return;
    const { row, start } = this.cellAt, at = row * this.map.columns + this.at.column;
    const when = this.map.step === "month" ? start.slice(0, 7) : start;
    const parts = [];
    this.map.verdicts.forEach((verdict, i) => {
      const share = this.map.planes[i][at];
      if (share) parts.push(`${verdict.toLowerCase().replace("_", " ")} ${shareText(share)}`);
    });
    said.textContent = `${this.map.rows[row][0]}, ${when}: ${parts.join(", ") || "not listed, or not asked for"}`;
  }

  open() {
    const { row, start, last } = this.cellAt;
    const asked = new URLSearchParams({ market: this.map.rows[row][0], interval: this.map.interval, start, end: last });
    htmx.ajax("GET", `${section.dataset.cell}?${asked}`, { target: "#cell", swap: "innerHTML" });
  }

  // The months around the one that is pointed at, day by day.
  days() {
    if (this.map.step !== "month") return;
    const first = this.map.edges[Math.max(0, this.at.column - 3)];
    const end = new Date(`${this.map.edges[Math.min(this.map.columns, this.at.column + 4)]}T00:00Z`);
    const asked = new URLSearchParams(section.dataset.days);
    asked.set("step", "day");
    asked.set("start", first);
    asked.set("end", new Date(end.getTime() - 86_400_000).toISOString().slice(0, 10));
    location.search = asked.toString();
  }
}

function shareText(share) {
  if (share === 255) return "100%";
  const percent = Math.round(share * 100 / 255);
  return percent < 1 ? "<1%" : `${Math.min(percent, 99)}%`;
}
