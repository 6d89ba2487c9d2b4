// An image and the layers over it on a canvas: tiles from the server, zoom and pan.

const MOST_TILES = 600; // tiles that are kept; a tile takes about a mebibyte when it is decoded

export class Viewer {
  // `tile` is {side, levels: [smallest, largest]}; `onPoint` is told the row and column of the pointer, or null;
  // `busy` is told 1 where a tile or a painting is waited for, and -1 when it has come.
  constructor(canvas, tile, onPoint, busy) {
    Object.assign(this, { canvas, tile, onPoint, busy, scale: 1, x: 0, y: 0, width: 1, height: 1 });
    this.context = canvas.getContext("2d");
    this.layers = { image: true, prediction: true, label: true };
    this.tiles = new Map(); // by address; `shown` are the last complete predictions, drawn until new ones arrive
    this.shown = new Map();
    this.pointers = new Map();
    new ResizeObserver(() => this.resize()).observe(canvas);
    canvas.addEventListener("wheel", event => this.wheel(event), { passive: false });
    canvas.addEventListener("pointerdown", event => this.press(event));
    canvas.addEventListener("pointermove", event => this.move(event));
    for (const kind of ["pointerup", "pointercancel"])
      canvas.addEventListener(kind, event => this.pointers.delete(event.pointerId));
    canvas.addEventListener("pointerleave", () => this.onPoint(null));
    canvas.addEventListener("dblclick", () => this.fit());
  }

  show(address, width, height, labeled) {
    const same = address === this.address;
    Object.assign(this, { address, width, height, labeled });
    if (!same) this.fit();
    this.draw();
  }

  // A rule is given as a query.
  setRule(rule) { this.rule = rule; this.draw(); }

  toggle(layer) { this.layers[layer] = !this.layers[layer]; this.draw(); return this.layers[layer]; }

  resize() {
    const ratio = devicePixelRatio || 1, box = this.canvas.getBoundingClientRect();
    const whole = this.scale === this.whole;
    this.canvas.width = Math.max(1, Math.round(box.width * ratio));
    this.canvas.height = Math.max(1, Math.round(box.height * ratio));
    if (whole) this.fit(); else this.draw();
  }

  // Scale is canvas pixels per image pixel; x and y are where the corner of the image lies on the canvas.
  fit() {
    const { canvas } = this;
    this.scale = this.whole = Math.min(canvas.width / this.width, canvas.height / this.height);
    this.x = (canvas.width - this.width * this.scale) / 2;
    this.y = (canvas.height - this.height * this.scale) / 2;
    this.draw();
  }

  zoom(factor, x = this.canvas.width / 2, y = this.canvas.height / 2) {
    const scale = Math.min(Math.max(this.scale * factor, Math.min(this.whole / 2, 1)), Math.max(64, this.whole));
    this.x = x - (x - this.x) * scale / this.scale;
    this.y = y - (y - this.y) * scale / this.scale;
    this.scale = scale;
    this.draw();
  }

  focus({ top, left, height, width }) {
    const room = 3 * Math.max(height, width, 12);
    this.scale = Math.min(Math.max(Math.min(this.canvas.width, this.canvas.height) / room, this.whole), 64);
    this.x = this.canvas.width / 2 - (left + width / 2) * this.scale;
    this.y = this.canvas.height / 2 - (top + height / 2) * this.scale;
    this.draw();
  }

  place(event) {
    const ratio = devicePixelRatio || 1;
    return [event.offsetX * ratio, event.offsetY * ratio];
  }

  wheel(event) {
    event.preventDefault();
    this.zoom(2 ** (-event.deltaY / (event.deltaMode ? 5 : 200)), ...this.place(event));
  }

