// Ranges of time as bands: verdicts and outages under the candles, coverage in lanes below them.

const LANE = 16;
const OPEN = ["SUSPECT", "MISSING"];

function prepared(canvas, width, height) {
  const scale = devicePixelRatio || 1;
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(height * scale);
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  const pen = canvas.getContext("2d");
  pen.setTransform(scale, 0, 0, scale, 0, 0);
  pen.clearRect(0, 0, width, height);
  return pen;
}

export function drawVerdicts(canvas, box, room, data, x, colour) {
  const height = box.clientHeight - 26, pen = prepared(canvas, room, height);
  for (const [start, end] of data.outages) {
    hatched(pen, x(start), x(end), height, colour("--faint"));
  }
  for (const [start, end, verdict] of data.runs) {
    if (verdict === "UNLISTED") continue;
    const left = x(start), open = OPEN.includes(verdict), wide = Math.max(x(end) - left, open ? 2 : 0);
    if (left > room || left + wide < 0) continue;
    pen.fillStyle = colour(`--${verdict.toLowerCase().replace("_", "-")}`);
    // What is open is shaded all the way up; what is quiet marks the ground, so that a thin market stays readable.
    pen.globalAlpha = open ? 0.3 : 1;
    if (open) pen.fillRect(left, 0, wide, height);
    pen.globalAlpha = 1;
    pen.fillRect(left, open ? 0 : height - 6, wide, open ? 4 : 6);
  }
}

function hatched(pen, left, right, height, ink) {
  const wide = Math.max(right - left, 3);
  pen.save();
  pen.beginPath();
  pen.rect(left, 0, wide, height);
  pen.clip();
  pen.strokeStyle = ink;
  pen.globalAlpha = 0.45;
  for (let at = left - height; at < left + wide; at += 7) {
    pen.beginPath();
    pen.moveTo(at, height);
    pen.lineTo(at + height, 0);
    pen.stroke();
  }
  pen.restore();
}

export function drawLanes(canvas, box, room, data, x, colour) {
  const pen = prepared(canvas, box.clientWidth, Math.max(1, data.lanes.length) * LANE + 4);
  pen.font = "11px system-ui, sans-serif";
  pen.textBaseline = "middle";
  data.lanes.forEach((lane, i) => {
    const y = 2 + i * LANE;
    pen.fillStyle = colour("--unlisted");
    pen.fillRect(0, y, room, LANE - 3);
    pen.fillStyle = colour("--quiet-proven");
    for (const [start, end] of lane.runs) {
      const left = Math.max(0, x(start)), right = Math.min(room, Math.max(x(end), left + 1));
      if (right > left) pen.fillRect(left, y, right - left, LANE - 3);
    }
    const wide = pen.measureText(lane.name).width;
    pen.fillStyle = colour("--card");
    pen.fillRect(4, y + 1, wide + 8, LANE - 5);
    pen.fillStyle = colour("--text");
    pen.fillText(lane.name, 8, y + LANE / 2 - 1);
  });
}