  press(event) {
    this.canvas.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, this.place(event));
    this.point(event);
  }

  move(event) {
    const [x, y] = this.place(event), before = this.pointers.get(event.pointerId);
    if (before) {
      const others = [...this.pointers].filter(([id]) => id !== event.pointerId).map(([, place]) => place);
      if (others.length) {
        const far = ([ax, ay], [bx, by]) => Math.hypot(ax - bx, ay - by);
        this.zoom(far([x, y], others[0]) / Math.max(1, far(before, others[0])), ...others[0]);
      } else {
        this.x += x - before[0];
        this.y += y - before[1];
        this.draw();
      }
      this.pointers.set(event.pointerId, [x, y]);
    }
    this.point(event);
  }

  point(event) {
    const [x, y] = this.place(event);
    const row = Math.floor((y - this.y) / this.scale), column = Math.floor((x - this.x) / this.scale);
    const inside = row >= 0 && row < this.height && column >= 0 && column < this.width;
    this.onPoint(inside ? [row, column] : null);
  }

  draw() {
    if (this.waiting) return;
    this.waiting = true;
    this.busy(1);
    requestAnimationFrame(() => { this.waiting = false; this.paint(); this.busy(-1); });
  }

  paint() {
    const { context, canvas, tile } = this;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, canvas.width, canvas.height);
    if (!this.address) return;
    const [smallest, largest] = tile.levels;
    const fine = Math.floor(Math.log2(1 / this.scale)); // the level whose tiles are at least as fine as the screen
    const coarse = Math.max(0, Math.ceil(Math.log2(Math.max(this.width, this.height) / tile.side)));
    const within = (level, low) => Math.min(Math.max(level, low), Math.min(coarse, largest));
    for (const layer of ["image", "prediction", "label"]) {
      if (!this.layers[layer] || (layer === "label" && !this.labeled)) continue;
      const level = within(fine, layer === "image" ? 0 : smallest);
      context.imageSmoothingEnabled = layer !== "image" || this.scale < 1;
      if (layer === "image" && level < coarse) this.paintLevel(layer, coarse);
      this.paintLevel(layer, level);
    }
  }

  paintLevel(layer, level) {
    const { canvas, tile } = this, extent = tile.side * 2 ** level;
    const first = (start, size) => Math.max(0, Math.floor(-start / this.scale / extent));
    const last = (start, size, side) => Math.min(Math.ceil(side / extent), Math.ceil((size - start) / this.scale / extent));
    for (let row = first(this.y); row < last(this.y, canvas.height, this.height); row++)
      for (let column = first(this.x); column < last(this.x, canvas.width, this.width); column++)
        this.paintTile(layer, level, row, column, extent);
  }

  paintTile(layer, level, row, column, extent) {
    const place = new URLSearchParams({ image: this.address, layer, level, row, column }).toString();
    const rule = layer === "prediction" ? `&${this.rule}` : "";
    let tile = this.load(`/tile?${place}${rule}`);
    if (rule && tile.complete && tile.naturalWidth) this.shown.set(place, tile);
    if (!(tile.complete && tile.naturalWidth)) tile = this.shown.get(place);
    if (!tile) return;
    const size = 2 ** level * this.scale; // canvas pixels of a pixel of the tile; a shrunk tile may reach beyond
    const x = Math.round(this.x + column * extent * this.scale), y = Math.round(this.y + row * extent * this.scale);
    const right = Math.round(this.x + (column * extent + tile.naturalWidth * 2 ** level) * this.scale);
    const bottom = Math.round(this.y + (row * extent + tile.naturalHeight * 2 ** level) * this.scale);
    this.context.drawImage(tile, x, y, right - x, bottom - y);
  }

  load(address) {
    let tile = this.tiles.get(address);
    if (tile) this.tiles.delete(address); // and again at the end: the first are the oldest
    else {
      tile = new Image();
      tile.onload = tile.onerror = () => { this.draw(); this.busy(-1); };
      tile.src = address;
      this.busy(1);
    }
    this.tiles.set(address, tile);
    for (const oldest of this.tiles.keys()) {
      if (this.tiles.size <= MOST_TILES) break;
      this.tiles.delete(oldest);
    }
    return tile;
  }
}
